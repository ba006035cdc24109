"""What a command is given: how to speak, and the parts of the program, loaded when needed."""

import gc
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extendctl.errors import ExtendctlError
from extendctl.page import Line, Page, Tone

if TYPE_CHECKING:  # a start that shows help must not pay for these
    from extendctl.app import Lines
    from extendctl.config import Config
    from extendctl.console import Console
    from extendctl.extension.means import Means
    from extendctl.journal import Listener

OUTPUTS = ("table", "json", "yaml")
_FILE = "sqlite:///"
_WORST = (130, 1, 5, 4, 3, 2, 0)


@dataclass(frozen=True)
class Answer:
    """What a command has to say: data for programs, a page for people, complaints for stderr."""

    data: Any
    page: Callable[[], Page]
    complaints: Page = ()
    status: int = 0


@dataclass
class Session:
    """One run of the program, and what its options said.

    `working` is true while an operation is open: from then on a signal sets `stop`, and the
    program leaves when what is in flight has ended. `hurried` is true when one came with nothing
    open: then nobody waits for machines that are still being asked.
    """

    config_file: str | None = None
    output: str = "table"
    verbosity: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    working: bool = False
    hurried: bool = False

    @cached_property
    def console(self) -> "Console":
        """Where results and messages go."""
        from extendctl.console import Console

        return Console(self.output, self.verbosity)

    def settings(self) -> "Config":
        """The configuration that holds, its warnings told. Raises ConfigError."""
        _load()
        from extendctl.app import read_config

        found = read_config(self.config_file)
        self.console.detail(f"configuration: {found.source or 'the embedded default'}")
        if found.source is not None:
            from extendctl.config_load import warnings

            told = [Line(f"warning: {one}", Tone.WARN) for one in warnings(found.source, found)]
            self.console.message(told)
        return found

    @contextmanager
    def means(self, listener: "Listener | None" = None) -> "Iterator[Means]":
        """All that a command on volumes works with."""
        settings = self.settings()
        from extendctl.app import opened
        from extendctl.config_permissions import loose_state
        from extendctl.extension.means import silent

        if settings.state.startswith(_FILE):  # before it is opened, which takes these rights away
            told = loose_state(Path(settings.state.removeprefix(_FILE)))
            self.console.message([Line(f"warning: {one}", Tone.WARN) for one in told])
        with opened(settings, self.stop, listener or silent) as means:
            if means.store.upgraded is not None:
                from extendctl.views_state import upgrade

                self.console.message(upgrade(means.store.upgraded))
            yield means

    @contextmanager
    def lines(self) -> "Iterator[Lines]":
        """The configured machines and backends, without the state."""
        settings = self.settings()
        from extendctl.app import Lines

        lines = Lines(settings)
        try:
            yield lines
        finally:
            lines.close()


def _load() -> None:
    """Import what is heavy with the collector off, then keep it from looking at that again.

    It would look through 100,000 new objects several times over: 70 ms with SQLAlchemy.
    """
    import extendctl.app  # noqa: F401 - to have it loaded

    gc.freeze()
    gc.enable()


def complaint(error: ExtendctlError, about: str = "") -> Page:
    """An error for people: each reason with its way out."""
    page = []
    for fault in error.faults:
        page.append(Line(f"error: {about}{fault.message}", Tone.BAD))
        if fault.hint:
            page.append(Line(f"hint: {fault.hint}", indent=2))
    return page if len(page) < 2 else _once(page)


def _once(page: Sequence[Line]) -> Sequence[Line]:
    """Without a hint that the next reason has too."""
    return [
        line for place, line in enumerate(page) if not (line.indent and line in page[place + 1 :])
    ]


def failed(error: ExtendctlError) -> Answer:
    """The answer of a command that ended with an error and has nothing else to show."""
    return Answer({"error": error.as_dict()}, list, complaint(error), error.exit_status)


def worst(statuses: Collection[int]) -> int:
    """The exit status of several results: that of the worst."""
    return next((status for status in _WORST if status in statuses), 0)
