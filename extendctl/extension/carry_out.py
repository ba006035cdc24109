"""Carry a plan out: open the operation, grow the trunk, let the hosts follow, and close it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from extendctl.errors import (
    BackendFailed,
    ExtendctlError,
    HostFailed,
    Incomplete,
    Interrupted,
    OutcomeUnknown,
    Unreachable,
)
from extendctl.extension import report
from extendctl.extension.means import Desk, Means, attempt, side_by_side
from extendctl.extension.plan import Branch, Plan
from extendctl.journal import Trail, follow, not_reached, skipped
from extendctl.model import (
    AttachmentReport,
    LayerOutcome,
    Opening,
    Operation,
    OperationState,
    Outcome,
    PoolUsage,
    Seen,
    VolumeReport,
)
from extendctl.owner import Heartbeat, me
from extendctl.size import Size
from extendctl.stack import Layer, Pooled, grow


def open_new(means: Means, plan: Plan, dead: Operation | None) -> Operation:
    """Open an operation; a dead owner's is closed as what it is, a failure, and superseded."""
    if dead is not None and dead.state is OperationState.OPEN:
        mine = means.take_over(dead)
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
        given=plan.given(),
        expected_attachments=frozenset(one.id for one in plan.volume.attachments),
        pool_key=pool.key if pool is not None and thick else None,
        needed=plan.needed,
        pool_free=pool.free if pool is not None and thick else None,
        pool_seen=plan.seen,
        project_max=means.config.policy.projects.get(project),
    )
    return means.store.open_operation(plan.volume.name, opening)


def take_up(means: Means, earlier: Operation, plan: Plan) -> Operation:
    """Own an unfinished operation: a dead owner's is taken over, a closed one opened again."""
    if earlier.state is OperationState.OPEN:
        return means.take_over(earlier, plan.asked())
    pool = plan.trunk.pool
    thick = pool is not None and not plan.trunk.thin
    free = pool.free if pool is not None and thick else None
    return means.store.reopen_operation(earlier.id, me(), free, plan.seen, asked=plan.asked())


def carry_out(desk: Desk, plan: Plan, operation: Operation) -> VolumeReport:
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
        ends = _branches(desk, plan, below, operation)
        return _close(desk, plan, operation, trunk, ends)


def _branches(
    desk: Desk, plan: Plan, below: Size, operation: Operation
) -> list[tuple[Branch, Trail]]:
    """Each host's devices; when all hosts have them, the content; then the others read again."""

    def devices(branch: Branch, _: Trail) -> Trail:
        if branch.stack is None:
            return Trail(error=branch.error)
        desk.machine(branch.attachment.host).forget()
        trail = climb(branch.stack.devices, below)
        return trail if branch.stack.devices else Trail(device=below)

    def content(branch: Branch, trail: Trail) -> Trail:
        layers = () if branch.stack is None else branch.stack.content
        return _above(trail, layers, below, climb)

    def views(branch: Branch, trail: Trail) -> Trail:
        layers = () if branch.stack is None else branch.stack.views
        if layers and trail.error is None and stuck is not None:
            return trail.then(Trail(not_reached(layers), _unread(branch, stuck)))
        return _above(trail, layers, below, climb)

    def climb(layers: Sequence[Layer], room: Size) -> Trail:
        return follow(layers, room, grow, desk.journal, operation.targets)

    ends = _phase(devices, [(one, Trail()) for one in plan.branches])
    ends = _phase(content, ends)
    stuck = _stuck(ends)
    return _phase(views, ends)


def _phase(
    work: Callable[[Branch, Trail], Trail], ends: Sequence[tuple[Branch, Trail]]
) -> list[tuple[Branch, Trail]]:
    """One phase on all hosts side by side; it has ended when it has ended on each."""
    trails = side_by_side(lambda end: work(*end), ends, patient=True)
    return [(branch, trail) for (branch, _), trail in zip(ends, trails, strict=True)]


def _above(
    trail: Trail,
    layers: Sequence[Layer],
    below: Size,
    climb: Callable[[Sequence[Layer], Size], Trail],
) -> Trail:
    """The trail with what comes of the layers above it, if it came to a good end."""
    if trail.error is not None:
        return trail.then(Trail(not_reached(layers)))
    return trail.then(climb(layers, below if trail.top is None else trail.top))


