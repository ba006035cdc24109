"""Gives each running lab a short-named directory of its own, and clears those whose lab is gone."""

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

# Short, because a unix socket's path may have 107 characters; not /tmp, which may be memory.
_PARENT = Path("/var/tmp")
_PREFIX = "xlab-"
_SETTLING = 60  # seconds in which a new directory may not be locked yet


def create() -> Path:
    """A new, empty run directory; leftovers of labs that were killed go on the way."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))


def hold(run: Path) -> IO[str]:
    """A lock that says 'this lab lives'; machines inherit it, and it lasts as long as they do."""
    file = (run / "alive").open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _sweep() -> None:
    for run in _PARENT.glob(f"{_PREFIX}*"):
        try:
            status = run.stat()
            if (
                status.st_uid == os.getuid()
                and time.time() - status.st_ctime > _SETTLING
                and _dead(run)
            ):
                shutil.rmtree(run, ignore_errors=True)
        except OSError:
            # Another process sweeps too.
            continue


def _dead(run: Path) -> bool:
    with (run / "alive").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
