"""Programs that die, freeze or are told to stop at a chosen moment, in a process of their own."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from extendctl.database import Database
from extendctl.errors import ExtendctlError
from extendctl.model import VolumeReport
from extendctl.store import Store
from extendctl.transport import Result, Transport
from tests import ledger
from tests.extending import Stage
from tests.world.machine import undress

EVERYTHING = ("deed before", "deed after", "commit before", "commit after")


@dataclass
class Fate:
    """Acts at the `number`-th moment of these kinds, once, or with `lasting` at each from it on."""

    number: int
    act: Callable[[], None]
    kinds: Sequence[str] = EVERYTHING
    seen: int = 0
    lasting: bool = False
    still: Callable[[], AbstractContextManager[None]] = nullcontext
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def comes(self, kind: str) -> None:
        """Act, if it is the moment: `still` keeps other threads out of what is not real.

        A program that is stopped would otherwise take the simulated world's lock into its sleep.
        """
        with self._lock:
            self.seen += kind in self.kinds
            late = self.lasting and 0 < self.number < self.seen
            struck = kind in self.kinds and (self.seen == self.number or late)
        if struck:
            ledger.fault(self.act.__name__)
            with self.still():
                self.act()


class MortalDatabase(Database):
    """A database whose every commit is two moments, but for those that only show life.

    They come when they come, and what they strike would be another thread in the middle of a deed.
    """

    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url)
        self.fate = fate
        self.alone = threading.RLock()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        alive = threading.current_thread().name == "heartbeat"
        with self.alone, super().writing() as connection:
            yield connection
            if not alive:
                self.fate.comes("commit before")
        if not alive:
            self.fate.comes("commit after")


@dataclass
class MortalLine:
    """A line on which every deed and every question is two moments."""

    line: Transport
    fate: Fate

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        kind = "deed" if undress(argv).deed else "question"
        self.fate.comes(f"{kind} before")
        try:
            return self.line.run(argv, stdin, timeout)
        finally:
            self.fate.comes(f"{kind} after")

    def close(self) -> None:
        self.line.close()


Work = Callable[[Stage], VolumeReport]


def extending(stage: Stage) -> VolumeReport:
    """What the other program does, if nothing else is said."""
    return stage.extend()


@dataclass
class Program:
    """Another process at work on the same state and the same world."""

    pid: int

    def ended(self) -> int:
        """Its exit status, or the negative number of the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def frozen(self) -> bool:
        """Wait until it is stopped: False if it ended before that."""
        return self.stopped_or_ended() is None

    def stopped_or_ended(self) -> int | None:
        """Wait for the one or the other: None when it is stopped, else as `ended`."""
        status = os.waitpid(self.pid, os.WUNTRACED)[1]
        return None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


def killed() -> None:
    """As the kernel ends a program: no word, no cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def stopped() -> None:
    """As a debugger or a suspended laptop does it; all threads have stopped when time goes on."""
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.05)


def start(stage: Stage, fate: Fate, work: Work = extending) -> Program:
    """Let another process do it; its exit status is that of the command."""
    stage.store.close()
    pid = os.fork()
    if pid:
        return Program(pid)
    status = 1
    try:
        status = live(stage, fate, work)
    except BaseException:  # noqa: BLE001 - a child of a test must end here, whatever happens
        traceback.print_exc()
    finally:
        os._exit(status)


@contextmanager
def _still(stage: Stage, database: MortalDatabase) -> Iterator[None]:
    """No thread is inside a simulated command, and none but this one in a transaction."""
    with stage.world.still(), database.alone:
        yield


def live(stage: Stage, fate: Fate, work: Work = extending) -> int:
    """Do it in this process, under this fate; gives the exit status of the command."""
    database = MortalDatabase(stage.config.state, fate)
    with Store(database) as store:
        fate.still = lambda: _still(stage, database)
        mine = replace(
            stage,
            store=store,
            wrap=lambda line, _: MortalLine(line, fate),
            listener=lambda *_: fate.comes("event"),  # of a layer, when it has been written down
        )
        try:
            return work(mine).exit_status
        except ExtendctlError as error:
            return error.exit_status
