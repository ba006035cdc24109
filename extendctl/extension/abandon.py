"""Lead out of an operation that cannot reach its goal: adopt what is measured now and end it."""

from dataclasses import replace

from extendctl.errors import Busy, ConfigError, Fault, Refused, Unreachable
from extendctl.extension.means import Means
from extendctl.extension.plan import Branch, Wish
from extendctl.extension.survey import look_at
from extendctl.model import UNFINISHED, Operation, OperationState, Seen, Volume
from extendctl.owner import is_dead, me
from extendctl.size import Size


def abandon(means: Means, operation_id: int, *, unmeasured: bool = False) -> Operation:
    """End an unfinished operation; hosts that have not followed stay lagging.

    A volume that its backend no longer has keeps the size that is known, and all its hosts lag;
    with `unmeasured` also one whose backend is silent or is not configured any more. Raises Busy
    while its owner lives, else Unreachable or ConfigError of such a one, Refused when there is no
    such operation or it has ended.
    """
    operation = means.store.operation(operation_id)
    if operation.state not in UNFINISHED:
        message = f"operation {operation.id} has ended: it is {operation.state}"
        raise Refused((Fault("obstacle", message, "there is nothing to abandon"),))
    volume = means.store.volume(operation.volume)
    if operation.state is OperationState.OPEN and not _dead(operation):
        message = f"operation {operation.id} of {volume.name} is being worked on"
        raise Busy(message, hint="wait for it, or end that program first")
    size, seen = _measured(means, volume, operation_id, unmeasured=unmeasured)
    if operation.state is OperationState.OPEN:
        operation = means.take_over(operation)  # a last deed may have ended while it listened
        size, seen = _measured(means, volume, operation_id, unmeasured=unmeasured)
    means.store.abandon(operation, me(), size, seen)
    return means.store.operation(operation_id)


def _measured(
    means: Means, volume: Volume, number: int, *, unmeasured: bool
) -> tuple[Size | None, dict[int, Seen]]:
    wish = Wish(goal=volume.size, allow_lagging=True)
    try:
        plan = look_at(means.desk(volume.name), volume, wish)
    except Refused:  # gone, or another of its name: that must not keep it open for ever
        return None, {one.id: Seen(lagging=True) for one in volume.attachments}
    except (Unreachable, ConfigError) as error:
        if unmeasured:
            return None, {one.id: Seen(lagging=True) for one in volume.attachments}
        ways_out = f"if it never comes back: extendctl operation abandon {number} --unmeasured"
        error.faults = tuple(replace(one, hint=ways_out) for one in error.faults)
        raise
    size = plan.trail.lines[0].before
    return size, {branch.attachment.id: _seen(branch, size) for branch in plan.branches}


def _dead(operation: Operation) -> bool:
    return is_dead(operation.owner, operation.heartbeat_age)


def _seen(branch: Branch, trunk: Size | None) -> Seen:
    if branch.stack is None:
        return Seen(lagging=True)
    behind = branch.trail.behind or branch.error is not None
    return Seen(behind, branch.measured(trunk), branch.stack.device, branch.stack.mountpoint)
