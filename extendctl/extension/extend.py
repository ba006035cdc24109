"""Extend a volume, or take up again what was left unfinished."""

import time
from collections.abc import Sequence
from dataclasses import replace

from extendctl.errors import Busy, ExtendctlError, Interrupted, Refused
from extendctl.extension import report
from extendctl.extension.carry_out import carry_out, open_new, take_up
from extendctl.extension.means import Means, attempt
from extendctl.extension.plan import Branch, Plan, Wish
from extendctl.extension.survey import goal_of, make
from extendctl.model import (
    GrowOptions,
    Operation,
    OperationState,
    Outcome,
    Seen,
    Volume,
    VolumeReport,
)
from extendctl.owner import is_dead, me
from extendctl.size import Size, SizeRequest

_RETRY = 1.0  # seconds between two looks at a busy volume


def extend(  # noqa: PLR0913 - what `volume extend` can be told
    means: Means,
    name: str,
    size: SizeRequest,
    wish: Wish,
    *,
    dry_run: bool = False,
    wait: float = 0.0,
) -> VolumeReport:
    """Extend one volume; every ExtendctlError becomes a report. `wait` in seconds."""
    until, again = time.monotonic() + wait, False
    while True:
        plans: list[Plan] = []
        try:
            return _extend(means, name, size, wish, plans, dry_run=dry_run, again=again)
        except Busy as busy:
            again = True
            if time.monotonic() >= until:
                return _asked(means, untouched(means, name, busy), size, plans)
            if means.stop.wait(min(_RETRY, max(0.0, until - time.monotonic()))):
                raise Interrupted(f"interrupted while waiting: {busy}") from busy
        except Interrupted:
            raise
        except ExtendctlError as error:
            return _asked(means, untouched(means, name, error), size, plans)


def resume(means: Means, name: str) -> VolumeReport:
    """Take up what is unfinished on one volume; nothing unfinished is `unchanged`."""
    try:
        return _resume(means, name)
    except Interrupted:
        raise
    except ExtendctlError as error:
        return untouched(means, name, error)


def _extend(  # noqa: PLR0913 - what `extend` was told, and whether it is the first try
    means: Means,
    name: str,
    size: SizeRequest,
    wish: Wish,
    plans: list[Plan],
    *,
    dry_run: bool,
    again: bool,
) -> VolumeReport:
    """One try. What it has planned is left in `plans`, also when it raises."""
    volume = means.store.volume(name)
    earlier = unfinished(means, volume, mine=again)
    wish = replace(wish, goal=goal_of(volume, size), relative=size.relative)
    if earlier is not None:
        wish = replace(wish, floors=_floors(earlier))
    desk = means.desk(name)
    plan = make(desk, volume, wish)
    plans.append(plan)
    if dry_run:
        return report.planned(plan)
    if plan.faults:
        _still(means, volume)
        return report.refused(name, Refused(plan.faults), plan)
    if earlier is not None and _same(earlier, plan):
        return carry_out(desk, plan, take_up(means, earlier, plan))
    if plan.idle and earlier is None:
        return _unchanged(means, plan)
    return carry_out(desk, plan, open_new(means, plan, earlier))


def _resume(means: Means, name: str) -> VolumeReport:
    volume = means.store.volume(name)
    earlier = unfinished(means, volume)
    if earlier is None and not volume.lagging:
        return VolumeReport(
            name, Outcome.UNCHANGED, status=volume.status, before=volume.size, goal=volume.size,
            size=volume.size,
        )  # fmt: skip
    wish = Wish(
        goal=volume.size if earlier is None else max(earlier.goal, volume.size),
        options=GrowOptions() if earlier is None else _options(earlier),
        allow_lagging=earlier is None or earlier.trunk_settled,
        governed=False,
        floors={} if earlier is None else _floors(earlier),
    )
    desk = means.desk(name)
    plan = make(desk, volume, wish)
    if plan.faults:
        return report.refused(name, Refused(plan.faults), plan)
    if earlier is None:
        return carry_out(desk, plan, open_new(means, plan, None))
    return carry_out(desk, plan, take_up(means, earlier, plan))


