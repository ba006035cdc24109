"""Read a machine's mounts, and which of them can be reached by the path that they are at."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/self/mountinfo (proc_pid_mountinfo(5)), unescaped.

    A `covered` one cannot be reached by its path any more: another one is mounted over it, or over
    a directory above it. What tools do at that path, they do to the other one.
    """

    dev: str
    root: str
    point: str
    fstype: str
    source: str
    options: frozenset[str]
    super_options: frozenset[str]
    covered: bool = False

    @property
    def read_only(self) -> bool:
        """True when the filesystem or this mount of it refuses writing."""
        return "ro" in self.options or "ro" in self.super_options


def mounts(lines: Sequence[str]) -> Iterator[Mount]:
    """The mounts of mountinfo's lines, in the kernel's order; what cannot be read is left out."""
    rows = dict(row for row in map(_row, lines) if row is not None)
    over = {(parent, row.point): own for (own, parent), row in rows.items() if own != parent}
    known = {own for own, _ in rows}
    top = next((own for (own, parent), row in rows.items()
                if row.point == "/" and (parent not in known or parent == own)), None)  # fmt: skip
    for (own, _), row in rows.items():
        hidden = top is not None and _at(row.point, top, over) != own
        yield replace(row, covered=hidden)


def _row(line: str) -> tuple[tuple[str, str], Mount] | None:
    """A mount by its own id and its parent's."""
    front, _, back = line.partition(" - ")
    fields, tail = front.split(" "), back.split(" ")
    if len(fields) < 6 or len(tail) < 3:
        return None
    return (fields[0], fields[1]), Mount(
        dev=fields[2],
        root=unescape(fields[3]),
        point=unescape(fields[4]),
        options=frozenset(fields[5].split(",")),
        fstype=tail[0],
        source=unescape(tail[1]),
        super_options=frozenset(tail[2].split(",")),
    )


def _at(path: str, top: str, over: Mapping[tuple[str, str], str]) -> str:
    """Which mount a path leads into: at each directory on the way, the one mounted there last."""
    where, here = top, ""
    for part in ("", *filter(None, path.split("/"))):
        here = f"{here.rstrip('/')}/{part}"
        seen = {where}
        while (found := over.get((where, here))) is not None and found not in seen:
            where = found
            seen.add(where)
    return where


def unescape(text: str) -> str:
    r"""Undo the kernel's octal escapes: `\040` is a space (fs/proc_namespace.c, mangle)."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
