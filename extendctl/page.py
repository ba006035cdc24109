"""What a person is shown, before it has colours: lines and tables, made safe to print."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a piece of text is meant; a terminal may colour it, a pipe does not."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    DIM = "dim"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table. On a terminal `depth` draws it as a branch of what stands above it."""

    text: str
    tone: Tone = Tone.PLAIN
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence. `raw` is text that must come out as it is: a script, a document."""

    text: str = ""
    tone: Tone = Tone.PLAIN
    indent: int = 0
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names.

    The columns in `right` hold sizes, those in `wide` may be folded on a narrow terminal. In a
    `grouped` table a terminal shows the first column where it changes; a pipe shows it always.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()
    grouped: bool = False


Page = Sequence[Line | Table]


def clean(text: str) -> str:
    r"""The text with all that a terminal would obey made visible: `\x1b[31m`, `\n`, `\u202e`.

    What machines say is shown by way of this, and of nothing else.
    """
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def cell(value: object, tone: Tone = Tone.PLAIN) -> Cell:
    """A field that shows a value; `-` for none."""
    text = "" if value is None else str(value)
    return Cell(text or "-", tone if text else Tone.DIM)


def facts(pairs: Sequence[tuple[str, object]]) -> Iterator[Line]:
    """Names and values, aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        shown = "-" if value in (None, "") else str(value)
        yield Line(f"{name:<{width}}  {shown}")


def plain(page: Page) -> str:
    """The page for a pipe or a file: no colour, nothing cut short, whatever its width."""
    return "".join(f"{line}\n" for block in page for line in _plain(block))


def _plain(block: Line | Table) -> Iterator[str]:
    if isinstance(block, Line):
        yield block.text if block.raw else " " * block.indent + clean(block.text)
        return
    rows = [block.columns, *([clean(one.text) for one in row] for row in block.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(block.columns))]
    for row in rows:
        padded = (
            text.rjust(width) if name in block.right else text.ljust(width)
            for name, text, width in zip(block.columns, row, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()
