"""One volume's extension by the program and by scripts, in turns, and what came of it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import rivals
from benchmarks.clock import Cost, Series, in_turns
from benchmarks.rivals import Scripts
from benchmarks.tape import Recording, record
from extendctl.app import read_config

STEP = 4  # MiB


@dataclass(frozen=True)
class Contest:
    """All that was measured on one volume."""

    title: str
    tape: Recording
    series: dict[str, Series]
    commands: dict[str, int]

    def ratio(self, other: str) -> float:
        """How much longer the program takes than another, by medians."""
        return self.series[rivals.PROGRAM].wall / self.series[other].wall


@dataclass
class _Ladder:
    """Gives each run the next size."""

    size: int

    def next(self) -> int:
        self.size += STEP
        return self.size


@dataclass(frozen=True)
class Course:
    """What is run on: a volume, now of `size` MiB, and the hosts that have to do with it."""

    title: str
    config: Path
    volume: str
    hosts: tuple[str, ...]
    size: int

    @property
    def place(self) -> Path:
        """Where scripts are written."""
        return self.config.parent


def contest(course: Course, runs: int) -> Contest:
    """Grow a volume step by step: recorded, then in turns."""
    config, volume, hosts = course.config, course.volume, course.hosts
    ladder = _Ladder(course.size)
    tape = record(config, volume, hosts, ladder.next())
    scripts = Scripts(course.place, read_config(str(config)), tape, ladder.size)

    def script(kind: str) -> Cost:
        return scripts.run(kind, ladder.next())

    def program() -> Cost:
        return rivals.program(config, volume, ladder.next())

    runners = {kind: partial(script, kind) for kind in rivals.SCRIPTS}
    series = in_turns({rivals.PROGRAM: program, **runners}, runs)
    record(config, volume, hosts, ladder.next())  # sees that the scripts have left all in order
    commands = {kind: scripts.commands(kind) for kind in rivals.SCRIPTS}
    return Contest(course.title, tape, series, {rivals.PROGRAM: len(tape.calls), **commands})
