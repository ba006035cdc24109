"""Give results and messages to people and to programs; the one place that knows what they see."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from extendctl.page import Cell, Line, Page, Table, Tone, clean, plain
from extendctl.size import human
from extendctl.stack import Event, Measured

if TYPE_CHECKING:  # rich costs 50 ms, and only a terminal needs it
    import rich.console
    import rich.table
    import rich.text

OUTPUTS = ("table", "json", "yaml")

_STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.WARN: "yellow",
    Tone.DIM: "dim",
    Tone.STRONG: "bold",
}


def is_terminal(stream: IO[str]) -> bool:
    """True when a person looks at the stream through something that can move a cursor."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Console:
    """Results on stdout, in the form that was asked for; messages and progress on stderr.

    `verbosity` is -1 for no progress, 0, or 1 for every event in bytes.
    """

    def __init__(self, output: str = "table", verbosity: int = 0) -> None:
        self.output = output
        self.verbosity = verbosity
        self._ladder: Ladder | None = None

    def result(self, data: object, page: Callable[[], Page]) -> None:
        """Write one document: `data` for a program, or the page for a person."""
        if self.output == "json":
            _put(sys.stdout, as_json(data))
        elif self.output == "yaml":
            _put(sys.stdout, as_yaml(data))
        else:
            _show(sys.stdout, page())

    def message(self, page: Page) -> None:
        """Tell something on stderr."""
        _show(sys.stderr, page)

    def detail(self, text: str) -> None:
        """Tell what only -v wants to know."""
        if self.verbosity > 0:
            self.message([Line(text, Tone.DIM)])

    def can_ask(self) -> bool:
        """True when there is somebody who reads a question and can answer it."""
        return self.output == "table" and sys.stdin.isatty() and is_terminal(sys.stderr)

    @contextmanager
    def watching(self, volume: str) -> Iterator[None]:
        """Show a volume's layers while they grow, on a terminal, without -q; -v has lines."""
        if self.verbosity != 0 or not is_terminal(sys.stderr):
            yield
            return
        from rich.live import Live

        self._ladder = Ladder(volume)
        try:
            with Live(
                console=_rich(sys.stderr),
                get_renderable=self._ladder.picture,
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
                redirect_stderr=False,
            ):
                yield
        finally:
            self._ladder = None

    def heard(self, volume: str, event: Event) -> None:
        """Listen to an extension. Is called from several threads.

        An extension must not end because nobody reads its progress: then it is told no more.
        """
        try:
            self._tell(volume, event)
        except OSError:
            self.verbosity = -1

    def _tell(self, volume: str, event: Event) -> None:
        ladder = self._ladder
        if ladder is not None:
            ladder.note(event)
        if self.verbosity > 0 or (self.verbosity == 0 and ladder is None):
            line = _told(volume, event, exact=self.verbosity > 0)
            if line is not None:
                self.message([line])


class Ladder:
    """A volume's layers as they are at this moment, for a picture that is drawn again and again."""

    def __init__(self, volume: str) -> None:
        self._volume = volume
        self._events: dict[str, Event] = {}

    def note(self, event: Event) -> None:
        """Take in an event. One assignment, so that threads do not meet."""
        self._events[event.layer.key] = event

    def picture(self) -> "rich.table.Table | rich.text.Text":
        """What is known now."""
        events = list(self._events.values())
        if not events:
            return _text(f"{self._volume}: looking at every layer on every host ...", Tone.DIM)
        height = max(4, _rich(sys.stderr).height - 3)
        rows = tuple(_rung(event) for event in events[-height:])
        return _table(Table(_COLUMNS, rows, frozenset({"SIZE"}), frozenset({"NAME"})))


_COLUMNS = ("HOST", "KIND", "NAME", "SIZE", "")


