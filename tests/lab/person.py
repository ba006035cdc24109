"""Keeps one lab running in the background for a person, apart from those of tests."""

import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import cache
from tests.lab.lab import Lab


@dataclass(frozen=True)
class Running:
    """What has to be known about a lab in the background in order to use and to stop it."""

    directory: str
    pids: dict[str, int]
    logins: dict[str, list[str]]

    def alive(self, machine: str) -> bool:
        """Whether the machine's process is there, and is not another one with a reused number."""
        try:
            command = Path(f"/proc/{self.pids[machine]}/cmdline").read_bytes()
        except OSError:
            return False
        return self.directory.encode() in command


def _note() -> Path:
    return cache.root() / "person.json"


def running() -> Running | None:
    """The lab in the background, or None."""
    try:
        found = Running(**json.loads(_note().read_text()))
    except FileNotFoundError:
        return None
    return found if any(found.alive(name) for name in found.pids) else None


def up() -> Running:
    """Starts a lab that outlives this process; gives the one that runs already, if there is one."""
    already = running()
    if already:
        return already
    lab = Lab.ensure(detached=True)
    try:
        lab.reset()
        lab.write_config(lab.directory)
    except BaseException:
        lab.stop()
        raise
    started = Running(str(lab.directory), lab.pids(), {name: lab.ssh(name) for name in lab.names})
    _note().write_text(json.dumps(asdict(started)))
    lab.leave()
    return started


def down() -> bool:
    """Stops the lab in the background; says whether there was one."""
    found = running()
    if not found:
        return False
    for name, pid in found.pids.items():
        if found.alive(name):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(found.directory, ignore_errors=True)
    _note().unlink(missing_ok=True)
    return True
