"""What is wrong in a configuration file, and where: positions, findings, and suggestions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

KeyPath = tuple[str | int, ...]
"""Where a value stands in the data: keys, and indices of lists."""

UNREADABLE: Final[Any] = object()
"""Stands for a value that has been found wrong already, so that it is not reported twice."""

_LISTED = 12  # names shown where nothing is near; a list of a thousand hosts helps no one


class Place(NamedTuple):
    """Line and column, counted from 1, and the text of a single value as it was written."""

    line: int
    column: int
    text: str | None = None


class Finding(NamedTuple):
    """One fault. Without a place of its own it is shown where its key stands."""

    path: KeyPath
    message: str
    place: Place | None = None


@dataclass(slots=True)
class Document:
    """A file as plain data, with the place of each key and what was wrong already."""

    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Where the key stands, or the nearest section around it that exists."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


def lines(name: str, document: Document, findings: Iterable[Finding]) -> list[str]:
    """Each finding once, in the order of the file: `FILE:LINE:COLUMN: KEY: what is wrong`."""
    seen: dict[tuple[int, int, str], None] = {}
    for path, message, place in findings:
        at = place or document.place(path)
        text = f"{dotted(path)}: {message}" if path else message
        seen[(at.line, at.column, text)] = None
    return [f"{name}:{line}:{column}: {text}" for line, column, text in sorted(seen)]


def dotted(path: KeyPath) -> str:
    """`policy.autoextend[0].match`; what a terminal would obey is written as an escape."""
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f".{printable(part)}"
    return words.removeprefix(".")


def printable(text: str) -> str:
    """The text, with control characters escaped and no longer than a line can bear."""
    short = text if len(text) <= 80 else text[:77] + "..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)


def near(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    matches = get_close_matches(word, list(known), n=1)
    return matches[0] if matches else None


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """`unknown host 'sillo'; did you mean 'silo'?`, or the known ones where none is near."""
    names = list(known)
    text = f"unknown {what} '{printable(word)}'"
    meant = near(word, names)
    if meant is not None:
        return f"{text}; did you mean '{printable(meant)}'? ({listed(names)})"
    return f"{text} ({listed(names)})"


def listed(names: list[str]) -> str:
    """`known: lvm, iscsi, file`, cut short where there are many."""
    if not names:
        return "none is defined"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return "known: " + ", ".join(printable(name) for name in names[:_LISTED]) + more
