"""Measure the main job against the same work as a shell script, and what it costs to start."""

import argparse
import sys
from collections.abc import Iterable

from benchmarks import figures
from benchmarks.in_lab import in_lab
from benchmarks.native import native
from benchmarks.starts import starts

PARTS = ("starts", "native", "lab")


def main(words: list[str]) -> int:
    """Run the parts that are asked for; figures to stdout, progress to stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.main_job", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all, or of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default: 7)")
    arguments = parser.parse_args(words)
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for part in parts:
        measure(part, arguments.runs)
    return 0


def measure(part: str, runs: int) -> None:
    """Run one part and print its tables as soon as they are there."""
    print(f"{part}:", file=sys.stderr)
    if part == "starts":
        show(figures.of_starts(starts(runs), runs))
    elif part == "native":
        found = native(runs)
        show(figures.of_contest(found.contest, runs))
        show(figures.of_native(found))
    else:
        for contest in in_lab(runs):
            show(figures.of_contest(contest, runs))


def show(lines: Iterable[str]) -> None:
    """Print, at once."""
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
