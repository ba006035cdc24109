"""Who works on an operation: this process, told from all others, and whether one still lives."""

import os
import pwd
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from extendctl.errors import ExtendctlError, TakenOver
from extendctl.model import Owner

LAPSE: Final = 60.0
"""Seconds without a heartbeat after which an owner on another machine is taken for dead."""

EVERY: Final = 15.0
"""Seconds between two heartbeats: three may be lost before the owner is taken for dead."""

_FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO in linux/proc_ns.h


def me() -> Owner:
    """This process. `sudo_user` is what SUDO_USER claims; the caller decides what to make of it."""
    pid = os.getpid()
    _, started = _state_and_start(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    return Owner(
        user=_user(),
        sudo_user=os.environ.get("SUDO_USER") or None,
        machine=_machine(),
        boot_id=_line(Path("/proc/sys/kernel/random/boot_id")),
        pid=pid,
        started=started,
    )


def is_dead(owner: Owner, heartbeat_age: float | None) -> bool:
    """Whether the owner can no longer act; `heartbeat_age` in seconds, None when not known.

    On the owner's own machine the process table knows at once. From another only silence tells,
    and an owner of whom no heartbeat is known is not taken for dead. One from another boot of this
    machine is dead if it was not heard of since: a clone may have the same name and machine id,
    and another boot because it is another machine.
    """
    silent = heartbeat_age is not None and heartbeat_age > LAPSE
    here = me()
    if owner.machine != here.machine:
        return silent
    if owner.boot_id != here.boot_id:
        return silent or before_this_boot(heartbeat_age, _uptime())
    try:
        stat = Path(f"/proc/{owner.pid}/stat").read_text(errors="replace")
    except OSError:
        return not _exists(owner.pid) or silent
    state, started = _state_and_start(stat)
    return started != owner.started or state in {"Z", "X"}


def before_this_boot(heartbeat_age: float | None, uptime: float) -> bool:
    """Whether the last heartbeat, so many seconds ago, came before this machine was started."""
    return heartbeat_age is not None and heartbeat_age > uptime


class Heartbeat:
    """Shows life from a thread while the owner works, waits for a slow command, or sleeps.

    `beat` is called at once and then every so many seconds, from the thread, and so on a database
    connection of its own. Use it as a context manager; `lost` is set when somebody took over.
    """

    def __init__(self, beat: Callable[[], None], every: float = EVERY) -> None:
        self._beat = beat
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self.lost: TakenOver | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the thread and wait for a beat that is under way; harmless to repeat."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except TakenOver as lost:
                self.lost = lost
                return
            except ExtendctlError:  # a database that is busy, away or full may be back
                pass
            if self._stop.wait(self._every):
                return


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return str(os.getuid())


def _machine() -> str:
    """Host name and machine id, which two clones of one image share, and the pid namespace.

    In a container the process numbers of another are not to be seen, so that it counts as another
    machine, whose owner is heard of by heartbeat alone.
    """
    parts = [socket.gethostname(), _line(Path("/etc/machine-id"))]
    namespace = str(Path("/proc/self/ns/pid").readlink())
    if namespace != _FIRST_PID_NAMESPACE:
        parts.append(namespace)
    return ":".join(part for part in parts if part)


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _uptime() -> float:
    """Seconds since this machine was started (proc(5))."""
    return float(Path("/proc/uptime").read_text().split()[0])


def _exists(pid: int) -> bool:
    # With /proc mounted hidepid, others' processes are invisible, but a signal still finds them.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _state_and_start(stat: str) -> tuple[str, int]:
    """Fields 3 and 22 of proc(5)'s stat; field 2, the name, may hold spaces and parentheses."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])
