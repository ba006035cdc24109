"""What people are shown of what a discovery has found."""

from collections.abc import Sequence

from extendctl.compute.sight import Sight
from extendctl.discovery import Found
from extendctl.model import Outcome
from extendctl.page import Cell, Line, Page, Table, Tone, cell
from extendctl.size import human
from extendctl.views import reasons

_WORDS = {
    Outcome.PLANNED: ("can be taken in", Tone.PLAIN),
    Outcome.DONE: ("taken in", Tone.GOOD),
    Outcome.REFUSED: ("refused", Tone.BAD),
    Outcome.NOT_NOW: ("not now", Tone.BAD),
}


def finds(backend: str, found: Sequence[Found]) -> Page:
    """The finds, a line each, and why some cannot be taken in."""
    if not found:
        return [Line(f"{backend} has nothing that is not managed already")]
    rows = tuple(
        (
            Cell(one.name),
            Cell(human(one.source.size)),
            cell(one.source.known),
            cell(", ".join(map(_use, one.sights))),
            Cell(*_words(one)),
        )
        for one in found
    )
    columns = ("NAME", "SIZE", "IDENTITY", "HOSTS", "OUTCOME")
    wide = frozenset({"NAME", "IDENTITY", "HOSTS"})
    page: list[Line | Table] = [Table(columns, rows, frozenset({"SIZE"}), wide)]
    for one in found:
        if one.error is not None:
            page.append(Line(f"{one.name}: {_WORDS[one.outcome][0]}", Tone.BAD))
            page += reasons(one.error.faults)
    return page


def _words(one: Found) -> tuple[str, Tone]:
    if one.volume is not None and one.outcome is Outcome.DONE:
        return "attached", Tone.GOOD
    return _WORDS[one.outcome]


def _use(one: Sight) -> str:
    return f"{one.host} ({one.mountpoint or one.device})"


def unattached(attached: Sequence[Found]) -> Page:
    """For stderr: volumes that hosts have and that nobody has written down as attached."""
    page: list[Line] = []
    for one in attached:
        if one.sights:
            hosts = ", ".join(map(_use, one.sights))
            page.append(Line(f"{one.name} is not attached to hosts that have it: {hosts}"))
            page.append(Line(f"hint: extendctl volume attach {one.name} --discover", indent=2))
        if one.error is not None:
            page.append(Line(f"{one.name}: {one.error.fault.code}", Tone.BAD))
            page += reasons(one.error.faults)
    return page
