"""Tortures the program for a stated time and writes down what came of it."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import count

from tests.torture import mutants, record, suite
from tests.torture.campaign import Verdict, bounded
from tests.torture.cases import case
from tests.torture.record import Run
from tests.torture.suite import Suite

WORKERS = 2
BATCH = 20  # cases between two looks at the clock
SHARE = 0.35  # of the time that is kept for the campaign


def main(words: Sequence[str] | None = None) -> int:
    """One case by its seed, or all of it; 1 when anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="do one case of the campaign again")
    parser.add_argument("--first", type=int, help="the campaign's first seed; else by the date")
    parser.add_argument("--no-lab", action="store_true", help="leave the virtual machines alone")
    chosen = parser.parse_args(words)
    if chosen.seed is not None:
        return again(chosen.seed)
    began = datetime.now(UTC)
    first = int(f"{began:%y%m%d%H}00000") if chosen.first is None else chosen.first
    run = torture(chosen.minutes, began, first, lab=not chosen.no_lab)
    record.write(run)
    print(f"written: {record.PAGE}")
    return 1 if run.bad else 0


def again(seed: int) -> int:
    """One case, in words."""
    one = case(seed)
    print(f"{one.site}, to {one.size}; the last command is {one.last}")
    for number, each in enumerate(one.rounds, 1):
        print(f"round {number}: {each}")
    verdict = bounded(one)
    print("struck:", ", ".join(kind for kind, times in verdict.struck.items() if times) or "none")
    for wrong in verdict.wrong:
        print(f"WRONG: {wrong}")
    print("lost" if verdict.wrong else "survived")
    return 1 if verdict.wrong else 0


def torture(minutes: float, began: datetime, first: int, *, lab: bool) -> Run:
    """Everything, in so many minutes; the campaign has the time that the others leave."""
    end = time.monotonic() + 60 * minutes

    def left() -> float:
        """Seconds before the campaign's own share begins."""
        return max(1.0, end - time.monotonic() - 60 * minutes * SHARE)

    tried = suite.simulated(left())
    hunted = mutants.hunt(mutants.mutants(), left())
    real = suite.laboratory(left()) if lab else Suite(trouble="not run, as asked by LAB=no")
    verdicts = list(campaign(first, end))
    return Run(minutes, began, verdicts, tried, real, hunted)


def campaign(first: int, end: float) -> Iterator[Verdict]:
    """Case after case until the time is over; what is lost is told at once."""
    with ProcessPoolExecutor(max_workers=WORKERS) as pool:
        for batch in count():
            start = first + batch * BATCH
            for verdict in pool.map(_one, range(start, start + BATCH)):
                for wrong in verdict.wrong:
                    print(f"LOST: seed {verdict.case.seed}: {wrong}", flush=True)
                yield verdict
            if time.monotonic() > end:
                return


def _one(seed: int) -> Verdict:
    return bounded(case(seed))


if __name__ == "__main__":
    sys.exit(main())
