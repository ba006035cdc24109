"""Turn plans, trails and errors into the one result that JSON and tables show."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from extendctl.config import Limits
from extendctl.errors import EXIT_STATUS, ExtendctlError, Fault, HostFailed, Refused
from extendctl.extension.plan import Branch, Plan
from extendctl.journal import Trail
from extendctl.model import (
    AttachmentReport,
    LayerOutcome,
    LayerReport,
    Outcome,
    PoolUsage,
    VolumeReport,
)
from extendctl.size import Size, human

_OUTCOMES = {3: Outcome.REFUSED, 4: Outcome.NOT_NOW, 5: Outcome.INCOMPLETE}


def refused(volume: str, error: ExtendctlError, plan: Plan | None = None) -> VolumeReport:
    """Nothing was touched."""
    outcome = _OUTCOMES.get(error.exit_status, Outcome.REFUSED)
    report = VolumeReport(volume, outcome, error=error)
    if plan is None:
        return report
    return replace(
        report,
        status=plan.volume.status,
        before=plan.before,
        goal=plan.rounded,
        size=plan.volume.size,
        layers=tuple(plan.lines()),
        notices=notices(plan),
    )


def planned(plan: Plan) -> VolumeReport:
    """What a run would do, as things are now."""
    error = Refused(plan.faults) if plan.faults else None
    outcome = Outcome.UNCHANGED if plan.idle else Outcome.PLANNED
    if error is not None:
        return refused(plan.volume.name, error, plan)
    return VolumeReport(
        volume=plan.volume.name,
        outcome=outcome,
        status=plan.volume.status,
        before=plan.before,
        goal=plan.rounded,
        size=plan.volume.size,
        layers=tuple(plan.lines()),
        attachments=tuple(_foreseen(branch) for branch in plan.branches),
        notices=notices(plan),
    )


def _foreseen(branch: Branch) -> AttachmentReport:
    outcome = Outcome.PLANNED if branch.trail.behind else Outcome.UNCHANGED
    if branch.error is not None:
        outcome = _OUTCOMES.get(branch.error.exit_status, Outcome.REFUSED)
    return _attached(branch, branch.trail, outcome)


def followed(branch: Branch, trail: Trail) -> AttachmentReport:
    """What came of one attachment in a run."""
    error = trail.error or (branch.error if branch.stack is None else None)
    if error is None:
        grown = any(line.outcome == "grown" for line in trail.lines)
        return _attached(branch, trail, Outcome.DONE if grown else Outcome.UNCHANGED)
    return replace(_attached(branch, trail, Outcome.INCOMPLETE), error=error)


def _attached(branch: Branch, trail: Trail, outcome: Outcome) -> AttachmentReport:
    size = trail.device if trail.device is not None else None
    return AttachmentReport(
        branch.attachment.host, branch.attachment.compute, outcome, size, branch.error
    )


def merged(plan: Plan, trunk: Trail, branches: Sequence[tuple[Branch, Trail]]) -> list[LayerReport]:
    """The lines of a run, each with the size that it had before anything was done.

    A LUN follows its logical volume by itself and is full when it is walked; what counts is that
    it has grown. What was not reached keeps the size that was measured before.
    """
    before = {line.key: line.before for line in plan.lines()}
    lines = list(trunk.lines)
    for branch, trail in branches:
        lines += replace(branch, trail=trail).lines()
    return [_since(line, before.get(line.key)) for line in lines]


def _since(line: LayerReport, before: Size | None) -> LayerReport:
    if before is None:
        return line
    grown = line.outcome is LayerOutcome.FULL and (line.after or 0) > before
    return replace(line, before=before, outcome=LayerOutcome.GROWN if grown else line.outcome)


def lagging(name: str, reports: Sequence[AttachmentReport], *, acted: bool) -> HostFailed:
    """The error of a volume that has its size while hosts have not followed."""
    behind = [one for one in reports if one.error is not None]
    words = "; ".join(f"{one.host}: {one.error}" for one in behind)
    error = HostFailed(
        f"{name} has {'grown' if acted else 'its size'}, but not everywhere: {words}",
        hint=f"when the cause is gone: extendctl volume resume {name}",
    )
    inner = [fault for one in behind if one.error is not None for fault in one.error.faults]
    final = [fault for fault in inner if EXIT_STATUS[fault.code] == EXIT_STATUS["host-failed"]]
    code = final[0].code if final else "host-failed"
    error.faults = (Fault(code, error.faults[0].message, error.faults[0].hint), *inner)
    return error


def notices(plan: Plan) -> tuple[str, ...]:
    """What is worth a word but is no obstacle."""
    found = [f"{one.host}: {one.name} is left as it is: {one.note}" for one in _skips(plan)]
    measured = plan.trail.lines[0].before
    if measured is not None and measured > plan.before:
        found.append(
            f"{plan.volume.name} was found to be {human(measured)} ({measured} bytes) where the "
            f"state has {human(plan.before)}: that size is adopted"
        )
    pool = plan.trunk.pool
    if plan.trunk.thin and pool is not None and plan.goal - plan.before > pool.free:
        found.append(
            f"the pool has {human(pool.free)} left, less than the growth: "
            "it will run out if the volume is filled"
        )
    return (*found, *_stays_free(plan))


def _stays_free(plan: Plan) -> Iterator[str]:
    """What a physical volume gains and its logical volume cannot take: an extent in each stripe."""
    for branch in plan.branches:
        for below, line in pairwise(branch.trail.lines):
            gains = (below.after or 0) - (below.before or 0)
            stays = line.before == line.after
            if (below.kind, line.kind) == ("pv", "guest-lv") and gains > 0 and stays:
                yield (
                    f"{line.host}: {line.name} stays as it is: the {human(gains)} that "
                    f"{below.name} gains are free in its group, too little for all its stripes"
                )


_NEARLY = 90.0  # percent of a thin pool, where policy has no limit


def filled(pool: PoolUsage, limits: Limits) -> tuple[str, ...]:
    """What is worth a word of a thin pool after an extension."""
    most = _NEARLY if limits.max_thin_data is None else limits.max_thin_data
    parts = (("data", pool.data_percent), ("metadata", pool.metadata_percent))
    return tuple(
        f"the pool's {what} is {used:g}% full after the extension: give it more room soon"
        for what, used in parts
        if used is not None and used >= most
    )


def _skips(plan: Plan) -> Iterable[LayerReport]:
    return (line for line in plan.lines() if line.outcome == "skipped")
