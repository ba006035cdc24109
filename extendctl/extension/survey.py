"""Look at everything before anything is touched, all machines at the same time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import takewhile

from extendctl import compute, questions
from extendctl.errors import ExtendctlError, Fault, Refused
from extendctl.extension import verdict
from extendctl.extension.means import Desk, attempt, side_by_side
from extendctl.extension.plan import Branch, Plan, Wish
from extendctl.journal import Trail, follow
from extendctl.model import Attachment, Volume
from extendctl.policy import decide
from extendctl.size import Size, SizeRequest
from extendctl.stack import Ending, Layer, Skipped, Stack, Trunk, Viewed, forecast, pauses


def make(desk: Desk, volume: Volume, wish: Wish) -> Plan:
    """Measure and foretell everything.

    Raises Refused, Unreachable or another ExtendctlError when the backend cannot even be looked
    at; all that is found beyond that stands in the plan's `faults`.
    """
    verdict.refuse_early(desk, volume, wish)
    plan = look_at(desk, volume, wish)
    found = dict.fromkeys((*verdict.faults(desk, plan), *plan.faults))
    return replace(plan, faults=tuple(found))


def look_at(desk: Desk, volume: Volume, wish: Wish) -> Plan:
    """Measure and foretell, whether or not it may be done. Raises like `make`."""
    seen = desk.means.store.clock()
    trunk, stacks = _look(desk, volume, wish)
    rounded = trunk.layers[0].room(wish.goal)
    floors = _holding(wish.floors, trunk.layers[0], rounded)
    trail = follow(trunk.layers, wish.goal, forecast, targets=floors)
    if trail.error is not None or trail.top is None:
        raise trail.error or Refused((Fault("obstacle", f"{volume.name} has no layers"),))
    branches = tuple(_foretell(one, trail.top, floors) for one in stacks)
    lowest = trail.lines[0]
    needed = max(0, (lowest.after or 0) - (lowest.before or 0)) * trunk.copies
    wanted = verdict.request(desk, volume, wish, trunk, rounded)
    wanted = replace(wanted, needed=needed, pauses=_pauses(trunk, trail))
    return Plan(
        volume=volume,
        wish=wish,
        before=volume.size,
        rounded=rounded,
        goal=max(rounded, trail.top),
        trunk=trunk,
        trail=trail,
        branches=branches,
        decision=decide(desk.means.config.policy, wanted),
        needed=needed,
        seen=seen,
        floors=floors,
        faults=tuple(verdict.shared(trunk, branches)),
    )


def _pauses(trunk: Trunk, trail: Trail) -> bool:
    """True when a layer of the backend would grow that lets those wait who use it."""
    lines = zip(trunk.layers, trail.lines, strict=False)
    return any(pauses(layer) and (line.after or 0) > (line.before or 0) for layer, line in lines)


def _holding(floors: Mapping[str, Size], lowest: Layer, rounded: Size) -> Mapping[str, Size]:
    """An earlier operation's targets, if the backend has or is asked for what they stand on.

    Who asks for less, after the backend refused to give more, must not get more all the same.
    """
    promised = floors.get(lowest.key, 0)
    return floors if max(rounded, lowest.measure()) >= promised else {}


def goal_of(volume: Volume, size: SizeRequest) -> Size:
    """The absolute goal. Raises Refused for a relative one while something lags.

    Where the backend has not settled, the size that growth is counted from is the one before it.
    """
    unfinished = volume.open_operation is not None and volume.trunk_settled
    if size.relative and (volume.lagging or unfinished):
        hosts = ", ".join(one.host for one in volume.lagging)
        where = f"lags on {hosts}" if hosts else "has grown, and its hosts may lag"
        message = f"{volume.name} {where}, so that {size.text} would add to what is unfinished"
        raise Refused((Fault("invalid-status", message, f"extendctl volume resume {volume.name}"),))
    return size.goal(volume.size)


def _look(desk: Desk, volume: Volume, wish: Wish) -> tuple[Trunk, list[Branch]]:
    """The trunk and a stack for each attachment; all machines asked at the same time."""
    hosts = dict.fromkeys(one.host for one in volume.attachments)

    def look(host: str | None) -> Trunk | ExtendctlError | None:
        if host is None:
            backend = desk.backend(volume.backend)
            return attempt(lambda: backend.trunk(volume.source, volume.identity))
        attempt(lambda: desk.machine(host).ask(questions.facts()))
        return None

    trunk = side_by_side(look, [None, *hosts])[0]
    if not isinstance(trunk, Trunk):
        raise trunk or AssertionError("the backend gave nothing")
    return trunk, _stacks(desk, volume, trunk, wish)


def _stacks(desk: Desk, volume: Volume, trunk: Trunk, wish: Wish) -> list[Branch]:
    def look(attachment: Attachment | None) -> Branch | None:
        if attachment is None:
            _glance(trunk.layers, wish.goal)
            return None
        found = attempt(lambda: _stack(desk, volume, trunk, attachment, wish))
        if isinstance(found, ExtendctlError):
            return Branch(attachment, error=found)
        more = views_of(found) if len(volume.attachments) > 1 else ()
        _glance((*found.layers, *more), wish.goal)
        return Branch(attachment, _ended(found))

    found = side_by_side(look, [None, *volume.attachments])
    return elect([one for one in found if one is not None])


def _ended(stack: Stack) -> Stack:
    """The stack up to where growth ends, as the questions about its layers have told."""
    for at, layer in enumerate(stack.layers):
        mark = attempt(layer.ends) if isinstance(layer, Ending) else None
        if isinstance(mark, Skipped):
            return replace(stack, layers=stack.layers[:at], skipped=(*stack.skipped, mark))
    return stack


def elect(branches: list[Branch]) -> list[Branch]:
    """Leave the content to one host: the one that has it in use, where several could grow it.

    In use is what is mounted or swapped on, whether or not it grows; else what is open or active.

    The others read again what it has written. Two hosts that have a filesystem mounted, or swap on
    it, are both left as they are found: that is a danger which must be seen, not an election. And
    while a host is silent, which may have it in use, nobody grows what is not in use elsewhere.
    """
    holders = [one for one in branches if one.stack is not None and one.stack.content]
    mounted = [one for one in holders if one.stack is not None and one.stack.uses]
    silent = [one.attachment.host for one in branches if one.stack is None]
    if silent and holders and not mounted:
        reason = f"{silent[0]} did not answer, and may have it in use"
        return [_yielding(one, reason) if one in holders else one for one in branches]
    if len(holders) < 2 or len(mounted) > 1:
        return branches
    elected = (mounted or [one for one in holders if one.stack and one.stack.opened] or holders)[0]
    reason = f"it is grown on {elected.attachment.host}"
    yielding = [one for one in holders if one is not elected]
    return [_yielding(one, reason, reads=True) if one in yielding else one for one in branches]


def _yielding(branch: Branch, reason: str, *, reads: bool = False) -> Branch:
    """A host that leaves the content alone; with `reads`, its kernel follows what another grows."""
    stack = branch.stack
    if stack is None:
        return branch
    views = views_of(stack) if reads else ()
    left = stack.content[len(views) :]
    marks = [Skipped(one.host, one.kind, one.name, reason + _refresh(one)) for one in left]
    skipped = (*stack.skipped, *marks)
    return replace(branch, stack=replace(stack, layers=stack.devices, views=views, skipped=skipped))


def _refresh(layer: Layer) -> str:
    """What a host has to do before it uses a logical volume that another one has grown."""
    if layer.kind != "guest-lv":
        return ""
    return f"; if it is active here, use it after `lvchange --refresh {layer.name}` only"


def views_of(stack: Stack) -> tuple[Layer, ...]:
    """What this host's kernel would read again, from the lowest content up to what has no view."""
    seen = takewhile(lambda one: isinstance(one, Viewed), stack.content)
    return tuple(one.view() for one in seen if isinstance(one, Viewed))


def _stack(desk: Desk, volume: Volume, trunk: Trunk, attachment: Attachment, wish: Wish) -> Stack:
    if trunk.identity is None:
        message = f"{volume.name} is attached to {attachment.host}, but no target serves it"
        hint = f"export {trunk.source} first, or detach the volume"
        unserved = Fault("obstacle", message, hint, attachment.host)
        raise Refused(trunk.obstacles or (unserved,))  # which may say that too many serve it
    machine = desk.machine(attachment.host)
    return compute.build(attachment, machine).stack(trunk.identity, wish.options)


def _glance(layers: Iterable[Layer], goal: Size) -> None:
    """Ask all layers at once what will be asked one by one: the answers are remembered."""
    looks: list[Callable[[], object]] = []
    for layer in layers:
        looks += [layer.measure, partial(layer.obstacles, goal)]
    side_by_side(attempt, looks)


def _foretell(branch: Branch, below: Size, floors: Mapping[str, Size]) -> Branch:
    if branch.stack is None:
        return branch
    trail = follow(branch.stack.every, below, forecast, targets=floors)
    if not branch.stack.devices:
        trail.device = below  # the backend's own device is the one that this host uses
    return replace(branch, trail=trail, error=trail.error)
