"""What volumes and their extensions look like to people."""

from collections.abc import Iterable, Iterator, Sequence

from extendctl.config import Config
from extendctl.config_state import masked
from extendctl.errors import Fault
from extendctl.model import (
    Attachment,
    LayerOutcome,
    LayerReport,
    Operation,
    Outcome,
    Volume,
    VolumeReport,
)
from extendctl.page import Cell, Line, Page, Table, Tone, cell, facts
from extendctl.records import Record
from extendctl.size import Size, human
from extendctl.views_data import moment

_TONES = {
    LayerOutcome.GROWN: Tone.GOOD,
    LayerOutcome.FULL: Tone.DIM,
    LayerOutcome.PLANNED: Tone.WARN,
    LayerOutcome.FAILED: Tone.BAD,
    LayerOutcome.UNKNOWN: Tone.BAD,
    LayerOutcome.SKIPPED: Tone.DIM,
}

_BEHIND = (LayerOutcome.FAILED, LayerOutcome.UNKNOWN)

_UNTOUCHED = (Outcome.REFUSED, Outcome.NOT_NOW)


def ladder(report: VolumeReport) -> Iterator[Table]:
    """The layers, host by host, lowest first; one that is behind is marked and stands out."""
    if not report.layers:
        return
    columns = ("", "HOST", "KIND", "NAME", "BEFORE", "AFTER", "OUTCOME")
    depths = stacked((line.host, line.outcome) for line in report.layers)
    rows = tuple(_rung(line, depth) for line, depth in zip(report.layers, depths, strict=True))
    yield Table(columns, rows, frozenset({"BEFORE", "AFTER"}), frozenset({"NAME"}))


def stacked(lines: Iterable[tuple[str, LayerOutcome | None]]) -> Iterator[int]:
    """How deep each layer stands in its host's stack; what is left alone stands beside the last."""
    last, depth = "", 0
    for host, outcome in lines:
        depth = 0 if host != last else depth + (outcome is not LayerOutcome.SKIPPED)
        last = host
        yield depth


def _rung(line: LayerReport, depth: int) -> tuple[Cell, ...]:
    tone = _TONES[line.outcome]
    behind = line.outcome in _BEHIND
    loud = tone if behind else Tone.PLAIN
    known = line.outcome is not LayerOutcome.SKIPPED
    return (
        Cell("!" if behind else " ", tone),
        Cell(line.host, loud),
        Cell(line.kind, loud, depth),
        Cell(line.name, loud),
        Cell(human(line.before) if known else "-", loud),
        Cell(human(line.after) if known else "-", loud),
        Cell(_outcome(line), tone),
    )


def _outcome(line: LayerReport) -> str:
    """A word. Longer notes stand among the notices or the reasons, below the ladder."""
    if line.note.startswith("lags by"):
        return line.note
    return line.note if line.note == "not reached" else shown(line.outcome)


def shown(outcome: LayerOutcome) -> str:
    """`full` is right of a layer, and would be read of a filesystem's content."""
    return "ok" if outcome is LayerOutcome.FULL else str(outcome)


def extended(reports: Sequence[VolumeReport], *, dry_run: bool = False) -> Page:
    """Results of an extension, for stdout: ladders, and a line for each volume that is well."""
    page: list[Line | Table] = [] if reports else [Line("nothing is unfinished")]
    for report in reports:
        if dry_run or report.outcome not in _UNTOUCHED:
            if len(reports) > 1 and report.layers:
                page.append(Line(report.volume, Tone.STRONG))
            page += ladder(report)
            page += _notices(report)
        if report.error is None:
            page.append(Line(summary(report), Tone.GOOD))
    return page


def autoextended(reports: Sequence[VolumeReport], *, dry_run: bool = False) -> Page:
    """What became of volumes that have a rule: those that were full as after an extension."""
    page: list[Line | Table] = [] if reports else [Line("no volume has a rule in autoextend")]
    for report in reports:
        if report.outcome is Outcome.UNCHANGED and report.error is None:
            why = "; ".join(report.notices)
            page.append(Line(f"{report.volume}: {human(report.size)}, left as it is: {why}"))
        else:
            page += extended([report], dry_run=dry_run)
    return page


def _notices(report: VolumeReport) -> Iterator[Line]:
    return (Line(f"note: {notice}", Tone.WARN, indent=2) for notice in report.notices)


