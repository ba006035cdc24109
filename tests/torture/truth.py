"""What has to hold at every moment, whatever befell: the state against the world, and the end."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from extendctl.model import LayerOutcome, LayerReport, OperationState, Outcome, VolumeReport
from extendctl.records import Began, Record, Run
from tests.extending import VOLUME, Sizes, Stage, measured, sizes, untrue
from tests.world.state import State

VOLATILE = {"boot_id", "uptime", "saved", "resting"}
"""What a machine may have otherwise after another way to the same end."""


def between(stage: Stage, base: State, goal: State) -> Iterator[str]:
    """Each untruth of the state, and each wrong size in the world, as things are now."""
    world = stage.world.state
    yield from _bounds(sizes(world), sizes(base), sizes(goal))
    yield from (f"{thing} grew {count} times" for thing, count in _twice(stage))
    yield from _volume(stage, world, base, goal)
    yield from _records(stage, world)


def _bounds(now: Sizes, base: Sizes, goal: Sizes) -> Iterator[str]:
    for thing, size in now.items():
        if size < base[thing]:
            yield f"{thing} has shrunk from {base[thing]} to {size}"
        if size > goal[thing]:
            yield f"{thing} is {size}, more than {goal[thing]}"
    yield from (f"{thing} is gone" for thing in base.keys() - now.keys())


def _twice(stage: Stage) -> Iterator[tuple[str, int]]:
    return ((thing, count) for thing, count in stage.growths.items() if count > 1)


def _volume(stage: Stage, world: State, base: State, goal: State) -> Iterator[str]:
    """The volume's size, status and attachments are what the machines bear out."""
    volume, trunk = stage.volume(), trunk_of(stage)
    before, wanted = sizes(base)[trunk], sizes(goal)[trunk]
    real = sizes(world)[trunk]
    if volume.size not in {before, wanted} or volume.size > real:
        yield f"the state has {volume.size} bytes, the backend {real}"
    for one in volume.attachments:
        if one.size is not None and one.size > real:
            yield f"{one.host} is said to have {one.size} bytes, the backend has {real}"
    unfinished = stage.unfinished
    if unfinished is None:
        yield from _settled(stage, world, base, goal)
        return
    expected = {
        OperationState.OPEN: "in-use" if unfinished.trunk_settled else "extending",
        OperationState.FAILED: "error_extending",
        OperationState.INCOMPLETE: "in-use",
    }[unfinished.state]
    if volume.status != expected:
        yield f"the status is {volume.status}, with operation {unfinished.state}: {expected}"
    had = unfinished.trunk_settled or unfinished.before == wanted  # an operation for hosts alone
    if had != (volume.size == wanted):
        yield f"settled is {unfinished.trunk_settled}, and the state has {volume.size} bytes"


def _settled(stage: Stage, world: State, base: State, goal: State) -> Iterator[str]:
    """With nothing to resume, all is as it was or all is done, unless it was abandoned."""
    volume = stage.volume()
    if volume.status != "in-use":
        yield f"nothing is unfinished, and the status is {volume.status}"
    last = stage.store.operations(VOLUME)[-1:]
    if volume.lagging or (last and last[0].state is OperationState.ABANDONED):
        return
    expected = sizes(goal if volume.size == sizes(goal)[trunk_of(stage)] else base)
    wrong = [thing for thing, size in sizes(world).items() if size != expected[thing]]
    if wrong:
        yield f"nothing is unfinished, and {wrong} have other sizes"


def _records(stage: Stage, world: State) -> Iterator[str]:
    """Every deed was announced with its target, and no line tells of more than there is."""
    records = [
        record
        for operation in stage.store.operations(VOLUME)
        for record in stage.store.records(operation.id)
    ]
    acted = {entry.machine for entry in world.log if entry.kind == "deed" and entry.acted}
    announced = {record.host for record in records if record.target is not None}
    yield from (f"deeds on {host} that no record announced" for host in acted - announced)
    for record in records:
        real = measured(world, _line(record)) if record.after is not None else None
        if record.after is not None and real is not None and record.after > real:
            yield f"{record.key} is recorded with {record.after} bytes and has {real}"


def _line(record: Record) -> LayerReport:
    outcome = record.outcome or LayerOutcome.UNKNOWN
    return LayerReport(
        record.key, record.host, record.kind, record.name, record.before, record.after, outcome
    )


def reached(stage: Stage, report: VolumeReport, goal: State) -> Iterator[str]:
    """What is missing after the last command: nothing."""
    if report.exit_status != 0:
        yield f"the last command ended with {report.exit_status}: {report.error}"
    yield from untrue(stage, report)
    ended, wanted = world_of(stage.world.state), world_of(goal)
    yield from _differences(ended, wanted, "world")
    volume, size = stage.volume(), sizes(goal)[trunk_of(stage)]
    if (volume.status, volume.size, volume.lagging) != ("in-use", size, ()):
        yield f"in the end the state has {volume}"
    if stage.unfinished is not None or stage.store.open_operations():
        yield f"in the end there is {stage.unfinished}"
    checked = stage.check()
    if checked.outcome != Outcome.UNCHANGED:
        yield f"a check finds: {checked.error}"
    yield from untrue(stage, checked)
    again = stage.resume()
    if again.outcome != Outcome.UNCHANGED:
        yield f"one more resume is {again.outcome}: {again.error}"


def trunk_of(stage: Stage) -> tuple[str, str]:
    """The lowest layer's place among the sizes of a world."""
    backend = stage.site.backend
    under = backend.volume_group or backend.directory
    return backend.host, f"{under}/{stage.site.source}"


def world_of(state: State) -> dict[str, Any]:
    """All machines and contents, without what may differ by the way that was taken."""
    document = state.document()
    machines = {
        name: {key: value for key, value in machine.items() if key not in VOLATILE}
        for name, machine in document["machines"].items()
    }
    for machine in machines.values():
        for target in machine["tgt"].values():
            for lun in target["luns"].values():
                del lun["opened"]
    return {"machines": machines, "contents": document["contents"]}


def _differences(one: Any, other: Any, place: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differences(one.get(key), other.get(key), f"{place}/{key}")
    elif one != other:
        yield f"{place} is {one} and not {other}"


def shrunk(earlier: Sizes, now: Sizes) -> Iterator[str]:
    """What has become smaller between two looks."""
    for thing, size in earlier.items():
        if now.get(thing, 0) < size:
            yield f"{thing} has shrunk from {size} to {now.get(thing)}"


def too_early(before: Sequence[Run], after: Sequence[Run]) -> Iterator[str]:
    """Who took over from an owner on another machine that had been heard of a moment ago."""
    for earlier, run in pairwise(after):
        taken = run.what is Began.TAKEN_OVER and run not in before
        if taken and earlier.machine != run.machine:
            yield f"process {run.pid} took over from {earlier.pid} on another machine, too early"
