"""Extend a volume, or take up an extension again: open, grow the trunk, let the hosts follow."""

import time
from collections.abc import Sequence
from dataclasses import replace

from extendctl.errors import (
    BackendFailed,
    Busy,
    ExtendctlError,
    Incomplete,
    Interrupted,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from extendctl.extension import report
from extendctl.extension.means import Desk, Means, side_by_side
from extendctl.extension.plan import Branch, Plan, Wish, goal_of, make
from extendctl.journal import Trail, follow
from extendctl.model import (
    AttachmentReport,
    GrowOptions,
    Opening,
    Operation,
    OperationState,
    Outcome,
    Seen,
    Volume,
    VolumeReport,
)
from extendctl.owner import Heartbeat, is_dead, me
from extendctl.size import Size, SizeRequest
from extendctl.stack import grow

_RETRY = 1.0  # seconds between two looks at a busy volume


def extend(
    means: Means,
    name: str,
    size: SizeRequest,
    wish: Wish,
    *,
    dry_run: bool = False,
    wait: float = 0.0,
) -> VolumeReport:
    """Extend one volume; every ExtendctlError becomes a report. `wait` in seconds."""
    until = time.monotonic() + wait
    while True:
        try:
            return _extend(means, name, size, wish, dry_run=dry_run)
        except Busy as busy:
            if time.monotonic() >= until:
                return _untouched(means, name, busy)
            time.sleep(min(_RETRY, max(0.0, until - time.monotonic())))
        except Interrupted:
            raise
        except ExtendctlError as error:
            return _untouched(means, name, error)


def resume(means: Means, name: str) -> VolumeReport:
    """Take up what is unfinished on one volume; nothing unfinished is `unchanged`."""
    try:
        return _resume(means, name)
    except Interrupted:
        raise
    except ExtendctlError as error:
        return _untouched(means, name, error)


def _extend(
    means: Means, name: str, size: SizeRequest, wish: Wish, *, dry_run: bool
) -> VolumeReport:
    volume = means.store.volume(name)
    earlier = _earlier(means, volume)
    wish = replace(wish, goal=goal_of(volume, size), relative=size.relative)
    if earlier is not None:
        wish = replace(wish, floors=_floors(earlier))
    desk = means.desk(name)
    plan = make(desk, volume, wish)
    if dry_run:
        return report.planned(plan)
    if plan.faults:
        return report.refused(name, Refused(plan.faults), plan)
    if earlier is not None and earlier.goal == plan.goal:
        return _carry_out(desk, plan, _take_up(means, earlier, plan))
    if plan.idle and earlier is None:
        return _unchanged(means, plan)
    return _carry_out(desk, plan, _open(means, plan, earlier))


def _resume(means: Means, name: str) -> VolumeReport:
    volume = means.store.volume(name)
    earlier = _earlier(means, volume)
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
        return _carry_out(desk, plan, _open(means, plan, None))
    return _carry_out(desk, plan, _take_up(means, earlier, plan))


def _earlier(means: Means, volume: Volume) -> Operation | None:
    """The unfinished operation, if any. Raises Busy while its owner lives."""
    operation = means.store.unfinished(volume.name)
    if operation is None or operation.state is not OperationState.OPEN:
        return operation
    if is_dead(operation.owner, operation.heartbeat_age):
        return operation
    owner = operation.owner
    raise Busy(
        f"{volume.name} is being extended: operation {operation.id} of "
        f"{owner.sudo_user or owner.user}, process {owner.pid} on {owner.machine.split(':')[0]}",
        hint="wait for it, or use --wait",
    )


def _floors(operation: Operation) -> dict[str, Size]:
    return dict(operation.targets)


def _options(operation: Operation) -> GrowOptions:
    return GrowOptions(**operation.options)


def _open(means: Means, plan: Plan, dead: Operation | None) -> Operation:
    """Open an operation; a dead owner's is closed as what it is, a failure, and superseded."""
    if dead is not None and dead.state is OperationState.OPEN:
        mine = means.store.take_over(dead, me())
        state = OperationState.INCOMPLETE if dead.trunk_settled else OperationState.FAILED
        means.store.close_operation(mine, state)
    pool = plan.trunk.pool
    thick = pool is not None and not plan.trunk.thin
    project = plan.volume.project or ""
    opening = Opening(
        before=plan.before,
        goal=plan.goal,
        owner=me(),
        expected_size=plan.volume.size,
        targets=plan.targets,
        options=plan.options(),
        reason=plan.wish.reason,
        decision=plan.decision.reasons,
        expected_attachments=frozenset(one.id for one in plan.volume.attachments),
        pool_key=pool.key if pool is not None and thick else None,
        needed=plan.needed,
        pool_free=pool.free if pool is not None and thick else None,
        pool_seen=plan.seen,
        project_max=means.config.policy.projects.get(project),
    )
    return means.store.open_operation(plan.volume.name, opening)


def _take_up(means: Means, earlier: Operation, plan: Plan) -> Operation:
    if earlier.state is OperationState.OPEN:
        return means.store.take_over(earlier, me())
    pool = plan.trunk.pool
    thick = pool is not None and not plan.trunk.thin
    free = pool.free if pool is not None and thick else None
    return means.store.reopen_operation(earlier.id, me(), free, plan.seen)


def _carry_out(desk: Desk, plan: Plan, operation: Operation) -> VolumeReport:
    """From here on the operation is open: it ends closed, or stays open for `resume`.

    What goes wrong with the record itself, once something has been done, is Incomplete too.
    """
    desk.journal.operation = operation
    try:
        return _walked(desk, plan, operation)
    except (Interrupted, Incomplete):
        raise
    except ExtendctlError as error:
        if desk.journal.acted == 0:
            raise
        hint = f"extendctl operation show {operation.id}; then volume resume {plan.volume.name}"
        raise OutcomeUnknown(f"{plan.volume.name}: {error}", hint=hint) from error


def _walked(desk: Desk, plan: Plan, operation: Operation) -> VolumeReport:
    with Heartbeat(lambda: desk.means.store.heartbeat(operation)):
        desk.forget()
        trunk = follow(plan.trunk.layers, plan.goal, grow, desk.journal, operation.targets)
        if trunk.error is not None or trunk.top is None:
            return _trunk_failed(desk, plan, operation, trunk)
        desk.means.store.trunk_settled(operation, trunk.lines[0].after or trunk.top)
        below = trunk.top
        ends = side_by_side(
            lambda one: (one, _follow(desk, one, below, operation)), plan.branches, patient=True
        )
        return _close(desk, plan, operation, trunk, ends)


def _follow(desk: Desk, branch: Branch, below: Size, operation: Operation) -> Trail:
    """Let one host follow; what fails there is its own result and nobody else's."""
    if branch.stack is None:
        return Trail(error=branch.error)
    desk.machine(branch.attachment.host).forget()
    return follow(branch.stack.layers, below, grow, desk.journal, operation.targets)


def _trunk_failed(desk: Desk, plan: Plan, operation: Operation, trunk: Trail) -> VolumeReport:
    error = trunk.error or BackendFailed(f"{plan.volume.name}: the backend gave no size")
    fresh = operation.epoch == 1 and not plan.wish.floors
    untouched = fresh and desk.journal.acted == 0
    if untouched:
        state = OperationState.ABANDONED
    else:
        error, state = _backend_error(error, plan), OperationState.FAILED
    desk.means.store.close_operation(operation, state, error.as_dict())
    result = _result(desk, plan, operation, trunk, [(one, Trail()) for one in plan.branches])
    outcome = report.refused(plan.volume.name, error).outcome
    return replace(result, outcome=outcome, attachments=(), error=error)


def _backend_error(error: ExtendctlError, plan: Plan) -> ExtendctlError:
    """Once something was done, whatever went wrong is Incomplete and says so."""
    hint = error.fault.hint or f"extendctl volume resume {plan.volume.name}"
    host = plan.trunk.layers[0].host
    if isinstance(error, Unreachable):
        return OutcomeUnknown(str(error), hint=hint, host=host)
    if isinstance(error, Incomplete) and error.fault.code != "host-failed":
        return error
    return BackendFailed(str(error), hint=hint, host=host)


def _close(
    desk: Desk,
    plan: Plan,
    operation: Operation,
    trunk: Trail,
    ends: Sequence[tuple[Branch, Trail]],
) -> VolumeReport:
    reports = [report.followed(branch, trail) for branch, trail in ends]
    seen = {
        branch.attachment.id: _seen(branch, trail, one)
        for (branch, trail), one in zip(ends, reports, strict=True)
    }
    behind = any(one.error is not None for one in reports)
    error = _lag(desk, plan, reports) if behind else None
    state = OperationState.INCOMPLETE if behind else OperationState.DONE
    desk.means.store.close_operation(
        operation, state, None if error is None else error.as_dict(), seen
    )
    result = _result(desk, plan, operation, trunk, ends)
    outcome = Outcome.DONE if error is None else _behind(error)
    return replace(result, outcome=outcome, attachments=tuple(reports), error=error)


def _lag(desk: Desk, plan: Plan, reports: Sequence[AttachmentReport]) -> ExtendctlError:
    """Hosts that could not be asked, and nothing done anywhere, is "not now"; else it is a lag."""
    errors = [one.error for one in reports if one.error is not None]
    if desk.journal.acted == 0 and all(isinstance(one, Unreachable) for one in errors):
        if not plan.wish.governed:
            return errors[0]
    return report.lagging(plan.volume.name, reports)


def _behind(error: ExtendctlError) -> Outcome:
    return Outcome.NOT_NOW if isinstance(error, Unreachable) else Outcome.INCOMPLETE


def _seen(branch: Branch, trail: Trail, one: AttachmentReport) -> Seen:
    stack = branch.stack
    if stack is None:
        return Seen(lagging=True)
    return Seen(one.error is not None, trail.device, stack.device, stack.mountpoint)


def _result(
    desk: Desk,
    plan: Plan,
    operation: Operation,
    trunk: Trail,
    ends: Sequence[tuple[Branch, Trail]],
) -> VolumeReport:
    volume = desk.means.store.volume(plan.volume.name)
    return VolumeReport(
        volume=volume.name,
        outcome=Outcome.DONE,
        operation=operation.id,
        status=volume.status,
        before=plan.before,
        goal=plan.goal,
        size=volume.size,
        layers=tuple(report.merged(plan, trunk, ends)),
        notices=report.notices(plan),
    )


def _unchanged(means: Means, plan: Plan) -> VolumeReport:
    """All is full. A size that the state did not know of, or a lag that is over, is adopted."""
    measured = plan.trail.lines[0].after or plan.volume.size
    for branch in plan.branches:
        if branch.attachment.lagging and branch.stack is not None:
            seen = Seen(False, branch.trail.device, branch.stack.device, branch.stack.mountpoint)  # noqa: FBT003
            means.store.note_attachment(branch.attachment.id, seen)
    if measured != plan.volume.size:
        means.store.set_size(plan.volume.name, measured)
    adopted = measured != plan.volume.size or bool(plan.volume.lagging)
    volume = means.store.volume(plan.volume.name)
    outcome = Outcome.DONE if adopted else Outcome.UNCHANGED
    return replace(report.planned(plan), outcome=outcome, status=volume.status, size=volume.size)


def _untouched(means: Means, name: str, error: ExtendctlError) -> VolumeReport:
    """A refusal, with what the state says of the volume when it is there."""
    found = report.refused(name, error)
    try:
        volume = means.store.volume(name)
    except ExtendctlError:
        return found
    return replace(found, status=volume.status, before=volume.size, size=volume.size)
