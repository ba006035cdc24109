"""One case after another: faults in a row on one extension, the truth after each, then the goal."""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from extendctl.errors import ExtendctlError
from extendctl.extension.abandon import abandon
from extendctl.model import Operation, VolumeReport
from extendctl.owner import me
from extendctl.records import Run
from tests.elsewhere import elsewhere, possible
from tests.extending import MEMORY, VOLUME, Rehearsal, Stage, sizes
from tests.mortal import Fate, Program, Work, killed, live, start
from tests.torture import blows, truth
from tests.torture.blows import Arm
from tests.torture.cases import Case, Round, making

STATUSES = frozenset({0, 2, 3, 4, 5, 130, -signal.SIGKILL})
SILENT = frozenset({"cut-question", "machine-down", "machine-reboot", "state-away", "state-gone"})
"""Faults after which nothing is known: the answer to them is never a no."""
UNTOUCHED = frozenset({2, 3, 4})
"""Exit statuses that say that nothing was changed."""


@dataclass
class Verdict:
    """What came of a case: the faults that struck, by kind, and what was wrong."""

    case: Case
    struck: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Counting(Fate):
    """A fate that only counts the moments, by kind."""

    moments: Counter[str] = field(default_factory=Counter)

    def comes(self, kind: str) -> None:
        with self._lock:
            self.moments[kind] += 1


@dataclass(frozen=True)
class Frozen:
    """A stopped program, and the operation that it held."""

    program: Program
    operation: Operation | None


def run(case: Case) -> Verdict:
    """Everything that befalls a case; whatever is wrong stands in the verdict."""
    with TemporaryDirectory(dir=MEMORY) as directory:
        return Bench(case, Path(directory)).run()


