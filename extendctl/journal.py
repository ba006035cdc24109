"""Write an operation down while it happens: before each deed, after each deed, and each layer."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from extendctl.errors import ExtendctlError, Interrupted, OutcomeUnknown, TakenOver, Unreachable
from extendctl.host import Deed
from extendctl.model import LayerOutcome, LayerReport, Operation
from extendctl.size import Size
from extendctl.stack import DEVICES, Archived, Event, Hand, Layer, Measured, Settled, Skipped, walk
from extendctl.store import Store
from extendctl.transport import Result

Listener = Callable[[str, Event], None]
"""Is told of each event, with the volume's name; for progress on a terminal."""


class Journal:
    """One operation's record, and the guard of its deeds.

    No deed is done before the operation is open, after somebody asked to stop, or after another
    program has taken the operation over.
    """

    def __init__(
        self, store: Store, volume: str, stop: threading.Event, listener: Listener
    ) -> None:
        self.store = store
        self.volume = volume
        self.operation: Operation | None = None
        self.acted = 0  # commands that may have begun
        self.unrecorded = False  # True while something new is made, which no operation covers
        self._stop = stop
        self._listener = listener
        self._sent: dict[int, int] = {}  # thread: the number of the deed that it has sent

    def _open(self) -> Operation:
        if self.operation is None:
            raise AssertionError("a deed without an open operation")
        return self.operation

    def before(self, host: str, deed: Deed) -> None:
        """Refuse the deed, or note when it began. Raises Interrupted, TakenOver."""
        if self._stop.is_set():
            raise Interrupted(
                f"interrupted before `{deed.argv[0]}` on {host}",
                hint=f"extendctl volume resume {self.volume}",
            )
        if self.unrecorded:
            return
        number = self.store.begin_deed(
            self._open(), host, deed.argv, deed.stdin.decode(errors="backslashreplace")
        )
        self._sent[threading.get_ident()] = number

    def after(self, host: str, deed: Deed, result: Result | None) -> None:
        """Keep what the command left behind."""
        self.acted += 1
        if self.unrecorded:
            return
        status = None if result is None else result.status
        output = "" if result is None else result.stdout + result.stderr
        self.store.end_deed(self._open(), self._sent[threading.get_ident()], status, output)

    def withdrawn(self, host: str, deed: Deed) -> None:
        """Strike it out. Where the state cannot be written it stays, as one of no known result."""
        if not self.unrecorded:
            with suppress(ExtendctlError):
                self.store.withdraw_deed(self._sent[threading.get_ident()])

    def tell(self, event: Event) -> None:
        """Pass an event on to whoever listens."""
        self._listener(self.volume, event)


@dataclass
class Trail:
    """What came of walking a stack: a line for each layer, and the error that ended the walk.

    `device` is the size in bytes of the volume's device, `top` that of the uppermost layer walked.
    """

    lines: list[LayerReport] = field(default_factory=list)
    error: ExtendctlError | None = None
    device: Size | None = None
    top: Size | None = None

    @property
    def behind(self) -> bool:
        """True when a layer is not full."""
        return any(line.outcome is LayerOutcome.PLANNED for line in self.lines)

    def then(self, other: "Trail") -> "Trail":
        """This trail with what came of the layers above."""
        return Trail(
            [*self.lines, *other.lines],
            other.error or self.error,
            self.device if other.device is None else other.device,
            self.top if other.top is None else other.top,
        )

    @property
    def targets(self) -> dict[str, Size]:
        """Each layer's size at the end of the walk, by key."""
        return {line.key: line.after for line in self.lines if line.after is not None}


def follow(
    layers: Sequence[Layer],
    goal: Size,
    hand: Hand,
    journal: Journal | None = None,
    targets: Mapping[str, Size] | None = None,
) -> Trail:
    """Walk a stack and keep its trail; with a journal, each event is on disk before the next.

    Errors end the walk and stand in the trail, but for those that end the program's right to go
    on: Interrupted and TakenOver are raised.
    """
    trail = Trail()
    pending: list[Layer] = list(layers)
    measured: Measured | None = None
    archive: str | None = None
    try:
        for event in walk(layers, goal, hand, targets or {}):
            if journal is not None:
                archive = _write(journal, event, archive)
            if isinstance(event, Settled):
                pending.pop(0)
                _settle(trail, event, journal, archive)
            measured = event if isinstance(event, Measured) else None
    except (Interrupted, TakenOver):
        raise
    except ExtendctlError as error:
        trail.error = error
        _stopped(trail, pending, measured, journal)
    return trail


def not_reached(layers: Sequence[Layer]) -> list[LayerReport]:
    """Lines for layers of which nothing is known, because the walk ended beneath them."""
    return [_line(one, None, None, LayerOutcome.UNKNOWN, "not reached") for one in layers]


def _write(journal: Journal, event: Event, archive: str | None) -> str | None:
    """Write a measurement down, with where the layer's metadata will be kept; gives that place.

    For a layer that has been settled, the place where they have been kept.
    """
    if journal.operation is not None:
        if isinstance(event, Measured):
            archive = _way_back(event)
            journal.store.measured(journal.operation, event, archive)
        elif isinstance(event.layer, Archived) and archive is not None and event.grown:
            archive = event.layer.archived(archive)
    journal.tell(event)
    return archive


def _way_back(event: Measured) -> str | None:
    if event.before >= event.room or not isinstance(event.layer, Archived):
        return None
    return event.layer.archive()


def _settle(trail: Trail, event: Settled, journal: Journal | None, archive: str | None) -> None:
    acting = journal is not None
    line = _line(event.layer, event.before, event.after, _outcome(event, acting=acting))
    trail.lines.append(line)
    trail.top = event.after
    if line.kind in DEVICES:
        trail.device = event.after
    if journal is not None and journal.operation is not None:
        journal.store.settled(journal.operation, line, archive=archive)


def _outcome(event: Settled, *, acting: bool) -> LayerOutcome:
    if not event.grown:
        return LayerOutcome.FULL
    return LayerOutcome.GROWN if acting else LayerOutcome.PLANNED


def _line(
    layer: Layer, before: Size | None, after: Size | None, outcome: LayerOutcome, note: str = ""
) -> LayerReport:
    return LayerReport(layer.key, layer.host, layer.kind, layer.name, before, after, outcome, note)


def _stopped(
    trail: Trail, pending: Sequence[Layer], measured: Measured | None, journal: Journal | None
) -> None:
    """The layer at which the walk ended, and those above it, of which nothing is known."""
    error = trail.error
    if error is None or not pending:
        return
    blind = isinstance(error, OutcomeUnknown | Unreachable)
    outcome = LayerOutcome.UNKNOWN if blind else LayerOutcome.FAILED
    before = None if measured is None else measured.before
    first = _line(pending[0], before, None, outcome, str(error))
    trail.lines.append(first)
    if journal is not None and journal.operation is not None:
        journal.store.settled(journal.operation, first, error.as_dict())
    trail.lines += not_reached(pending[1:])


def skipped(marks: Sequence[Skipped]) -> Iterator[LayerReport]:
    """Lines for what is left alone."""
    for mark in marks:
        key = f"{mark.host}/skipped/{mark.kind}/{mark.name}"
        yield LayerReport(
            key, mark.host, mark.kind, mark.name, None, None, LayerOutcome.SKIPPED, mark.reason
        )
