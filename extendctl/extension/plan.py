"""Look at everything before anything is touched: what would grow, and every reason against it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from extendctl import compute, questions
from extendctl.errors import ExtendctlError, Fault, Refused, Unreachable
from extendctl.extension.means import Desk, attempt, side_by_side
from extendctl.journal import Trail, follow, skipped
from extendctl.model import Attachment, Capability, GrowOptions, LayerReport, Status, Volume
from extendctl.policy import Decision, Request, decide
from extendctl.size import Size, SizeRequest, human
from extendctl.stack import Layer, Stack, Trunk, forecast


@dataclass(frozen=True)
class Wish:
    """What was asked for. `floors` are targets that an earlier operation has promised."""

    goal: Size
    options: GrowOptions = GrowOptions()
    relative: bool = False
    allow_lagging: bool = False
    confirmed: bool = False
    governed: bool = True  # False for taking up again what was allowed before
    reason: str | None = None
    floors: Mapping[str, Size] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """One attachment's part: its stack with the forecast, or why there is none."""

    attachment: Attachment
    stack: Stack | None = None
    trail: Trail = field(default_factory=Trail)
    error: ExtendctlError | None = None

    @property
    def unreachable(self) -> bool:
        """True when nothing is known because the host did not answer."""
        error = self.error or self.trail.error
        return isinstance(error, Unreachable)

    def lines(self) -> list[LayerReport]:
        """The branch's lines, with those of what is left alone."""
        return [*self.trail.lines, *skipped(self.stack.skipped if self.stack else ())]


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first deed, sizes in bytes.

    `rounded` is what was asked for, in whole extents; `goal` is that or what is there already.
    """

    volume: Volume
    wish: Wish
    before: Size
    rounded: Size
    goal: Size
    trunk: Trunk
    trail: Trail
    branches: tuple[Branch, ...]
    decision: Decision
    needed: Size
    seen: datetime
    faults: tuple[Fault, ...] = ()

    @property
    def idle(self) -> bool:
        """True when every layer on every host is full already."""
        return not self.trail.behind and not any(
            branch.trail.behind or branch.unreachable for branch in self.branches
        )

    @property
    def targets(self) -> dict[str, Size]:
        """Each layer's absolute size when the plan has been carried out, by key."""
        targets = dict(self.wish.floors) | self.trail.targets
        for branch in self.branches:
            targets |= branch.trail.targets
        return targets

    def lines(self) -> list[LayerReport]:
        """All lines, the trunk's first."""
        return [*self.trail.lines, *(line for one in self.branches for line in one.lines())]

    def options(self) -> dict[str, Any]:
        """What `resume` has to know of the wish."""
        options = self.wish.options
        return {
            "no_filesystem": options.no_filesystem,
            "grow_lv": options.grow_lv,
            "fill": options.fill,
            "offline": options.offline,
        }


def make(desk: Desk, volume: Volume, wish: Wish) -> Plan:
    """Measure and foretell everything.

    Raises Refused, Unreachable or another ExtendctlError when the backend cannot even be looked
    at; all that is found beyond that stands in the plan's `faults`.
    """
    _refuse_early(desk, volume, wish)
    plan = look_at(desk, volume, wish)
    return replace(plan, faults=(*_faults(desk, plan), *plan.faults))


def look_at(desk: Desk, volume: Volume, wish: Wish) -> Plan:
    """Measure and foretell, whether or not it may be done. Raises like `make`."""
    seen = desk.means.store.clock()
    trunk, stacks = _look(desk, volume, wish)
    trail = follow(trunk.layers, wish.goal, forecast, targets=wish.floors)
    if trail.error is not None or trail.top is None:
        raise trail.error or Refused((Fault("obstacle", f"{volume.name} has no layers"),))
    branches = tuple(_foretell(one, trail.top, wish) for one in stacks)
    lowest = trail.lines[0]
    needed = max(0, (lowest.after or 0) - (lowest.before or 0)) * trunk.copies
    rounded = trunk.layers[0].room(wish.goal)
    request = replace(_request(desk, volume, wish, trunk, rounded), needed=needed)
    return Plan(
        volume=volume,
        wish=wish,
        before=volume.size,
        rounded=rounded,
        goal=max(rounded, trail.top),
        trunk=trunk,
        trail=trail,
        branches=branches,
        decision=decide(desk.means.config.policy, request),
        needed=needed,
        seen=seen,
        faults=tuple(_shared(branches)),
    )


def goal_of(volume: Volume, size: SizeRequest) -> Size:
    """The absolute goal. Raises Refused for a relative one while something lags."""
    if size.relative and volume.lagging:
        hosts = ", ".join(one.host for one in volume.lagging)
        message = (
            f"{volume.name} lags on {hosts}, so that {size.text} would add to what is unfinished"
        )
        raise Refused((Fault("invalid-status", message, f"extendctl volume resume {volume.name}"),))
    return size.goal(volume.size)


def _refuse_early(desk: Desk, volume: Volume, wish: Wish) -> None:
    """All that can be said without asking a machine."""
    request = _request(desk, volume, wish, None, wish.goal)
    decision = decide(desk.means.config.policy, request)
    faults = [*_status(volume), *(_permission(desk, volume, decision) if wish.governed else ())]
    if faults:
        faults += _smaller(volume, wish.goal)
        raise Refused(faults)


