"""Grow the volumes whose filesystems are fuller than a rule of the policy allows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from extendctl import phrasebook
from extendctl.config import AutoextendRule, PolicyConfig
from extendctl.errors import ExtendctlError, Interrupted
from extendctl.extension.extend import extend, untouched
from extendctl.extension.means import Desk, Means, attempt, side_by_side
from extendctl.extension.plan import Branch, Plan, Wish
from extendctl.extension.survey import goal_of, look_at
from extendctl.model import Outcome, Volume, VolumeReport
from extendctl.size import Size, SizeRequest, human, parse, round_down


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a mounted filesystem is, in percent, as df(1) counts: root's reserve is left out."""

    host: str
    point: str
    percent: float

    def __str__(self) -> str:
        return f"{self.point} on {self.host} is {self.percent:.1f}% full"


def matching(means: Means) -> list[str]:
    """The volumes that a rule is for, by name."""
    policy = means.config.policy
    return [one.name for one in means.store.volumes() if rule_of(policy, one.name) is not None]


def rule_of(policy: PolicyConfig, name: str) -> AutoextendRule | None:
    """The first rule whose pattern a volume's name matches."""
    return next((one for one in policy.autoextend if fnmatchcase(name, one.match)), None)


def autoextend(means: Means, name: str, *, dry_run: bool = False) -> VolumeReport:
    """Extend one volume if it has passed its threshold; every ExtendctlError becomes a report."""
    try:
        return _autoextend(means, name, dry_run=dry_run)
    except Interrupted:
        raise
    except ExtendctlError as error:
        return untouched(means, name, error)


def _autoextend(means: Means, name: str, *, dry_run: bool) -> VolumeReport:
    volume, rule = means.store.volume(name), rule_of(means.config.policy, name)
    if rule is None:
        return _left(volume, f"no rule of policy.autoextend is for {name}")
    desk = means.desk(name)
    plan = look_at(desk, volume, Wish(goal=volume.size, allow_lagging=True))
    fullest = _fullest(desk, plan.branches)
    if fullest is None:
        return _left(volume, "nothing that grows with it is mounted where it is attached")
    if fullest.percent <= rule.above:
        return _left(volume, f"{fullest}; it grows above {rule.above:g}%")
    request = parse(rule.grow)
    goal = _goal(plan, rule, request)
    if goal <= volume.size:
        most = f"{human(rule.max)}, the `max` of its rule in policy.autoextend"
        return _left(volume, f"{fullest}, and {name} grows no further than {most}")
    why = f"autoextend: {fullest}, above {rule.above:g}%"
    wanted = SizeRequest(rule.grow, total=goal)
    report = extend(means, name, wanted, Wish(0, reason=why), dry_run=dry_run)
    return replace(report, notices=(why, *report.notices))


def _goal(plan: Plan, rule: AutoextendRule, request: SizeRequest) -> Size:
    """The absolute goal, so that two programs which see the same thing want the same.

    Raises Refused while something lags. `max` bounds what the backend allocates, in its units.
    """
    goal = goal_of(plan.volume, request)
    if rule.max is None:
        return goal
    pool = plan.trunk.pool
    return min(goal, round_down(rule.max, 1 if pool is None else pool.unit))


def _fullest(desk: Desk, branches: Iterable[Branch]) -> Fill | None:
    """The fullest filesystem that would grow; None where there is none.

    Raises what kept a host from telling: that one may be the fullest.
    """
    found = side_by_side(lambda one: attempt(lambda: _fill(desk, one)), branches)
    fills = [one for one in found if isinstance(one, Fill)]
    full = max(fills, key=lambda one: one.percent, default=None)
    errors = [one for one in found if isinstance(one, ExtendctlError)]
    if errors:
        raise errors[0]
    return full


def _fill(desk: Desk, branch: Branch) -> Fill | None:
    """Raises what kept the host from telling."""
    if branch.error is not None:
        raise branch.error
    point = None if branch.stack is None else branch.stack.mountpoint
    if point is None:
        return None
    host = branch.attachment.host
    used, left = desk.machine(host).ask(phrasebook.fullness(point))
    return Fill(host, point, 100 * used / max(1, used + left))


def _left(volume: Volume, why: str) -> VolumeReport:
    return VolumeReport(
        volume.name, Outcome.UNCHANGED, status=volume.status, before=volume.size,
        goal=volume.size, size=volume.size, notices=(why,),
    )  # fmt: skip
