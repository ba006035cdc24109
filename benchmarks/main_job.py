"""Measure the main job against the same work as a shell script, and what it costs to start."""

import argparse
import compileall
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import extendctl
from benchmarks import figures
from benchmarks.contest import Contest
from benchmarks.in_lab import VOLUMES, in_lab
from benchmarks.native import native
from benchmarks.starts import starts

PARTS = ("starts", "native", *VOLUMES)


def main(words: list[str]) -> int:
    """Run the parts that are asked for; figures to stdout, progress to stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.main_job", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all, or of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--tape", action="store_true", help="show each command that went out")
    arguments = parser.parse_args(words)
    parts, runs = arguments.parts or list(PARTS), arguments.runs
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # An installed program has its bytecode, whatever PYTHONDONTWRITEBYTECODE says here.
    compileall.compile_dir(str(Path(extendctl.__file__).parent), quiet=2)
    if "starts" in parts:
        show(figures.of_starts(starts(runs), runs))
    if "native" in parts:
        found = native(runs)
        show_contest(found.contest, runs, tape=arguments.tape)
        show(figures.of_native(found))
    if volumes := [name for name in VOLUMES if name in parts]:
        for contest in in_lab(volumes, runs):
            show_contest(contest, runs, tape=arguments.tape)
    return 0


def show_contest(contest: Contest, runs: int, *, tape: bool) -> None:
    """The tables of one contest, and with `tape` each command."""
    show(figures.of_contest(contest, runs))
    if tape:
        show(figures.of_tape(contest))


def show(lines: Iterable[str]) -> None:
    """Print, at once."""
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    # So that machines and mounts are let go of then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
