"""Takes one safeguard after another out of a copy of the program, and lets the tests notice."""

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

TOP = Path(__file__).parent.parent.parent
LIST = Path(__file__).parent / "mutants.toml"
LIMIT = 300  # seconds for the tests of one mutant
_TESTS_FAILED = 1  # pytest's exit status; others mean that they could not be run
_PYTEST = ("-m", "pytest", "-q", "--tb=line", "--no-header", "-p", "no:cacheprovider")


class StaleMutant(Exception):
    """The text that a mutant replaces is no longer there, or there more than once."""


@dataclass(frozen=True)
class Mutant:
    """One safeguard and how it is dropped: `old` becomes `new` in `file`; `tests` should fail."""

    name: str
    safeguard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, top: Path) -> str:
        """The file's text without the safeguard. Raises StaleMutant."""
        text = (top / self.file).read_text()
        found = text.count(self.old)
        if found != 1:
            raise StaleMutant(f"{self.name}: its old text stands {found} times in {self.file}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Fall:
    """What became of a mutant: `by` is the test that failed, None when none did."""

    mutant: Mutant
    by: str | None
    seconds: float
    said: str = ""


def mutants() -> list[Mutant]:
    """All of the list."""
    rows = tomllib.loads(LIST.read_text())["mutant"]
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def fall(mutant: Mutant, top: Path = TOP) -> Fall:
    """Run the mutant's tests on a copy without the safeguard. Raises StaleMutant."""
    text = mutant.applied(top)
    with TemporaryDirectory() as directory:
        copy = _copied(top, Path(directory))
        (copy / mutant.file).write_text(text)
        began = time.monotonic()
        status, said = _tested(copy, ("-x", *mutant.tests))
        seconds = time.monotonic() - began
    lines = [line for line in said.splitlines() if line.startswith("FAILED ")]
    failed = [line.removeprefix("FAILED ").partition(" - ")[0] for line in lines]
    by = failed[0].partition("::")[2] if status == _TESTS_FAILED and failed else None
    return Fall(mutant, by, seconds, said)


def baseline(every: Sequence[Mutant], top: Path = TOP) -> str:
    """The tests of all mutants on an untouched copy: nothing, or what they said when they failed.

    What fails without any mutation would catch everything.
    """
    with TemporaryDirectory() as directory:
        copy = _copied(top, Path(directory))
        wanted = dict.fromkeys(test for mutant in every for test in mutant.tests)
        status, said = _tested(copy, ("-n", "2", *wanted))
    return "" if status == 0 else said


def _copied(top: Path, place: Path) -> Path:
    for name in ("extendctl", "tests"):
        shutil.copytree(top / name, place / name)
    shutil.copy2(top / "pyproject.toml", place)
    return place


def _tested(copy: Path, words: Sequence[str]) -> tuple[int | None, str]:
    """Pytest's exit status and words, of the copy's program; None when it took too long."""
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    asked = (sys.executable, "-c", "import extendctl; print(extendctl.__file__)")
    where = subprocess.run(asked, cwd=copy, env=environment, capture_output=True, check=True)
    assert where.stdout.decode().startswith(str(copy)), "the copy's program is not the one in use"
    with (copy / "said").open("w+") as said:  # a pipe would stay open in a frozen grandchild
        tests = subprocess.Popen(
            (sys.executable, *_PYTEST, *words),
            cwd=copy, env=environment, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            status: int | None = tests.wait(LIMIT)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(tests.pid, signal.SIGKILL)
            tests.wait()
        said.seek(0)
        return status, said.read()


def falls(every: Sequence[Mutant], until: float | None = None) -> Iterator[Fall]:
    """All mutants, two at a time, in their order; none is begun after `until` (monotonic)."""
    for pair in batched(every):
        if until is not None and time.monotonic() > until:
            return
        with ThreadPoolExecutor(max_workers=len(pair)) as pool:
            yield from pool.map(fall, pair)


def batched(every: Sequence[Mutant]) -> Iterator[Sequence[Mutant]]:
    """Two after two."""
    return (every[at : at + 2] for at in range(0, len(every), 2))


def main(names: Sequence[str]) -> int:
    """Let all mutants fall, or those with such a word in their name; 1 when one stands."""
    every = [one for one in mutants() if not names or any(name in one.name for name in names)]
    failing = baseline(every)
    if failing:
        print(f"{failing}\nthese tests fail without any mutation")
        return 1
    standing = 0
    for one in falls(every):
        print(f"{one.seconds:6.1f} s  {one.mutant.name}: {one.by or 'NOT CAUGHT'}", flush=True)
        if one.by is None:
            standing += 1
            print(one.said)
    print(f"{len(every) - standing} of {len(every)} mutants caught")
    return 1 if standing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