def _still(means: Means, seen: Volume) -> None:
    """Raise Busy when somebody has worked on it since: what was seen in between is torn."""
    now = means.store.volume(seen.name)
    if (now.size, now.open_operation) != (seen.size, seen.open_operation):
        message = f"{seen.name} was being extended by another program while it was looked at"
        raise Busy(message, hint="try again")


def unfinished(means: Means, volume: Volume, *, mine: bool = False) -> Operation | None:
    """The unfinished operation, if any. Raises Busy while its owner lives, and is at work on it.

    With `mine`, one of this process is no other's: it was left when the state could not be written.
    """
    operation = means.store.unfinished(volume.name)
    if operation is None or operation.state is not OperationState.OPEN:
        return operation
    owner = operation.owner
    if (mine and owner == me()) or is_dead(owner, operation.heartbeat_age):
        return operation
    raise Busy(
        f"{volume.name} is being extended: operation {operation.id} of "
        f"{owner.sudo_user or owner.user}, process {owner.pid} on {owner.machine.split(':')[0]}",
        hint=f"wait for it (extend has --wait), or see `extendctl operation show {operation.id}`",
    )


def _floors(operation: Operation) -> dict[str, Size]:
    return dict(operation.targets)


def _same(earlier: Operation, plan: Plan) -> bool:
    """Whether it is the earlier wish again; with other options, what it stands for is another."""
    return earlier.goal == plan.goal and dict(earlier.options) == plan.options()


def _options(operation: Operation) -> GrowOptions:
    return GrowOptions(**operation.options)


def _unchanged(means: Means, plan: Plan) -> VolumeReport:
    """All is full. Sizes that the state did not know of, and lags that are over, are adopted."""
    measured = plan.trail.lines[0].after or plan.volume.size
    for branch in plan.branches:
        seen = _seen(branch)
        known = branch.attachment
        stale = (known.lagging, known.size) != (False, seen.size if seen else None)
        moved = seen is not None and seen.mountpoint not in {None, known.mountpoint}
        if seen is not None and (stale or moved):
            means.store.note_attachment(known.id, seen)
    if measured != plan.volume.size:
        means.store.set_size(plan.volume.name, measured)
    adopted = measured != plan.volume.size or bool(plan.volume.lagging)
    volume = means.store.volume(plan.volume.name)
    outcome = Outcome.DONE if adopted else Outcome.UNCHANGED
    return replace(report.planned(plan), outcome=outcome, status=volume.status, size=volume.size)


def _seen(branch: Branch) -> Seen | None:
    if branch.stack is None:
        return None
    return Seen(
        lagging=False,
        size=branch.trail.device,
        device=branch.stack.device,
        mountpoint=branch.stack.mountpoint,
    )


def untouched(means: Means, name: str, error: ExtendctlError) -> VolumeReport:
    """A refusal, with what the state says of the volume when it is there."""
    found = report.refused(name, error)
    try:
        volume = means.store.volume(name)
    except ExtendctlError:
        return found
    return replace(found, status=volume.status, before=volume.size, size=volume.size)


def _asked(
    means: Means, found: VolumeReport, size: SizeRequest, plans: Sequence[Plan]
) -> VolumeReport:
    """A refusal with its goal: in the backend's units as far as it was looked at, else as asked.

    What was seen then and is worth a word is told, too.
    """
    if plans:
        return replace(found, goal=plans[-1].rounded, notices=report.notices(plans[-1]))
    if not size.relative:
        return replace(found, goal=size.total)
    absolute = attempt(lambda: goal_of(means.store.volume(found.volume), size))
    return found if isinstance(absolute, ExtendctlError) else replace(found, goal=absolute)