def _status(volume: Volume) -> Iterator[Fault]:
    if volume.admin_status is not None:
        yield Fault(
            "invalid-status",
            f"{volume.name} is {volume.status}; only a volume that is {Status.AVAILABLE}, "
            f"{Status.IN_USE} or {Status.ERROR_EXTENDING} can be extended",
            f"when that is over: extendctl volume set-status {volume.name} clear",
        )


def _permission(desk: Desk, volume: Volume, decision: Decision) -> Iterator[Fault]:
    yield from decision.faults
    backend = desk.means.config.backends.get(volume.backend)
    if volume.attachments and backend is not None:
        if Capability.IN_USE_EXTEND not in backend.capabilities:
            yield Fault(
                "capability-missing",
                f"backend {volume.backend} does not support extending a volume that is in-use",
                f"detach {volume.name} first, or grant `capabilities: [in-use-extend]` "
                f"to {volume.backend} if its hosts can follow",
            )


def _smaller(volume: Volume, goal: Size) -> Iterator[Fault]:
    if goal < volume.size:
        yield Fault(
            "size-not-greater",
            f"{volume.name} is {human(volume.size)} ({volume.size} bytes) already; "
            f"{human(goal)} ({goal} bytes) is less, and a volume only ever grows",
            "choose a larger size",
        )


def _request(desk: Desk, volume: Volume, wish: Wish, trunk: Trunk | None, goal: Size) -> Request:
    total = 0
    if volume.project is not None:
        total = desk.means.store.project_total(volume.project, without=volume.name)
    return Request(
        asker=desk.means.asker,
        volume=volume.name,
        project=volume.project,
        attached=bool(volume.attachments),
        before=volume.size,
        goal=goal,
        project_total=total,
        confirmed=wish.confirmed,
        pool=None if trunk is None else trunk.pool,
        thin=trunk is not None and trunk.thin,
    )


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
        _glance(found.layers, wish.goal)
        return Branch(attachment, found)

    found = side_by_side(look, [None, *volume.attachments])
    return [one for one in found if one is not None]


def _stack(desk: Desk, volume: Volume, trunk: Trunk, attachment: Attachment, wish: Wish) -> Stack:
    if trunk.identity is None:
        message = f"{volume.name} is attached to {attachment.host}, but no target serves it"
        hint = f"export {trunk.source} first, or detach the volume"
        raise Refused((*trunk.obstacles, Fault("obstacle", message, hint, attachment.host)))
    machine = desk.machine(attachment.host)
    return compute.build(attachment, machine).stack(trunk.identity, wish.options)


def _glance(layers: Iterable[Layer], goal: Size) -> None:
    """Ask all layers at once what will be asked one by one: the answers are remembered."""
    looks: list[Callable[[], object]] = []
    for layer in layers:
        looks += [layer.measure, partial(layer.obstacles, goal)]
    side_by_side(attempt, looks)


def _foretell(branch: Branch, below: Size, wish: Wish) -> Branch:
    if branch.stack is None:
        return branch
    trail = follow(branch.stack.layers, below, forecast, targets=wish.floors)
    return replace(branch, trail=trail, error=trail.error)


def _faults(desk: Desk, plan: Plan) -> Iterator[Fault]:
    yield from _smaller(plan.volume, plan.rounded)
    if plan.wish.governed:
        yield from _permission(desk, plan.volume, plan.decision)
    yield from plan.trunk.obstacles
    yield from _obstacles(plan.trunk.layers, plan.trail)
    for branch in plan.branches:
        if branch.error is None and branch.stack is not None:
            yield from branch.stack.obstacles
            yield from _obstacles(branch.stack.layers, branch.trail)
        elif branch.error is not None and not (plan.wish.allow_lagging and branch.unreachable):
            yield from branch.error.faults


def _obstacles(layers: Iterable[Layer], trail: Trail) -> Iterator[Fault]:
    """What stands against the layers that would grow; a full one may have any obstacle."""
    for layer, line in zip(layers, trail.lines, strict=False):
        if line.before is None or line.after is None or line.after <= line.before:
            continue
        found = attempt(lambda layer=layer, to=line.after: layer.obstacles(to))  # type: ignore[misc]
        yield from found.faults if isinstance(found, ExtendctlError) else found


def _shared(branches: Iterable[Branch]) -> Iterator[Fault]:
    """One filesystem mounted on two hosts: it is being destroyed, extended or not."""
    hosts: dict[str, list[str]] = {}
    for branch in branches:
        for line in branch.trail.lines:
            if line.kind in {"ext4", "xfs", "btrfs"}:
                hosts.setdefault(line.kind, []).append(branch.attachment.host)
    for kind, where in hosts.items():
        if len(where) > 1:
            message = f"{kind} is no cluster filesystem and is mounted on {' and '.join(where)}"
            hint = "unmount it on all hosts but one now, then check it: it is being corrupted"
            yield Fault("obstacle", message, hint)
