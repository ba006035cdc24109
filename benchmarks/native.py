"""A file with xfs on a loop device, by way of a real sshd on loopback: our own cost, undiluted."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clock import MIB
from benchmarks.contest import STEP, Contest, Course, contest
from benchmarks.starts import imports, loaded
from tests.live.ssh_place import SshPlace
from tests.sshd import Sshd

SIZE = 320  # MiB
TITLE = "A file on a loop device with xfs; sshd on loopback"


@dataclass(frozen=True)
class Native:
    """The contest, and what the program's own process needs for it."""

    contest: Contest
    imports: dict[str, float]  # seconds, by package
    modules: int
    memory: float  # MiB


def native(runs: int) -> Native:
    """The contest on this machine. Needs root, loop devices and sshd."""
    with tempfile.TemporaryDirectory(prefix="extendctl-bench-") as top, Sshd() as sshd:
        os.environ["XDG_STATE_HOME"] = top
        place = SshPlace(Path(top), sshd)
        try:
            place.mounted("vol1", "xfs", f"{SIZE}M")
            config = Path(top) / "config.yaml"
            found = contest(Course(TITLE, config, "vol1", ("here2",), SIZE), runs)
            largest = place.volumes.joinpath("vol1").stat().st_size // MIB
            words = ("--config", str(config), "volume", "extend", "vol1", "--size")
            modules, memory = loaded((*words, f"{largest + STEP}M"))
            costs = imports((*words, f"{largest + STEP}M", "--dry-run"), min(runs, 5))
            return Native(found, costs, len(modules), memory)
        finally:
            place.clean()
