"""Run a program to its end and say what it cost; several in turns, so that noise hits all alike."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """One run: seconds on the wall, seconds of processor."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Series:
    """What several runs of the same thing cost."""

    costs: tuple[Cost, ...]

    @property
    def wall(self) -> float:
        return median(one.wall for one in self.costs)

    @property
    def cpu(self) -> float:
        return median(one.cpu for one in self.costs)

    @property
    def span(self) -> tuple[float, float]:
        """The shortest and the longest time on the wall."""
        walls = [one.wall for one in self.costs]
        return min(walls), max(walls)


class Failed(Exception):
    """A program that is measured did not end well, so that its time means nothing."""


def timed(argv: Sequence[str]) -> Cost:
    """Run to the end. The processor's is that of the process and of what it waited for."""
    with tempfile.TemporaryFile() as said:
        begun = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            words = said.read().decode(errors="replace")
            raise Failed(f"{' '.join(argv)}: exit {process.returncode}\n{words}")
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def in_turns(rivals: Mapping[str, Callable[[], Cost]], runs: int) -> dict[str, Series]:
    """Each once, then each again in an order turned by one; no place in the row is the better."""
    costs: dict[str, list[Cost]] = {name: [] for name in rivals}
    names = list(rivals)
    for run in range(runs):
        for name in (*names[run % len(names) :], *names[: run % len(names)]):
            costs[name].append(rivals[name]())
            print(f"  run {run + 1}, {name}: {costs[name][-1].wall:.2f} s", file=sys.stderr)
    return {name: Series(tuple(found)) for name, found in costs.items()}
