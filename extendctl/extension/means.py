"""What an extension works with: the state, the policy, and the machines of one volume."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from extendctl.backends import Backend
from extendctl.config import Config
from extendctl.errors import ConfigError, ExtendctlError, Interrupted
from extendctl.host import Host, Watcher
from extendctl.journal import Journal, Listener
from extendctl.model import Operation
from extendctl.owner import EVERY, me
from extendctl.policy import Asker
from extendctl.records import Asked
from extendctl.stack import Event
from extendctl.store import Store

T = TypeVar("T")
R = TypeVar("R")

LISTEN = EVERY + 5.0
"""Seconds to listen for an owner on another machine before it is taken over: one heartbeat."""

WORKERS = 32  # sshd's MaxStartups begins to drop connections beyond that


def silent(volume: str, event: Event) -> None:
    """Listen to nothing."""


@dataclass(frozen=True)
class Means:
    """Built once for a command by the composition root; lines to machines are kept and shared."""

    config: Config
    store: Store
    asker: Asker
    machine: Callable[[str], Host]
    backend: Callable[[str, Host], Backend]
    stop: threading.Event = field(default_factory=threading.Event)
    listener: Listener = silent
    listen: float = LISTEN

    def take_over(
        self,
        dead: Operation,
        asked: Asked = Asked(),  # noqa: B008 - it is frozen
    ) -> Operation:
        """Own the operation of an owner who is taken for dead.

        One on another machine is dead by the state's clock alone, which may have jumped: it is
        listened to for `listen` seconds by this machine's own. Raises Busy when it was heard of, or
        the operation is no longer as it was, and Interrupted.
        """
        here = me()
        elsewhere = dead.owner.machine != here.machine
        if elsewhere and self.listen and self.stop.wait(self.listen):
            raise Interrupted("interrupted; nothing was taken over")
        return self.store.take_over(dead, here, asked)

    def desk(self, volume: str) -> "Desk":
        """A place to work on one volume."""
        return Desk(self, Journal(self.store, volume, self.stop, self.listener))


class Desk:
    """The machines as one volume's work sees them: one memory each, one journal for all."""

    def __init__(self, means: Means, journal: Journal) -> None:
        self.means = means
        self.journal = journal
        self._machines: dict[str, Host] = {}
        self._lock = threading.Lock()

    def machine(self, name: str) -> Host:
        """A host of the configuration. Raises ConfigError when there is none of that name."""
        watcher: Watcher = self.journal
        with self._lock:
            if name not in self._machines:
                self._machines[name] = self.means.machine(name).watched_by(watcher)
            return self._machines[name]

    def backend(self, name: str) -> Backend:
        """A backend of the configuration, over this desk's machine. Raises ConfigError."""
        settings = self.means.config.backends.get(name)
        if settings is None:
            known = ", ".join(sorted(self.means.config.backends)) or "none"
            raise ConfigError(
                f"there is no backend {name!r} in the configuration; known: {known}",
                hint="did the name change? `extendctl config show` shows what is read",
            )
        return self.means.backend(name, self.machine(settings.host))

    def forget(self) -> None:
        """Let everything be measured anew."""
        for machine in self._machines.values():
            machine.forget()


def side_by_side(work: Callable[[T], R], items: Iterable[T], *, patient: bool = False) -> list[R]:
    """`work` on all items at once, results in their order; the first exception is raised.

    With `patient`, not before all have ended: for work that must not be left alone.
    """
    todo = list(items)
    if len(todo) < 2:
        return [work(item) for item in todo]
    pool = ThreadPoolExecutor(max_workers=min(WORKERS, len(todo)))
    try:
        return list(pool.map(work, todo))
    finally:
        pool.shutdown(wait=patient, cancel_futures=True)


def attempt(work: Callable[[], R]) -> R | ExtendctlError:
    """The result, or the error that came instead."""
    try:
        return work()
    except ExtendctlError as error:
        return error
