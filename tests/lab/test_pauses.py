"""Applications do not notice: fio writes and verifies while its filesystems grow beneath it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import program
from tests.lab.fio import BACKLOG, WAYS, Fio, Load
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program

PLACES = {
    "web1": {"ext4vol": "/srv/ext4vol", "xfsvol": "/srv/xfsvol", "tallvol": "/srv/tallvol"},
    "web2": {"btrfsvol": "/srv/btrfsvol"},
}
NAMES = tuple(name for places in PLACES.values() for name in places)
JOBS = tuple(f"{name} {way}" for name in NAMES for way in WAYS)
STEP = 8 * MIB
BEARABLE = 15.0  # seconds: half of what the kernel gives a SCSI command before it complains
pytestmark = pytest.mark.timeout(3600)

Loads = dict[str, Load]


@dataclass(frozen=True)
class Job:
    """Two runs of the same load of the same length, one of them while the volumes grow."""

    idle: Loads
    grown: Loads
    results: list[Any]
    seconds: float
    kernel_errors: dict[str, list[str]]


@pytest.fixture(scope="module")
def job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Job:
    lab.reset()
    ops = program.bare(lab, tmp_path_factory.mktemp("pauses"))
    program.side_by_side(lambda volume: program.take(ops, volume), program.named(*NAMES))
    results: list[Any] = []
    began = time.monotonic()
    grown = during(lab, lambda: results.extend(grow(ops)))
    seconds = time.monotonic() - began
    idle = during(lab, lambda: time.sleep(seconds))
    errors = {name: lab.kernel_errors(name) for name in lab.names}
    return Job(idle, grown, results, seconds, errors)


def during(lab: Lab, work: Callable[[], object]) -> Loads:
    """What fio has to say of the time in which `work` was done."""
    runs = [Fio(lab, machine, places) for machine, places in PLACES.items()]
    work()
    for one in runs:
        one.stop()
    return {name: load for one in runs for name, load in one.result().items()}


def grow(ops: Program) -> list[Any]:
    """All volumes by one step, two at the same time."""
    calls = [
        ops.start("volume", "extend", *NAMES[at::2], "--size", f"+{STEP // MIB}M") for at in (0, 1)
    ]
    return [one for call in calls for one in program.wait(call).json]


def test_every_volume_grew_while_fio_was_at_work(job: Job) -> None:
    assert {one["volume"] for one in job.results} == set(NAMES)
    assert {(one["outcome"], one["error"]) for one in job.results} == {("done", None)}


@pytest.mark.parametrize("name", JOBS)
def test_no_write_fails_and_every_block_verifies(job: Job, name: str) -> None:
    for load in (job.idle[name], job.grown[name]):
        assert load.error == 0
        assert load.verified > 0
        assert load.written - load.verified <= BACKLOG  # what it had not come to when it was ended


@pytest.mark.parametrize("name", JOBS)
def test_nobody_waits_longer_than_is_bearable(job: Job, name: str) -> None:
    assert job.grown[name].longest < BEARABLE


def test_no_kernel_complained(job: Job) -> None:
    assert job.kernel_errors == {"silo": [], "web1": [], "web2": []}


def test_the_figures(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """Shows them, in the form of docs/pauses.md."""
    assert job.grown.keys() == job.idle.keys() == set(JOBS)
    with capsys.disabled():
        print(f"\n\n{len(job.results)} extensions in {job.seconds:.0f} s\n")
        print("| volume | way | blocks | idle: longest | growing: longest | idle: 99 % | growing |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for name in JOBS:
            idle, grown = job.idle[name], job.grown[name]
            figures = (idle.longest, grown.longest, idle.usual, grown.usual)
            cells = (*name.split(), grown.verified, *(f"{1000 * one:.0f} ms" for one in figures))
            print(f"| {' | '.join(map(str, cells))} |")