def complaints(reports: Iterable[VolumeReport]) -> Page:
    """What went wrong, for stderr: a line for each volume, its reasons, and what to do."""
    page: list[Line] = []
    for report in reports:
        if report.error is None:
            continue
        page.append(Line(summary(report), Tone.BAD))
        page += reasons(report.error.faults)
    return page


def reasons(faults: Sequence[Fault]) -> Iterator[Line]:
    """Each reason once, with its way out.

    Of a reason that only sums up others, the way out alone is left, and it comes last.
    """
    different = list(dict.fromkeys(faults))
    sums = [fault for fault in different if _sums_up(fault, different)]
    for fault in different:
        if fault not in sums:
            yield Line(f"- {fault.message}", indent=2)
            if fault.hint:
                yield Line(f"hint: {fault.hint}", indent=4)
    for hint in dict.fromkeys(fault.hint for fault in sums if fault.hint):
        yield Line(f"hint: {hint}", indent=2)


def _sums_up(fault: Fault, all_of_them: Sequence[Fault]) -> bool:
    others = (one.message for one in all_of_them if one.message != fault.message)
    return any(message in fault.message for message in others)


def summary(report: VolumeReport) -> str:
    """What happened to a volume, in a line."""
    sizes, named = _sizes(report), f" (operation {report.operation})" if report.operation else ""
    match report.outcome:
        case Outcome.DONE:
            return f"{report.volume}: {sizes}, done{named}"
        case Outcome.UNCHANGED:
            why = "every layer has its size" if report.layers else "nothing is unfinished"
            return f"{report.volume}: {sizes}, unchanged: {why}"
        case Outcome.PLANNED:
            return f"{report.volume}: {sizes}, planned; nothing was changed"
        case Outcome.REFUSED | Outcome.NOT_NOW:
            word = report.outcome.replace("-", " ")
            return f"{report.volume}: {word}, nothing was changed"
    if report.error is not None and report.error.fault.code == "interrupted":
        return f"{report.volume}: interrupted{named}"
    return f"{report.volume}: {sizes}, incomplete{named}"


def _sizes(report: VolumeReport) -> str:
    after = _foretold(report) if report.outcome is Outcome.PLANNED else report.size
    if report.before is None or report.before == after:
        return human(after)
    if human(report.before) == human(after):  # or it would read `10 GiB -> 10 GiB`
        return f"{report.before} bytes -> {after} bytes"
    return f"{human(report.before)} -> {human(after)}"


def _foretold(report: VolumeReport) -> Size | None:
    """What a volume will have: its goal, or what its backend has already where that is more."""
    lowest = report.layers[0].after if report.layers else None
    return max((one for one in (report.goal, lowest) if one is not None), default=None)


def checked(reports: Sequence[VolumeReport]) -> Page:
    """Results of a check, for stdout."""
    page: list[Line | Table] = []
    for report in reports:
        if len(reports) > 1 and report.layers:
            page.append(Line(report.volume, Tone.STRONG))
        page += ladder(report)
        page += _notices(report)
        if report.error is None:
            page.append(Line(f"{report.volume}: {human(report.size)}, well", Tone.GOOD))
    return page if reports else [Line("no volumes")]


def findings(reports: Iterable[VolumeReport]) -> Page:
    """What a check found, for stderr."""
    words = {Outcome.INCOMPLETE: "lags or has drifted", Outcome.NOT_NOW: "could not be measured"}
    page: list[Line] = []
    for report in reports:
        if report.error is not None:
            found = words.get(report.outcome, "cannot be checked")
            page.append(Line(f"{report.volume}: {found}", Tone.BAD))
            page += reasons(report.error.faults)
    return page


def volumes(listed: Sequence[Volume]) -> Page:
    """All volumes, a line each."""
    rows = tuple(
        (
            Cell(one.name),
            Cell(one.backend),
            Cell(human(one.size)),
            Cell(str(one.status), _status_tone(one)),
            cell(", ".join(dict.fromkeys(use.host for use in one.attachments))),
            cell("; ".join(_unfinished(one)), Tone.BAD),
        )
        for one in listed
    )
    columns = ("NAME", "BACKEND", "SIZE", "STATUS", "HOSTS", "UNFINISHED")
    return [Table(columns, rows, frozenset({"SIZE"}), frozenset({"NAME", "HOSTS", "UNFINISHED"}))]


