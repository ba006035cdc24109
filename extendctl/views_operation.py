"""What operations look like to people: a list, and the story of one."""

from collections.abc import Iterator, Sequence

from extendctl.model import UNFINISHED, LayerOutcome, Operation, OperationState, Owner
from extendctl.page import Cell, Line, Page, Table, Tone, cell, facts
from extendctl.records import DeedRecord, Record, Run
from extendctl.shell import render
from extendctl.size import human
from extendctl.views import shown
from extendctl.views_data import Story, moment

_STATES = {
    OperationState.DONE: Tone.GOOD,
    OperationState.OPEN: Tone.WARN,
    OperationState.INCOMPLETE: Tone.BAD,
    OperationState.FAILED: Tone.BAD,
}


def operations(listed: Sequence[Operation]) -> Page:
    """Operations, a line each."""
    if not listed:
        return [Line("no operations")]
    rows = tuple(
        (
            Cell(str(one.id)),
            Cell(one.volume),
            Cell(str(one.state), _STATES.get(one.state, Tone.DIM)),
            Cell(human(one.before)),
            Cell(human(one.goal)),
            Cell(_who(one.owner)),
            cell(moment(one.opened_at)),
        )
        for one in listed
    )
    columns = ("ID", "VOLUME", "STATE", "BEFORE", "GOAL", "WHO", "OPENED")
    return [Table(columns, rows, frozenset({"ID", "BEFORE", "GOAL"}), frozenset({"VOLUME"}))]


def _who(one: Owner | Run) -> str:
    return f"{one.sudo_user} as {one.user}" if one.sudo_user else one.user


def operation(story: Story) -> Page:
    """An operation's story."""
    one, records, deeds = story.operation, story.records, story.deeds
    page: list[Line | Table] = [*facts(_beginning(one, alive=story.alive))]
    page += [Line(), Line("runs", Tone.STRONG), _runs(story.runs)]
    told = (*one.decision, *(reason for run in story.runs for reason in run.decision))
    if told:
        page += [Line(), Line("decision", Tone.STRONG)]
        page += [Line(reason, indent=2) for reason in dict.fromkeys(told)]
    if records:
        page += [Line(), Line("layers", Tone.STRONG), _layers(records)]
    kept = [one for one in records if one.archive is not None]
    if kept:
        page += [Line(), Line("kept by LVM before the change (vgcfgrestore --file)", Tone.STRONG)]
        page += [Line(f"{one.host}: {one.archive}", indent=2) for one in kept]
    if deeds:
        page += [Line(), Line("commands", Tone.STRONG)]
        for deed in deeds:
            page += _deed(deed)
    if one.error is not None:
        page += [Line(), Line("ended with", Tone.STRONG), *_ended(one)]
    if one.state in UNFINISHED:
        page += [Line(), Line(f"to finish: extendctl volume resume {one.volume}", Tone.WARN)]
    return page


def _beginning(one: Operation, *, alive: bool) -> list[tuple[str, object]]:
    state = str(one.state)
    if one.state is OperationState.OPEN:
        state += ", at work" if alive else ", and its owner is gone"
    return [
        ("operation", one.id),
        ("volume", one.volume),
        ("what", f"{one.kind}, {human(one.before)} -> {human(one.goal)} ({one.goal} bytes)"),
        ("state", state),
        ("why", one.reason),
        ("opened", moment(one.opened_at)),
        ("closed", moment(one.closed_at)),
    ]


def _runs(runs: Sequence[Run]) -> Table:
    rows = tuple(
        (
            cell(moment(one.at)),
            Cell(str(one.what)),
            Cell(_who(one)),
            Cell(one.machine.partition(":")[0]),
            Cell(str(one.pid)),
            cell(" ".join((*one.given, *((one.reason,) if one.reason else ())))),
        )
        for one in runs
    )
    columns = ("WHEN", "WHAT", "WHO", "MACHINE", "PROCESS", "WHY")
    return Table(columns, rows, frozenset({"PROCESS"}), frozenset({"WHY"}))


def _layers(records: Sequence[Record]) -> Table:
    rows = tuple(
        (
            cell(moment(one.measured_at)),
            Cell(one.host),
            Cell(one.kind),
            Cell(one.name),
            *_sizes(one),
            Cell(shown(one.outcome) if one.outcome else "begun", _tone(one)),
        )
        for one in records
    )
    columns = ("MEASURED", "HOST", "KIND", "NAME", "BEFORE", "AFTER", "OUTCOME")
    return Table(columns, rows, frozenset({"BEFORE", "AFTER"}), frozenset({"NAME"}))


def _sizes(one: Record) -> tuple[Cell, Cell]:
    """Before and after; what was left alone was not measured."""
    if one.outcome is LayerOutcome.SKIPPED:
        return Cell("-"), Cell("-")
    return Cell(human(one.before)), Cell(human(one.after))


def _tone(one: Record) -> Tone:
    if one.outcome in {None, LayerOutcome.FAILED, LayerOutcome.UNKNOWN}:
        return Tone.BAD
    return Tone.GOOD if one.outcome is LayerOutcome.GROWN else Tone.DIM


def _deed(deed: DeedRecord) -> Iterator[Line]:
    result = "the result was not told" if deed.status is None else f"exit {deed.status}"
    tone = Tone.PLAIN if deed.status == 0 else Tone.BAD
    yield Line(f"{moment(deed.started_at)} {deed.host}: {render(deed.argv)}", indent=2)
    if deed.stdin:
        yield Line(f"was given: {deed.stdin.rstrip()}", Tone.DIM, indent=4)
    yield Line(result, tone, indent=4)
    for line in deed.output.splitlines():
        yield Line(line, Tone.DIM, indent=4)


def _ended(one: Operation) -> Iterator[Line]:
    error = one.error or {}
    for reason in error.get("reasons") or [error]:
        yield Line(f"- {reason.get('message', '')}", Tone.BAD, indent=2)
        if reason.get("hint"):
            yield Line(f"hint: {reason['hint']}", indent=4)