def _rung(event: Event) -> tuple[Cell, ...]:
    layer = event.layer
    where = (Cell(layer.host), Cell(layer.kind), Cell(layer.name))
    if isinstance(event, Measured):
        if event.before >= event.room:
            return (*where, Cell(human(event.before)), Cell("ok", Tone.DIM))
        return (*where, Cell(human(event.before)), Cell(f"-> {human(event.room)} ...", Tone.WARN))
    if event.grown:
        return (*where, Cell(human(event.after)), Cell("grown", Tone.GOOD))
    return (*where, Cell(human(event.after)), Cell("ok", Tone.DIM))


def _told(volume: str, event: Event, *, exact: bool) -> Line | None:
    """An event in a line; without -v only those that change something."""
    layer = event.layer
    what = f"{volume}: {layer.host} {layer.kind} {layer.name}"
    if isinstance(event, Measured):
        if exact:
            return Line(f"{what}: measured {event.before} bytes, has room for {event.room} bytes")
        if event.before >= event.room:
            return None
        return Line(f"{what}: {human(event.before)}, growing to {human(event.room)}")
    if exact:
        return Line(f"{what}: {'grown to' if event.grown else 'full at'} {event.after} bytes")
    return Line(f"{what}: grown to {human(event.after)}") if event.grown else None


def as_json(data: object) -> str:
    """One document in ASCII; of what a terminal obeys json itself leaves DEL as it is."""
    return json.dumps(data, indent=2, allow_nan=False).replace("\x7f", "\\u007f") + "\n"


def as_yaml(data: object) -> str:
    """The same data in YAML."""
    import yaml

    return str(yaml.safe_dump(_simple(data), sort_keys=False, default_flow_style=False, width=100))


def _simple(data: Any) -> Any:  # noqa: ANN401 - data of any shape
    """Without shared parts, for which YAML would write anchors, and with plain strings."""
    if isinstance(data, dict):
        return {str(key): _simple(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_simple(value) for value in data]
    return str(data) if isinstance(data, str) else data


def _put(stream: IO[str], text: str) -> None:
    stream.write(text)
    stream.flush()


def _show(stream: IO[str], page: Page) -> None:
    if not is_terminal(stream):
        _put(stream, plain(page))
        return
    painter = _rich(stream)
    for block in page:
        if isinstance(block, Table):
            painter.print(_table(block))
        elif block.raw:
            _put(stream, block.text + "\n")
        else:
            painter.print(_indented(block))


def _indented(line: Line) -> "rich.table.Table | rich.text.Text":
    """What does not fit goes on below itself, and not below the dash of a list."""
    from rich.table import Table as Drawn

    dash = "- " if line.text.startswith("- ") else ""
    if not line.indent + len(dash):
        return _text(line.text, line.tone)
    drawn = Drawn.grid(padding=0)
    drawn.add_column(width=line.indent + len(dash), no_wrap=True)
    drawn.add_column(overflow="fold")
    drawn.add_row(" " * line.indent + dash, _text(line.text.removeprefix(dash), line.tone))
    return drawn


def _rich(stream: IO[str]) -> "rich.console.Console":
    """A terminal as rich sees it; with NO_COLOR it gets no styles at all."""
    from rich.console import Console as Terminal

    bare = bool(os.environ.get("NO_COLOR"))
    return Terminal(
        file=stream,
        force_terminal=True,
        color_system=None if bare else "standard",
        markup=False,
        emoji=False,
        highlight=False,
    )


def _text(text: str, tone: Tone) -> "rich.text.Text":
    from rich.text import Text

    return Text(clean(text), style=_STYLES[tone], overflow="fold")


def _branch(depth: int) -> str:
    """What stands on what, as lsblk draws it; a pipe gets the words alone."""
    return " " * (depth - 1) + "└─" if depth else ""


def _table(table: Table) -> "rich.table.Table":
    from rich.table import Table as Drawn

    drawn = Drawn(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in table.columns:
        drawn.add_column(
            name,
            justify="right" if name in table.right else "left",
            no_wrap=name not in table.wide,
            overflow="fold",
        )
    before = None
    for row in table.rows:
        texts = [_text(_branch(one.depth) + one.text, one.tone) for one in row]
        if table.grouped and row[0] == before:
            texts[0] = _text("", Tone.PLAIN)
        before = row[0]
        drawn.add_row(*texts)
    return drawn
