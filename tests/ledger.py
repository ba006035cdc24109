"""Notes each fault that strikes and each test that ends, where the environment names a file."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

NAME = "EXTENDCTL_LEDGER"
"""The variable that names the file; without it, nothing is noted."""


@dataclass
class Ledger:
    """What a file of notes says: tests by outcome, and the faults of each test by kind."""

    outcomes: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Counter[str]] = field(default_factory=dict)


def fault(kind: str) -> None:
    """A fault of this kind has struck in the test that is running."""
    _note("fault", kind, os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0])


def outcome(test: str, said: str) -> None:
    """A test has ended: `passed`, `failed` or `skipped`."""
    _note("test", said, test)


def _note(*words: str) -> None:
    path = os.environ.get(NAME)
    if path is None:
        return
    with Path(path).open("a") as file:  # one write of one line: processes do not part it
        file.write("\t".join(words) + "\n")


def read(path: Path) -> Ledger:
    """All notes of a file."""
    found = Ledger()
    for line in path.read_text().splitlines() if path.exists() else ():
        what, said, test = line.split("\t")
        if what == "test":
            worse = found.outcomes.get(test) == "failed"
            found.outcomes[test] = "failed" if worse else said
        else:
            found.faults.setdefault(test, Counter())[said] += 1
    return found