def no_volumes(config: Config) -> Page:
    """Which state it is that has none: it may be the wrong one, as with another HOME."""
    state = masked(config.state, password=bool(config.state_password))
    known = f"configuration {config.source}" if config.source else "no configuration file was found"
    return [
        Line(f"no volumes in {state} ({known})"),
        Line("see `extendctl volume create --help` and `extendctl volume import --help`"),
    ]


def _unfinished(one: Volume) -> Iterator[str]:
    if one.open_operation:
        yield f"operation {one.open_operation} is open"
    elif one.failed_operation:
        yield f"operation {one.failed_operation} failed"
    if lagging := ", ".join(dict.fromkeys(use.host for use in one.lagging)):
        yield f"lagging: {lagging}"


def _status_tone(one: Volume) -> Tone:
    if one.admin_status or one.failed_operation:
        return Tone.BAD
    return Tone.WARN if one.open_operation else Tone.PLAIN


def volume(one: Volume, operation: Operation | None, records: Sequence[Record]) -> Page:
    """All about a volume, with the layers as its last operation measured them."""
    page: list[Line | Table] = list(
        facts(
            (
                ("name", one.name),
                ("status", one.status),
                ("size", f"{human(one.size)} ({one.size} bytes)"),
                ("backend", one.backend),
                ("source", one.source),
                ("project", one.project),
                ("operation", one.open_operation or one.failed_operation),
            )
        )
    )
    if one.attachments:
        rows = tuple(_use(one, use) for use in one.attachments)
        columns = ("HOST", "COMPUTE", "DEVICE", "MOUNT", "SIZE", "STATE")
        page.append(Line())
        page.append(Table(columns, rows, frozenset({"SIZE"}), frozenset({"DEVICE", "MOUNT"})))
    if operation is not None and records:
        page += _last_seen(operation, records)
    else:
        page += [Line(), Line(f"its layers, measured now: extendctl volume check {one.name}")]
    if one.lagging or one.open_operation or one.failed_operation:
        page.append(Line(f"to finish: extendctl volume resume {one.name}", Tone.WARN))
    return page


def _last_seen(operation: Operation, records: Sequence[Record]) -> Page:
    """The stack as it was measured then; `check` measures it now."""
    latest = {record.key: record for record in records}
    # The backend's machine is measured first, the others side by side: which is first says nothing.
    first = next(iter(latest.values())).host
    lines = sorted(latest.values(), key=lambda one: (one.host != first, one.host, one.seq))
    depths = stacked((record.host, record.outcome) for record in lines)
    rows = tuple(
        (Cell(record.host), Cell(record.kind, depth=depth), Cell(record.name),
         *_seen_sizes(record),
         cell(record.outcome and shown(record.outcome),
              _TONES[record.outcome or LayerOutcome.UNKNOWN]))
        for record, depth in zip(lines, depths, strict=True)
    )  # fmt: skip
    columns = ("HOST", "KIND", "NAME", "SIZE", "GOAL", "OUTCOME")
    measured = max(record.settled_at or record.measured_at for record in lines)
    when = f"layers as operation {operation.id} measured them last, {moment(measured)}:"
    stops = [
        Line(f"note: {one.host}: {one.name} is left as it is: {one.note}", Tone.WARN, indent=2)
        for one in lines
        if one.outcome is LayerOutcome.SKIPPED
    ]
    return [
        Line(), Line(when),
        Table(columns, rows, frozenset({"SIZE", "GOAL"}), frozenset({"NAME"})), *stops,
    ]  # fmt: skip


def _seen_sizes(record: Record) -> tuple[Cell, Cell]:
    """Size and goal; what was left alone has neither."""
    if record.outcome is LayerOutcome.SKIPPED:
        return Cell("-"), Cell("-")
    return Cell(human(record.after)), Cell(human(record.target))


def _use(one: Volume, use: Attachment) -> tuple[Cell, ...]:
    state = Cell("ok", Tone.GOOD)
    if use.lagging:
        state = Cell("lagging", Tone.BAD)
    elif one.open_operation or one.failed_operation:
        state = Cell("unfinished", Tone.WARN)  # whether it has followed is not known
    named = use.domain or use.server
    how = f"{use.compute} ({named})" if named else use.compute
    return (
        Cell(use.host), Cell(how), cell(use.device), cell(use.mountpoint), Cell(human(use.size)),
        state,
    )  # fmt: skip
