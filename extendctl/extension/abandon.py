"""Lead out of an operation that cannot reach its goal: adopt what is measured now and end it."""

from extendctl.errors import Busy
from extendctl.extension.means import Means
from extendctl.extension.plan import Branch, Wish
from extendctl.extension.survey import look_at
from extendctl.model import Operation, OperationState, Seen
from extendctl.owner import is_dead, me
from extendctl.size import Size


def abandon(means: Means, operation_id: int) -> Operation:
    """End an unfinished operation; hosts that have not followed stay lagging.

    Raises Busy while its owner lives, Unreachable when the backend cannot be measured, Refused
    when there is no such operation or it has ended.
    """
    operation = means.store.operation(operation_id)
    volume = means.store.volume(operation.volume)
    if operation.state is OperationState.OPEN and not _dead(operation):
        message = f"operation {operation.id} of {volume.name} is being worked on"
        raise Busy(message, hint="wait for it, or end that program first")
    plan = look_at(means.desk(volume.name), volume, Wish(goal=volume.size, allow_lagging=True))
    size = plan.trail.lines[0].before
    if operation.state is OperationState.OPEN:
        operation = means.store.take_over(operation, me())
    seen = {branch.attachment.id: _seen(branch, size) for branch in plan.branches}
    means.store.abandon(operation, size, seen)
    return means.store.operation(operation_id)


def _dead(operation: Operation) -> bool:
    return is_dead(operation.owner, operation.heartbeat_age)


def _seen(branch: Branch, trunk: Size | None) -> Seen:
    if branch.stack is None:
        return Seen(lagging=True)
    behind = branch.trail.behind or branch.error is not None
    return Seen(behind, branch.measured(trunk), branch.stack.device, branch.stack.mountpoint)
