"""Runs the tests that inject faults at every moment, and counts what they injected."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import ledger
from tests.lab.tools import unusable
from tests.torture.bounds import bounded

TOP = Path(__file__).parent.parent.parent
FAULTY = (
    "test_ssh*.py",
    "test_*faults*.py",
    "test_*races*.py",
    "test_*hostile*.py",
    "test_identity.py",
    "test_outliving.py",
    "test_extension_hosts.py",
    "test_extension_pool.py",
    "test_extension_status.py",
)
"""Files whose tests are about what goes wrong, beside all that try every moment."""
LONG = "pytest.mark.long"
IN_THE_LAB = ("test_*dies*.py", "test_*faults*.py")
NAMES = {"killed": "kill", "stopped": "freeze", "fail": "state fails"}
"""What the tests' own acts are called in the record."""
_PYTEST = (sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "tests.torture.outcomes")
_TOLD = (0, 1)  # pytest's exit statuses that the tests' own outcomes tell of


@dataclass
class Row:
    """One file of tests: its tests by outcome, its faults by kind, and those in failed tests."""

    file: str
    says: str
    tests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


@dataclass
class Suite:
    """The rows of one run of pytest; `trouble` says what of it did not run.

    `broken` is when that is not for want of time or of machines.
    """

    rows: list[Row] = field(default_factory=list)
    trouble: str = ""
    broken: bool = False
    seconds: float = 0.0


def simulated(seconds: float) -> Suite:
    """Every file about faults that needs no lab; `seconds` is all the time that it may take."""
    return _run(("-n", "2", *_simulated()), seconds)


def _simulated() -> list[str]:
    here = TOP / "tests"
    faulty = {path for pattern in FAULTY for path in here.glob(pattern)}
    long = {path for path in here.glob("test_*.py") if LONG in path.read_text()}
    return sorted(
        str(path.relative_to(TOP)) for path in faulty | long if "torture" not in path.name
    )


def laboratory(seconds: float) -> Suite:
    """The faults of real machines, where the lab can run."""
    reason = unusable()
    if reason is not None:
        return Suite(trouble=f"not run: {reason}")
    here = TOP / "tests" / "lab"
    files = {path for pattern in IN_THE_LAB for path in here.glob(pattern)}
    return _run(sorted(str(path.relative_to(TOP)) for path in files), seconds)


def _run(words: Sequence[str], seconds: float) -> Suite:
    with TemporaryDirectory() as directory:
        notes = Path(directory) / "ledger"
        began = time.monotonic()
        status = bounded((*_PYTEST, *words), TOP, {ledger.NAME: str(notes)}, seconds)
        took = time.monotonic() - began
        found = rows(ledger.read(notes))
    if status is None:
        return Suite(found, f"ended after {took:.0f} s, before all tests had run", seconds=took)
    broken = status not in _TOLD
    return Suite(found, f"pytest ended with {status}" if broken else "", broken, took)


def rows(notes: ledger.Ledger) -> list[Row]:
    """The notes by file, in the files' order."""
    found: dict[str, Row] = {}
    for test, outcome in sorted(notes.outcomes.items()):
        file = test.partition("::")[0]
        row = found.setdefault(file, Row(file, _duty(file)))
        row.tests[outcome] += 1
        struck = {NAMES.get(kind, kind): n for kind, n in notes.faults.get(test, {}).items()}
        row.faults.update(struck)
        if outcome == "failed":
            row.lost.update(struck)
    return list(found.values())


def _duty(file: str) -> str:
    """The first sentence of a file of tests."""
    return (TOP / file).read_text().split('"""')[1].split("\n")[0]


def total(rows: Iterable[Row]) -> tuple[Counter[str], Counter[str]]:
    """All faults by kind, and those that were lost."""
    faults: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for row in rows:
        faults.update(row.faults)
        lost.update(row.lost)
    return faults, lost
