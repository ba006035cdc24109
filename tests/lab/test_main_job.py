"""The main job on real machines: volumes of every kind grow while they are written to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Sizes
from tests.lab.writer import Writer, Written

ATTACHED = ("ext4vol", "xfsvol", "btrfsvol", "localvol", "filevol", "rawvol")
ALL = (*ATTACHED, "freevol")
ON_LVM = tuple(name for name in ALL if name != "filevol")
# Fourteen calls of the program and five writers, on emulated processors.
pytestmark = pytest.mark.timeout(1800)

WRITTEN = tuple(v.name for v in program.named(*ALL) if v.filesystem)

EXTEND = ("volume", "extend", *ALL, "--size", "801M")
ASKED, ROUNDED = 801 * MIB, 804 * MIB  # extents are 4 MiB


@dataclass(frozen=True)
class Job:
    """What was seen before, during and after one call that extends all volumes."""

    before: dict[str, Sizes]
    planned: dict[str, Any]
    deeds_of_dry_run: dict[str, int]
    after_dry_run: dict[str, Sizes]
    shown_before: list[Any]
    shown_after_dry_run: list[Any]
    done: dict[str, Any]
    after: dict[str, Sizes]
    again: dict[str, Any]
    deeds: dict[str, int]
    deeds_again: dict[str, int]
    operations: list[Any]
    operations_again: list[Any]
    as_root: Any
    after_root: Sizes
    written: dict[str, Written]
    kernel_errors: dict[str, list[str]]


@pytest.fixture(scope="module")
def job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Job:
    lab.reset()
    place = tmp_path_factory.mktemp("main-job")
    ops = program.bare(lab, place)
    program.side_by_side(lambda volume: program.take(ops, volume), program.named(*ALL))
    seen = _rehearsed(lab, ops)
    writers = _writers(lab)
    seen["done"] = _by_name(ops.run(*EXTEND).json)
    seen["written"] = {name: writer.stop_and_verify() for name, writer in writers.items()}
    seen |= _repeated(lab, ops, place)
    return Job(**seen, kernel_errors={name: lab.kernel_errors(name) for name in lab.names})


def _writers(lab: Lab) -> dict[str, Writer]:
    """A writer on each filesystem, yielding to others: a machine has one emulated processor."""
    volumes = program.named(*WRITTEN)
    writers = {v.name: Writer(lab, v.user, v.mountpoint, size=8192) for v in volumes}
    for machine in lab.names:
        lab.run(machine, "renice -n 19 $(pgrep -f lab-writers/writer.py)")
    return writers


def _rehearsed(lab: Lab, ops: program.Program) -> dict[str, Any]:
    """The dry run, and what it has left."""
    seen: dict[str, Any] = {"before": program.measure(lab, *ALL)}
    seen["shown_before"] = ops.run("volume", "list").json
    seen["planned"] = _by_name(ops.run(*EXTEND, "--dry-run").json)
    seen["after_dry_run"] = program.measure(lab, *ALL)
    seen["shown_after_dry_run"] = ops.run("volume", "list").json
    seen["deeds_of_dry_run"] = program.deeds(lab)
    return seen


def _repeated(lab: Lab, ops: program.Program, place: Path) -> dict[str, Any]:
    """What the run has left, the same call again, and another one as root."""
    seen: dict[str, Any] = {"after": program.measure(lab, *ALL)}
    seen["deeds"] = program.deeds(lab)
    seen["operations"] = ops.run("operation", "list").json
    seen["again"] = _by_name(ops.run(*EXTEND).json)
    seen["deeds_again"] = program.deeds(lab)
    seen["operations_again"] = ops.run("operation", "list").json
    root = program.bare(lab, place, user="root").edit("become: sudo", "become: none")
    seen["as_root"] = root.run("volume", "extend", "ext4vol", "--size", "+100M").result
    seen["after_root"] = program.measure(lab, "ext4vol")["ext4vol"]
    return seen


def _by_name(results: list[Any]) -> dict[str, Any]:
    return {one["volume"]: one for one in results}


def test_a_dry_run_changes_nothing_on_any_machine(job: Job) -> None:
    assert job.after_dry_run == job.before
    assert job.deeds_of_dry_run == {"silo": 0, "web1": 0, "web2": 0}
    assert job.shown_after_dry_run == job.shown_before


@pytest.mark.parametrize("name", ALL)
def test_a_dry_run_foretells_what_the_run_does(job: Job, name: str) -> None:
    planned, done = job.planned[name], job.done[name]
    assert planned["outcome"] == "planned"
    assert planned["operation"] is None
    assert program.layers(planned, "before") == job.before[name]
    assert program.layers(planned) == program.layers(done)
    assert planned["goal"] == done["goal"]


@pytest.mark.parametrize("name", ALL)
def test_a_volume_grows_through_all_its_layers(job: Job, name: str) -> None:
    done = job.done[name]
    assert done["outcome"] == "done"
    assert done["error"] is None
    assert program.layers(done, "before") == job.before[name]
    assert program.layers(done) == job.after[name]
    assert {one["outcome"] for one in done["layers"]} - {"skipped"} == {"grown"}
    assert program.left(done) == (["web1 raw", "web2 raw"] if name == "rawvol" else [])
    assert done["before"] == min(job.before[name].values())
    assert [one["outcome"] for one in done["attachments"]] == ["done"] * len(done["attachments"])


@pytest.mark.parametrize("name", ON_LVM)
def test_a_size_is_rounded_up_to_extents_and_told_so(job: Job, name: str) -> None:
    assert (job.done[name]["goal"], job.done[name]["size"]) == (ROUNDED, ROUNDED)
    assert set(job.after[name].values()) == {ROUNDED}


def test_a_file_has_the_size_that_was_asked_for(job: Job) -> None:
    assert job.done["filevol"]["size"] == ASKED
    assert job.after["filevol"]["silo loop"] == ASKED


@pytest.mark.parametrize("name", ALL)
def test_the_status_tells_whether_a_volume_is_attached(job: Job, name: str) -> None:
    assert job.done[name]["status"] == ("in-use" if name in ATTACHED else "available")


def test_every_host_of_a_volume_has_its_own_result(job: Job) -> None:
    attachments = job.done["rawvol"]["attachments"]
    assert sorted(one["host"] for one in attachments) == ["web1", "web2"]
    assert {one["size"] for one in attachments} == {ROUNDED}


@pytest.mark.parametrize("name", ALL)
def test_the_same_call_again_finds_nothing_to_do(job: Job, name: str) -> None:
    again = job.again[name]
    assert again["outcome"] == "unchanged"
    assert program.layers(again) == job.after[name]


def test_the_same_call_again_runs_no_deed_and_opens_no_operation(job: Job) -> None:
    assert job.deeds_again == job.deeds
    assert all(job.deeds.values())
    assert job.operations_again == job.operations
    assert len(job.operations) == len(ALL)


def test_root_needs_no_sudo(job: Job) -> None:
    assert job.as_root["outcome"] == "done"
    assert program.layers(job.as_root) == job.after_root
    assert set(job.after_root.values()) == {ROUNDED + 100 * MIB}


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_that_was_written_meanwhile_is_lost(job: Job, name: str) -> None:
    assert job.written[name].errors == ()
    assert job.written[name].verified > 0


def test_no_kernel_complained(job: Job) -> None:
    assert job.kernel_errors == {"silo": [], "web1": [], "web2": []}
