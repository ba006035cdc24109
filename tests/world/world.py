"""A world of simulated machines that outlives the program that works on it."""

import fcntl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from extendctl.config import HostConfig
from extendctl.transport import Result
from tests.world import faults
from tests.world.answer import Answer
from tests.world.machine import Undressed, late, run, undress
from tests.world.state import Entry, Fault, Machine, State

Change = Callable[[State], object]


class World:
    """Simulated machines, in memory or in one JSON file that processes share.

    Every command is one atomic step: the state is read, acted on and written under a lock, so a
    program that is killed leaves a world as real machines would be left.
    """

    def __init__(self, path: Path | None = None, state: State | None = None) -> None:
        self.path = path
        self._state = state or State()
        self._lock = threading.RLock()
        self._depth = 0
        self._surprises: list[tuple[str, str, Change]] = []
        if path is not None and (state is not None or not path.exists()):
            with self._lock:
                self._save()

    @classmethod
    def load(cls, path: Path) -> "World":
        """The world in a file."""
        if not path.exists():
            raise FileNotFoundError(path)
        return cls(path)

    @contextmanager
    def change(self) -> Iterator[State]:
        """The state, to be read and changed; it is written when the block ends well."""
        with self._lock, self._file_lock():
            if self.path is not None and self._depth == 0:
                self._state = State.model_validate_json(self.path.read_bytes())
            self._depth += 1
            try:
                yield self._state
            finally:
                self._depth -= 1
            if self._depth == 0:
                self._save()

    @contextmanager
    def still(self) -> Iterator[None]:
        """No command of this process is under way while the block runs, so none holds the file."""
        with self._lock:
            yield

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        if self.path is None or self._depth:
            yield
            return
        with self.path.with_suffix(".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _save(self) -> None:
        if self.path is None:
            return
        fresh = self.path.with_suffix(".new")
        fresh.write_text(self._state.model_dump_json(exclude_defaults=True))
        fresh.replace(self.path)

    # Looking ------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """A copy of the state as it is now; changing it changes nothing."""
        with self.change() as state:
            return state.model_copy(deep=True)

    def machine(self, name: str) -> Machine:
        """A copy of one machine."""
        return self.state.machines[name]

    @property
    def log(self) -> list[Entry]:
        """Every command that has reached a machine, in order."""
        return self.state.log

    def deeds(self, machine: str | None = None) -> list[tuple[str, ...]]:
        """The undressed argv of every deed that acted, or might have."""
        return [
            entry.argv
            for entry in self.log
            if entry.kind == "deed" and machine in {None, entry.machine}
        ]

    def count(self, machine: str | None = None) -> int:
        """Commands that were sent, to one machine or to all."""
        calls = self.state.calls
        return sum(calls.values()) if machine is None else calls.get(machine, 0)

    def forget(self) -> None:
        """Begin the log and the counting anew."""
        with self.change() as state:
            state.log, state.calls = [], {}

    # Faults -------------------------------------------------------------------------------------

    def cut(
        self,
        machine: str,
        call: int = 1,
        when: str = "before",
        *,
        only: str | None = None,
        tool: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Lose the line at the `call`-th command from now, before or after it acts, or `unsent`."""
        self._fault(
            Fault(
                kind="cut",
                machine=machine,
                skip=call - 1,
                times=times,
                when=when,
                only=only,
                tool=tool,
            )
        )

    def die(
        self, machine: str, call: int = 1, when: str = "before", *, only: str | None = None
    ) -> None:
        """SIGKILL to the asking process at the `call`-th command from now."""
        self._fault(
            Fault(kind="die", machine=machine, skip=call - 1, times=1, when=when, only=only)
        )

    def lie(
        self,
        machine: str,
        tool: str,
        *,
        status: int | None = 0,
        acts: bool = False,
        out: str = "",
        err: str = "",
        times: int | None = None,
        skip: int = 0,
        only: str | None = None,
    ) -> None:
        """Let a tool say what is not so; status None keeps its own words."""
        self._fault(
            Fault(
                kind="lie",
                machine=machine,
                tool=tool,
                status=status,
                acts=acts,
                out=out,
                err=err,
                times=times,
                skip=skip,
                only=only,
            )
        )

    def slow(
        self,
        machine: str,
        tool: str,
        seconds: float,
        *,
        acts: bool = True,
        times: int | None = None,
        only: str | None = None,
    ) -> None:
        """Let a tool take its time; past its limit it is ended at once, without any waiting."""
        self._fault(
            Fault(
                kind="slow",
                machine=machine,
                tool=tool,
                seconds=seconds,
                acts=acts,
                times=times,
                only=only,
            )
        )

    def down(self, machine: str, said: str = "connection timed out") -> None:
        """Nobody reaches the machine any more."""
        with self.change() as state:
            state.down[machine] = said

    def up(self, machine: str) -> None:
        """The machine is back."""
        with self.change() as state:
            state.down.pop(machine, None)

    def later(self, seconds: float) -> None:
        """So much time goes by on all machines; by itself it stands still."""
        with self.change() as state:
            for one in state.machines.values():
                one.uptime += seconds

    def heal(self) -> None:
        """No more faults, and all machines are up."""
        with self.change() as state:
            state.faults, state.down = [], {}

    def surprise(self, machine: str, tool: str, change: Change) -> None:
        """Change the world just before a tool runs next: somebody else was quicker."""
        self._surprises.append((machine, tool, change))

    def _fault(self, fault: Fault) -> None:
        with self.change() as state:
            assert fault.machine in state.machines, f"no machine {fault.machine}"
            state.faults.append(fault)

    # Running ------------------------------------------------------------------------------------

    def run(
        self, machine: str, user: str, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> Result:
        """One command on one machine, with what may go wrong with it."""
        with self.change() as state:
            state.calls[machine] = state.calls.get(machine, 0) + 1
            down = state.down.get(machine)
            bare = undress(argv)
            verdict, answer = faults.Verdict(), Answer()
            if down is None:
                self._spring(state, machine, bare.tool)
                verdict = faults.judge(state, machine, bare, timeout)
                if verdict.acts:
                    answer = run(state, machine, user, argv, stdin)
                answer = verdict.answer or answer
                if verdict.lost != "unsent" and not late(state.machines[machine], bare):
                    state.log.append(_entry(machine, user, bare, stdin, answer, verdict))
        if down is not None:
            raise faults.unreachable(machine, down)
        faults.suffer(verdict, machine)
        return Result(tuple(argv), answer.status, answer.out, answer.err)

    def _spring(self, state: State, machine: str, tool: str) -> None:
        for one in [one for one in self._surprises if one[:2] == (machine, tool)]:
            self._surprises.remove(one)
            one[2](state)

    def line(self, config: HostConfig) -> "WorldTransport":
        """The transport to a configured host: what a composition root asks for."""
        return WorldTransport(self, config.name, config.user or "ops")


def _entry(
    machine: str, user: str, bare: Undressed, stdin: bytes, answer: Answer, verdict: faults.Verdict
) -> Entry:
    return Entry(
        machine=machine,
        user=user,
        argv=bare.argv,
        status=None if verdict.lost else answer.status,
        kind="deed" if bare.deed else "question",
        stdin=stdin.decode() if bare.deed else "",
        acted=verdict.acts,
    )


class WorldTransport:
    """A line to a simulated machine."""

    def __init__(self, world: World, machine: str, user: str = "ops") -> None:
        self.world, self.machine, self.user = world, machine, user
        self.closed = 0

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        return self.world.run(self.machine, self.user, argv, stdin, timeout)

    def close(self) -> None:
        self.closed += 1