class Bench:
    """A case at work: its stage, how it was in the beginning, and how it has to be in the end."""

    def __init__(self, case: Case, directory: Path) -> None:
        self.case = case
        self.verdict = Verdict(case)
        rehearsal = Rehearsal(making(case.site), directory, shared=True)
        stage = rehearsal.again()
        counting = Counting(0, killed)
        assert live(stage, counting, self._work("extend")) == 0, f"{case} has no end"
        self.base, self.goal = rehearsal.state, stage.world.state
        self.moments = counting.moments
        self.sent = Counter((entry.machine, entry.kind) for entry in self.goal.log)
        self.stage = rehearsal.again()
        self.arm = Arm(self.stage, directory / "struck")
        self.frozen: list[Frozen] = []
        self.running: list[Program] = []

    def run(self) -> Verdict:
        """The rounds, the thaw, and the last command."""
        try:
            for number, one in enumerate(self.case.rounds, 1):
                self._keep(f"round {number}", self._round(one))
            self._keep("the thaw", self._thaw())
            self._keep("the end", self._end())
        finally:
            for program in self.running:  # only a case that came to no end has any left
                os.kill(program.pid, signal.SIGKILL)
                program.ended()
            self.stage.store.close()
        return self.verdict

    def _keep(self, where: str, wrong: Iterator[str]) -> None:
        self.verdict.wrong += [f"{where}: {what}" for what in wrong]

    def _work(self, name: str) -> Work:
        size = self.case.size

        def work(stage: Stage) -> VolumeReport:
            return stage.resume() if name == "resume" else stage.extend(size)

        return work

    def _round(self, one: Round) -> Iterator[str]:
        """One program, or two, and what befalls it; then the truth."""
        stage = self.stage
        self._count("clock", bool(one.clock))
        if one.clock:
            blows.jump(stage, one.clock)
        unheard = self._take_over()
        earlier, growths = sizes(stage.world.state), stage.growths
        runs = self._runs()
        ends = [self._abandon()] if one.work == "abandon" else self._programs(one)
        yield from () if unheard else truth.too_early(runs, self._runs())
        yield from (f"exit status {end}" for end in ends if end not in {*STATUSES, None})
        if set(ends) <= UNTOUCHED and stage.growths != growths:
            yield f"it said {ends} and {stage.growths - growths} grew"
        struck = self._aftermath(one)
        if 3 in ends and struck and struck <= SILENT and not one.rival:
            yield f"after {struck}, it said no, and could not know"
        yield from truth.shrunk(earlier, sizes(stage.world.state))
        yield from truth.between(stage, self.base, self.goal)
        if one.thaw:
            yield from self._thaw()

    def _programs(self, one: Round) -> list[int | None]:
        """The exit statuses of those who ran; None of a frozen one, which has none yet."""
        fate = Fate(0, killed)
        if one.strike is not None:
            fate = self.arm.fate(one.strike, self.moments[one.strike.moment])
        if one.fault is not None:
            self.arm.place(one.fault, self.sent)
        programs = [start(self.stage, fate, self._work(one.work))]
        if one.rival:
            programs.append(start(self.stage, Fate(0, killed), self._rival(one)))
        self._count("rival", one.rival)
        self._count("elsewhere", one.rival and bool(self._apart(one)))
        self.running += programs
        ends = [self._waited(program) for program in programs]
        if ends[0] is None:
            self.frozen.append(Frozen(programs[0], self._open()))
        return ends

    def _rival(self, one: Round) -> Work:
        work = self._work("extend")
        return elsewhere(work, ahead=one.apart) if self._apart(one) else work

    def _apart(self, one: Round) -> int:
        """By how much the rival's machine is apart; not at all where that cannot be."""
        return one.apart if possible() else 0

    def _runs(self) -> list[Run]:
        store = self.stage.store
        return [run for one in store.operations(VOLUME) for run in store.runs(one.id)]

    def _waited(self, program: Program) -> int | None:
        end = program.stopped_or_ended()
        if end is not None:
            self.running.remove(program)
        return end

    def _open(self) -> Operation | None:
        return next(iter(self.stage.store.open_operations()), None)

    def _abandon(self) -> int:
        """Lead out of the unfinished operation; the way for what cannot be finished."""
        unfinished = self.stage.unfinished
        self._count("abandon", unfinished is not None)
        if unfinished is None:
            return 0
        try:
            abandon(self.stage.means(), unfinished.id)
        except ExtendctlError as error:
            return error.exit_status
        return 0

    def _take_over(self) -> bool:
        """Let nobody hear of who is frozen or was elsewhere, so that the next program takes over.

        Gives whether there was one.
        """
        pids = {one.program.pid for one in self.frozen}
        mine = self._open()
        if mine is None or (mine.owner.machine == me().machine and mine.owner.pid not in pids):
            return False
        blows.unheard(self.stage)
        return True

    def _aftermath(self, one: Round) -> set[str]:
        """Count what has struck, and mend what a round has broken; gives the kinds that struck."""
        struck, kinds = self.arm.struck(), set()
        rebooted = None
        if one.strike is not None and "strike" in struck:
            kinds.add(one.strike.kind)
            if one.strike.kind == "machine-reboot":
                rebooted = self.arm.machine(one.strike)
        if one.fault is not None and "fault" in struck:
            kinds.add(one.fault.kind)
        self.verdict.struck.update(kinds)
        blows.mend(self.stage, self.base, rebooted)
        return kinds

    def _count(self, kind: str, so: bool = True) -> None:
        self.verdict.struck[kind] += so

    def _thaw(self) -> Iterator[str]:
        """Who was frozen goes on: after it was taken over, it does nothing more.

        Also who was stopped between its last look at the state and the command, and cannot know.
        """
        while self.frozen:
            one = self.frozen.pop(0)
            before, growths = len(self.stage.world.deeds()), self.stage.growths
            mine = one.operation is not None and self._still(one.operation)
            one.program.thaw()
            status = one.program.ended()
            self.running.remove(one.program)
            if status not in STATUSES:
                yield f"thawed, it exits with {status}"
            deeds = len(self.stage.world.deeds()) - before
            if one.operation is not None and not mine:
                self._count("freeze-taken-over")
                if deeds:
                    yield f"taken over, it woke up and did {deeds} deeds"
                if self.stage.growths != growths:
                    yield f"taken over, it woke up and grew {self.stage.growths - growths}"
            yield from truth.between(self.stage, self.base, self.goal)

    def _still(self, operation: Operation) -> bool:
        now = self.stage.store.operation(operation.id)
        return (now.epoch, now.state) == (operation.epoch, operation.state)

    def _end(self) -> Iterator[str]:
        stage = self.stage
        pending = stage.unfinished is not None or stage.volume().lagging
        last = self.case.last if pending else "extend"
        self._take_over()
        report = self._work(last)(stage)
        yield from truth.between(stage, self.base, self.goal)
        yield from truth.reached(stage, report, self.goal)


class TooLong(Exception):
    """A case did not end in its time."""


def bounded(case: Case, seconds: int = 120) -> Verdict:
    """A case, with a limit to its time; what it raises is wrong, too."""

    def late(_signal: int, _frame: object) -> None:
        raise TooLong(f"it has not ended after {seconds} s")

    verdict = Verdict(case)
    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        verdict = run(case)
    except (Exception, TooLong) as error:  # noqa: BLE001 - whatever it is, the case is lost by it
        verdict.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    return verdict


def counted(verdicts: Sequence[Verdict]) -> Counter[str]:
    """How often each kind has struck."""
    total: Counter[str] = Counter()
    for verdict in verdicts:
        total.update(verdict.struck)
    return total
