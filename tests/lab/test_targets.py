"""Volumes behind tgt, behind the kernel's NVMe target and in LIO's files grow under writers."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import program, targets
from tests.lab.lab import Lab
from tests.lab.program import MIB
from tests.lab.targets import DEVICES, FILE, NAMES, NVME, TGT
from tests.lab.writer import Writer, Written

pytestmark = pytest.mark.timeout(1800)

NEW = 300 * MIB
BLOCKS = (
    "dumpe2fs -h {} 2>/dev/null | "
    "awk '/^Block count/ {{n=$3}} /^Block size/ {{b=$3}} END {{printf \"%.0f\", n*b}}'"
)


@dataclass(frozen=True)
class Job:
    """What was refused, what was done, and what the machines said afterwards."""

    denied: Any
    done: dict[str, Any]
    again: dict[str, Any]
    devices: dict[str, int]
    filesystems: dict[str, int]
    written: dict[str, Written]
    errors: dict[str, list[str]]
    restarted: int
    checked: str


@pytest.fixture(scope="module")
def job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Job:
    lab.reset()
    ops = program.bare(lab, tmp_path_factory.mktemp("targets"))
    ops.edit("backends:\n", targets.BACKENDS)
    targets.build(lab, ops)
    targets.take(ops)
    extend = ("volume", "extend", *NAMES, "--size", "300M")
    denied = ops.run("volume", "extend", TGT, "--size", "300M", status=3).result
    free = ops.policy("  rules: {'volume:extend_with_pause': allow}")
    writers = {name: Writer(lab, "web1", f"/srv/{name}") for name in NAMES}
    done = free.run(*extend).json
    written = {name: writer.stop_and_verify() for name, writer in writers.items()}
    devices = {name: _number(lab, f"blockdev --getsize64 {at}") for name, at in DEVICES.items()}
    return Job(
        denied=denied,
        done={one["volume"]: one for one in done},
        devices=devices,
        filesystems={name: _number(lab, BLOCKS.format(at)) for name, at in DEVICES.items()},
        again={one["volume"]: one for one in free.run(*extend).json},
        written=written,
        errors={name: lab.kernel_errors(name) for name in lab.names},
        restarted=_restarted(lab),
        checked=lab.run("web1", f"e2fsck -fn {DEVICES[FILE]}").stdout,
    )


def _number(lab: Lab, command: str) -> int:
    return int(lab.run("web1", command).stdout)


def _restarted(lab: Lab) -> int:
    """The size of the LUN over a file after the target has come back from what it had saved."""
    lab.run("web1", f"umount /srv/{FILE}")
    lab.run("silo", "systemctl restart rtslib-fb-targetctl", timeout=300)
    # The session comes back by itself; until then the device is blocked and its size the old one.
    ask = (
        f"sg_readcap --long {DEVICES[FILE]} | sed -n 's/.*Device size: \\([0-9]*\\) bytes.*/\\1/p'"
    )
    lab.run("web1", f"for _ in $(seq 60); do {ask} | grep -q . && break; sleep 1; done")
    return _number(lab, ask)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_grows_and_measures_what_the_machines_say(job: Job, name: str) -> None:
    done = job.done[name]
    assert (done["outcome"], done["status"], done["size"]) == ("done", "in-use", NEW)
    assert set(program.layers(done).values()) == {NEW}
    assert (job.devices[name], job.filesystems[name]) == (NEW, NEW)
    kinds = ["file" if name == FILE else "lv", "lun", "nvme" if name == NVME else "path", "ext4"]
    assert [one["kind"] for one in done["layers"]] == kinds


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_written_meanwhile_is_lost(job: Job, name: str) -> None:
    assert job.written[name].errors == ()
    assert job.written[name].verified > 0
    assert job.errors == {"silo": [], "web1": [], "web2": []}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_call_again_finds_nothing_to_do(job: Job, name: str) -> None:
    assert job.again[name]["outcome"] == "unchanged"


def test_a_pause_wants_a_permission_of_its_own(job: Job) -> None:
    assert job.denied["error"]["code"] == "policy-denied"
    assert "volume:extend_with_pause" in job.denied["error"]["message"]


def test_a_file_behind_lio_keeps_its_size_over_a_restart_of_the_target(job: Job) -> None:
    assert job.restarted == NEW
    assert "ERROR" not in job.checked