def _stuck(ends: Sequence[tuple[Branch, Trail]]) -> str | None:
    """The host that holds the content, where it has not come past what the others read again."""
    stacks = [branch.stack for branch, _ in ends if branch.stack is not None]
    kinds = {view.kind for stack in stacks for view in stack.views}
    behind = {LayerOutcome.FAILED, LayerOutcome.UNKNOWN}
    for branch, trail in ends:
        if branch.stack is None or not branch.stack.content:
            continue
        if any(line.kind in kinds and line.outcome in behind for line in trail.lines):
            return branch.attachment.host
    return None


def _unread(branch: Branch, elsewhere: str) -> HostFailed | None:
    """A host that has nothing new to read yet lags only if it will have."""
    views = () if branch.stack is None else branch.stack.views
    keys = {one.key for one in views}
    if not any(one.key in keys and one.outcome == "planned" for one in branch.trail.lines):
        return None
    message = f"{views[0].name} on {branch.attachment.host} waits for {elsewhere}, which has not "
    return HostFailed(message + "finished", host=branch.attachment.host)


def _trunk_failed(desk: Desk, plan: Plan, operation: Operation, trunk: Trail) -> VolumeReport:
    error = trunk.error or BackendFailed(f"{plan.volume.name}: the backend gave no size")
    fresh = operation.epoch == 1 and not plan.wish.floors
    untouched = fresh and desk.journal.acted == 0
    if untouched:
        state = OperationState.ABANDONED
    else:
        error, state = _backend_error(error, plan, operation), OperationState.FAILED
    desk.means.store.close_operation(operation, state, error.as_dict())
    result = _result(desk, plan, operation, trunk, [(one, Trail()) for one in plan.branches])
    outcome = report.refused(plan.volume.name, error).outcome
    return replace(result, outcome=outcome, attachments=(), error=error)


def _backend_error(error: ExtendctlError, plan: Plan, operation: Operation) -> ExtendctlError:
    """Once something was done, whatever went wrong is Incomplete and says so.

    A goal that the backend can never reach is told by the tool alone, so both ways out are named.
    """
    ways_out = f"when the cause is gone: extendctl volume resume {plan.volume.name}; "
    ways_out += f"to give it up: extendctl operation abandon {operation.id}"
    hint = error.fault.hint or ways_out
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
    for branch, _ in ends:
        for line in skipped(branch.stack.skipped if branch.stack else ()):
            desk.means.store.settled(operation, line)
    behind = any(one.error is not None for one in reports)
    error = _lag(desk, plan, reports) if behind else None
    state = OperationState.INCOMPLETE if behind else OperationState.DONE
    desk.means.store.close_operation(
        operation, state, None if error is None else error.as_dict(), seen
    )
    result = _result(desk, plan, operation, trunk, ends)
    outcome = Outcome.DONE if error is None else _behind(error)
    notices = (*result.notices, *_spent(desk, plan))
    return replace(
        result, outcome=outcome, attachments=tuple(reports), notices=notices, error=error
    )


def _spent(desk: Desk, plan: Plan) -> tuple[str, ...]:
    """What there is to say of a thin pool, now that filesystems have written to it."""
    lowest = plan.trunk.layers[0]
    if not plan.trunk.thin or not isinstance(lowest, Pooled):
        return ()
    pool = attempt(lowest.pool)
    limits = desk.means.config.policy.limits
    return report.filled(pool, limits) if isinstance(pool, PoolUsage) else ()


def _lag(desk: Desk, plan: Plan, reports: Sequence[AttachmentReport]) -> ExtendctlError:
    """Hosts that could not be asked, and nothing done anywhere, is "not now"; else it is a lag."""
    errors = [one.error for one in reports if one.error is not None]
    away = all(isinstance(one, Unreachable) for one in errors)
    if away and desk.journal.acted == 0 and not plan.wish.governed:
        return errors[0]
    return report.lagging(plan.volume.name, reports, acted=desk.journal.acted > 0)


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
        goal=plan.rounded,
        size=volume.size,
        layers=tuple(report.merged(plan, trunk, ends)),
        notices=report.notices(plan),
    )
