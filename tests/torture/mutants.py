"""Takes one safeguard after another out of a copy of the program, and lets the tests notice."""

import shutil
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.torture.bounds import bounded

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


@dataclass(frozen=True)
class Hunt:
    """What became of the mutants; `trouble` says which were not tried, `broken` that none could."""

    falls: Sequence[Fall] = ()
    trouble: str = ""
    broken: bool = False


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
    own = {"PYTHONPATH": str(copy)}
    with (copy / "said").open("w+") as said:
        asked = (sys.executable, "-c", "import extendctl; print(extendctl.__file__)")
        bounded(asked, copy, own, LIMIT, said)
        said.seek(0)
        assert said.read().startswith(str(copy)), "the copy's program is not the one in use"
        status = bounded((sys.executable, *_PYTEST, *words), copy, own, LIMIT, said)
        said.seek(0)
        return status, said.read()


def hunt(every: Sequence[Mutant], seconds: float | None = None) -> Hunt:
    """All mutants, two at a time, each told when it has fallen; none is begun after `seconds`."""
    until = None if seconds is None else time.monotonic() + seconds
    failing = baseline(every)
    if failing:
        print(failing)
        return Hunt(trouble="their tests fail without any mutation", broken=True)
    found: list[Fall] = []
    for pair in batched(every):
        if until is not None and time.monotonic() > until:
            missing = len(every) - len(found)
            return Hunt(found, f"there was no time left for {missing} of them")
        with ThreadPoolExecutor(max_workers=len(pair)) as pool:
            found += [_told(one) for one in pool.map(fall, pair)]
    return Hunt(found)


def _told(one: Fall) -> Fall:
    said = "" if one.by else f"\n{one.said}"
    by = one.by or "NOT CAUGHT"
    print(f"{one.seconds:6.1f} s  {one.mutant.name}: {by}{said}", flush=True)
    return one


def batched(every: Sequence[Mutant]) -> Iterator[Sequence[Mutant]]:
    """Two after two."""
    return (every[at : at + 2] for at in range(0, len(every), 2))


def main(names: Sequence[str]) -> int:
    """Let all mutants fall, or those with such a word in their name; 1 when one stands."""
    every = [one for one in mutants() if not names or any(name in one.name for name in names)]
    found = hunt(every)
    caught = sum(one.by is not None for one in found.falls)
    print(f"{caught} of {len(every)} mutants caught{found.trouble and ': '}{found.trouble}")
    return 0 if caught == len(every) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
