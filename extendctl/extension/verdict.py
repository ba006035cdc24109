"""Every reason against an extension: status, size, policy, capability, reach, obstacles."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from extendctl.errors import ExtendctlError, Fault, Refused
from extendctl.extension.means import Desk, attempt
from extendctl.extension.plan import Branch, Plan, Wish
from extendctl.journal import Trail
from extendctl.model import Capability, Status, Volume
from extendctl.policy import Decision, Request, decide
from extendctl.size import Size, human
from extendctl.stack import Layer, Trunk, Use


def refuse_early(desk: Desk, volume: Volume, wish: Wish) -> None:
    """All that can be said without asking a machine."""
    wanted = request(desk, volume, wish, None, wish.goal)
    decision = decide(desk.means.config.policy, wanted)
    found = [*_status(volume), *(_permission(desk, volume, decision) if wish.governed else ())]
    if found:
        found += _smaller(volume, wish.goal)
        raise Refused(found)


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
    if backend is None or not volume.attachments:
        return
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


def request(desk: Desk, volume: Volume, wish: Wish, trunk: Trunk | None, goal: Size) -> Request:
    """What policy is asked; `trunk` None before anything has been looked at."""
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


def faults(desk: Desk, plan: Plan) -> Iterator[Fault]:
    """Every reason against a plan that was looked at."""
    yield from _smaller(plan.volume, plan.rounded)
    yield from shrunk(plan)
    yield from overhanging(plan)
    yield from _ungrouped(plan)
    if plan.wish.governed:
        yield from _permission(desk, plan.volume, plan.decision)
    yield from plan.trunk.obstacles
    yield from _obstacles(plan.trunk.layers, plan.trail)
    yield from _starved(plan)
    for branch in plan.branches:
        if branch.error is None and branch.stack is not None:
            yield from branch.stack.obstacles
            yield from _obstacles(branch.stack.every, branch.trail)
        elif branch.error is not None and not (plan.wish.allow_lagging and branch.unreachable):
            yield from branch.error.faults


def _ungrouped(plan: Plan) -> Iterator[Fault]:
    """A --grow-lv for which no attached host has a volume group; one that is silent may have it."""
    wanted, stacks = plan.wish.options.grow_lv, [one.stack for one in plan.branches]
    if wanted is None or not plan.wish.governed:
        return
    kinds = {one.kind for stack in stacks if stack is not None for one in stack.layers}
    kinds |= {one.kind for stack in stacks if stack is not None for one in stack.skipped}
    if None in stacks or not _GROUPED.isdisjoint(kinds):
        return
    message = f"no attached host has a volume group on {plan.volume.name}, and so not {wanted}"
    hint = "leave --grow-lv out; a dry run shows what stands on the volume"
    yield Fault("not-found", message, hint)


def _obstacles(layers: Iterable[Layer], trail: Trail) -> Iterator[Fault]:
    """What stands against the layers that would grow; a full one may have any obstacle."""
    for layer, line in zip(layers, trail.lines, strict=False):
        if line.before is None or line.after is None or line.after <= line.before:
            continue
        found = attempt(lambda layer=layer, to=line.after: layer.obstacles(to))  # type: ignore[misc]
        yield from found.faults if isinstance(found, ExtendctlError) else found


def _starved(plan: Plan) -> Iterator[Fault]:
    """A full pool beneath a thin volume that has grown already: what stands on it writes, too."""
    lowest, line = plan.trunk.layers[0], plan.trail.lines[0]
    above = [one for branch in plan.branches for one in branch.trail.lines]
    grows = any((one.after or 0) > (one.before or 0) for one in above)
    if not grows or line.before is None or (line.after or 0) > line.before:
        return
    found = attempt(lambda: lowest.obstacles(line.before or 0))
    faults = found.faults if isinstance(found, ExtendctlError) else found
    yield from (one for one in faults if one.code == "no-space")


def shrunk(plan: Plan) -> Iterator[Fault]:
    """A backend that has become smaller: what stood on its end is gone, growing hides that."""
    lowest, known = plan.trail.lines[0], plan.volume.size
    if lowest.before is not None and lowest.before < known:
        name = plan.volume.name
        yield Fault(
            "obstacle",
            f"{lowest.kind} {lowest.name} on {lowest.host} is {human(lowest.before)} "
            f"({lowest.before} bytes), and was {human(known)} ({known} bytes): "
            "somebody has made it smaller",
            "find out what is lost before anything is written; to go on with what is there: "
            f"extendctl volume detach and remove {name}, then import it again",
            lowest.host,
        )


def overhanging(plan: Plan) -> Iterator[Fault]:
    """What is larger than what it stands on: somebody shrank that, or a tool does not tell true."""
    for branch in plan.branches:
        lines = [line for line in branch.trail.lines if line.before is not None]
        if branch.stack is not None and not branch.stack.devices:
            lines = [plan.trail.lines[-1], *lines]
        for below, line in pairwise(lines):
            if line.kind in _WITHIN and (line.before or 0) > (below.before or 0):
                message = f"{line.kind} {line.name} on {line.host} is {line.before} bytes, and "
                message += f"stands on {below.kind} {below.name} of {below.before} bytes"
                hint = "find out what has become smaller before anything is written there"
                yield Fault("obstacle", message, hint, line.host)


_GROUPED = frozenset({"pv", "guest-lv"})
_WITHIN = frozenset({"partition", "luks", "pv", "ext4", "xfs", "btrfs", "swap"})
_CLUSTERED = frozenset({"gfs2", "ocfs2"})


def shared(trunk: Trunk, branches: Iterable[Branch]) -> Iterator[Fault]:
    """One filesystem mounted on two hosts, or swap space in use there: it is being destroyed.

    The machine that serves the volume may be one of them. Where nobody writes, many may read.
    """
    seen = [(one.attachment.host, one.stack.uses) for one in branches if one.stack is not None]
    places: dict[tuple[str, ...], dict[str, list[Use]]] = {}
    for host, uses_there in ((trunk.layers[0].host, trunk.uses), *seen):
        for use in uses_there:
            places.setdefault(use.place, {}).setdefault(host, []).append(use)
    for hosts in places.values():
        kinds = sorted({use.kind for uses in hosts.values() for use in uses})
        writers = [host for host, uses in hosts.items() if not all(one.read_only for one in uses)]
        if len(hosts) < 2 or not writers or not _CLUSTERED.isdisjoint(kinds):
            continue
        where = " and ".join(hosts)
        if kinds == ["swap"]:
            message = f"the swap space is in use on {where}"
            yield Fault("obstacle", message, "swapoff on all hosts but one now, and reboot those")
            continue
        readers = [host for host in hosts if host not in writers]
        written = f", written on {' and '.join(writers)}" if readers else ""
        points = ", ".join(f"{host}: {uses[0].point}" for host, uses in hosts.items())
        message = f"{'/'.join(kinds)} is no cluster filesystem and is mounted on {where}{written} "
        hint = "unmount it on all hosts but one now, then check it: it is being corrupted"
        yield Fault("obstacle", f"{message}({points})", hint)
