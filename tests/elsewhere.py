"""A program on another machine: its name is another, and its own clocks may be wrong."""

import ctypes
import os
import socket
import sys
import time
from datetime import datetime, timedelta, tzinfo
from functools import cache, partial
from typing import Any, Self

import pytest

from extendctl.model import VolumeReport
from tests.extending import Stage
from tests.mortal import Work, extending

CLONE_NEWUTS, CLONE_NEWUSER = 0x04000000, 0x10000000  # linux/sched.h
CLOCKS = ("time", "clock_gettime")
"""What this machine's clocks are asked by; how long something takes is told by others."""


def elsewhere(work: Work = extending, name: str = "admin2", ahead: int = 0) -> Work:
    """The same work on the machine `name`, whose clocks are so many seconds ahead of all others.

    A state that is shared by machines has a clock of its own, which is right.
    """

    def moved(stage: Stage) -> VolumeReport:
        _rename(name)
        if ahead:
            _set_clocks(ahead)
        return work(stage)

    return moved


@cache
def possible() -> bool:
    """Whether this kernel and user may give a process another host name."""
    pid = os.fork()
    if pid == 0:
        try:
            _rename("admin2")
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def require() -> None:
    """Skip where it is not possible."""
    if not possible():
        pytest.skip("only root gives a program another host name, where user namespaces are shut")


def _rename(name: str) -> None:
    flags = CLONE_NEWUTS if os.geteuid() == 0 else CLONE_NEWUTS | CLONE_NEWUSER
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    socket.sethostname(name)


def _set_clocks(ahead: int) -> None:
    """In this process, which must be one that ends with its work."""

    def wrong(clock: Any, *which: int) -> float:
        return float(clock(*which)) + ahead

    for name in CLOCKS:
        setattr(time, name, partial(wrong, getattr(time, name)))

    class Wrong(datetime):
        """A moment; `now` is asked of this machine's clock."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=ahead)

    for module in list(sys.modules.values()):
        ours = module.__name__.startswith("extendctl")
        if ours and getattr(module, "datetime", None) is datetime:
            vars(module)["datetime"] = Wrong
