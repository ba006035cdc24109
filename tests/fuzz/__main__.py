"""Fuzz every parser for a share of the time each, and tell how many inputs it was tried with."""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import seeds
from tests.fuzz.subjects import SUBJECTS

TOP = Path(__file__).parent.parent.parent
WORK = TOP / ".fuzz"
LONGEST = 16384  # bytes of an input
HANG = 10  # seconds after which an input counts as one that hangs


@dataclass(frozen=True)
class Run:
    """What came of fuzzing one parser: inputs tried, places reached, files that broke it."""

    name: str
    inputs: int
    reached: int
    broken: tuple[Path, ...]
    said: str


def fuzz(name: str, seconds: int) -> Run:
    """Fuzz one parser, beginning with its samples and what earlier runs have found."""
    corpus, dictionary = WORK / "corpus" / name, WORK / f"{name}.dict"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate([*seeds.of(name), *seeds.found(name)]):
        (corpus / f"seed{number}").write_bytes(sample)
    dictionary.write_text(_words(name) or '"0"\n')
    crashes = WORK / "broken"
    crashes.mkdir(exist_ok=True)
    before = set(crashes.glob(f"{name}-*"))
    options = {
        "max_total_time": seconds, "max_len": LONGEST, "timeout": HANG, "print_final_stats": 1,
        "artifact_prefix": f"{crashes}/{name}-", "dict": dictionary, "verbosity": 1,
    }  # fmt: skip
    words = [f"-{option}={value}" for option, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", name, *words, str(corpus)],
        cwd=TOP, capture_output=True, text=True, errors="replace", check=False,
        timeout=seconds + 120,
    )  # fmt: skip
    said = done.stderr + done.stdout
    broken = tuple(sorted(set(crashes.glob(f"{name}-*")) - before))
    if done.returncode and not broken:
        raise SystemExit(f"{name}: the fuzzer itself has failed:\n{said[-2000:]}")
    return Run(name, _last(r"number_of_executed_units: (\d+)", said), _last(r"cov: (\d+)", said),
               broken, said)  # fmt: skip


def _words(name: str) -> str:
    """What stands in the samples, as a dictionary of libFuzzer's."""
    found = {word for one in seeds.of(name) for word in re.findall(rb"[A-Za-z_/%.-]{3,24}", one)}
    return "".join(f'"{word.decode()}"\n' for word in sorted(found)[:400])


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _fault(run: Run) -> str:
    """The line in which Python says what has gone wrong."""
    lines = [line for line in run.said.splitlines() if re.match(r"\S*(Error|Exception)\b", line)]
    return lines[-1] if lines else "it hangs, or died"


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz; 1 when something has broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int, help="for all parsers together")
    parser.add_argument("names", nargs="*", help="parsers; all of them by default")
    asked = parser.parse_args(words)
    names = asked.names or list(SUBJECTS)
    WORK.mkdir(exist_ok=True)
    runs = []
    print(f"{'parser':18} {'inputs':>10} {'reached':>8}  broken by", flush=True)
    for name in names:
        run = fuzz(name, max(1, asked.seconds // len(names)))
        runs.append(run)
        broken = ", ".join(str(path.relative_to(TOP)) for path in run.broken) or "nothing"
        print(f"{run.name:18} {run.inputs:>10} {run.reached:>8}  {broken}", flush=True)
        if run.broken:
            print(f"{'':18} {_fault(run)}", flush=True)
    print(f"{'all of them':18} {sum(run.inputs for run in runs):>10}")
    return 1 if any(run.broken for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
