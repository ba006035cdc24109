"""Measure every layer on every host, change nothing, and name what lags or has drifted."""

from collections.abc import Iterator
from dataclasses import replace

from extendctl import questions
from extendctl.errors import ExtendctlError, Fault, NotVerified, Refused
from extendctl.extension import report, verdict
from extendctl.extension.extend import unfinished
from extendctl.extension.means import Desk, Means
from extendctl.extension.plan import Branch, Plan, Wish
from extendctl.extension.survey import look_at
from extendctl.model import (
    AttachmentReport,
    LayerOutcome,
    LayerReport,
    Outcome,
    Volume,
    VolumeReport,
)
from extendctl.size import KIB, Size, human


def check(means: Means, name: str) -> VolumeReport:
    """One volume's truth; every ExtendctlError becomes a report."""
    try:
        return _check(means, name)
    except ExtendctlError as error:
        return report.refused(name, error)


def _check(means: Means, name: str) -> VolumeReport:
    volume, desk = means.store.volume(name), means.desk(name)
    try:
        unfinished(means, volume)
        plan = look_at(desk, volume, Wish(goal=volume.size, allow_lagging=True))
    except ExtendctlError as error:
        lost = report.refused(name, _drifted(name, error))
        return replace(lost, status=volume.status, before=volume.size, size=volume.size)
    findings = [*_findings(plan), *_moved(desk, plan)]
    unreachable = [one.error.fault for one in plan.branches if one.error and one.unreachable]
    measured = plan.trail.lines[0].before
    return VolumeReport(
        volume=name,
        outcome=_outcome(findings, unreachable),
        status=volume.status,
        before=volume.size,
        goal=volume.size,
        size=measured,
        layers=tuple(_stale(line) for line in plan.lines()),
        attachments=tuple(_attachment(branch, measured) for branch in plan.branches),
        notices=(*report.notices(plan), *_unmounted(plan)),
        error=_error(name, findings, unreachable),
    )


def _drifted(name: str, error: ExtendctlError) -> ExtendctlError:
    """A backend that answers, but not with this volume, is a finding; one that is silent is not."""
    if not isinstance(error, Refused):
        return error
    found = NotVerified(f"{name}: {error}", hint=error.fault.hint)
    found.faults = tuple(replace(fault, code="not-verified") for fault in error.faults)
    return found


def _findings(plan: Plan) -> list[Fault]:
    """What lags or drifted; a host that did not answer is no finding, unless it is known to lag."""
    found = [replace(one, code="not-verified") for one in verdict.shrunk(plan)]
    found += _unfinished(plan.volume)
    measured = plan.trail.lines[0].before
    if measured is not None and measured > plan.volume.size:
        message = f"{plan.volume.name} measures {human(measured)} ({measured} bytes) on its backend"
        message += f", the state has {human(plan.volume.size)} ({plan.volume.size} bytes)"
        hint = f"{_remedy(plan)}: a larger size is adopted"
        found.append(Fault("not-verified", message, hint))
    remedy = _remedy(plan)
    found += [_lag(line, remedy) for line in plan.lines() if line.outcome is LayerOutcome.PLANNED]
    found += [replace(one, code="not-verified") for one in verdict.overhanging(plan)]
    for branch in plan.branches:
        if branch.error is not None and not branch.unreachable:
            found += [replace(fault, code="not-verified") for fault in branch.error.faults]
        elif branch.unreachable and branch.attachment.lagging:
            found.append(_known_lag(plan.volume.name, branch.attachment.host))
    found += [replace(fault, code="not-verified") for fault in plan.faults]
    return found


def _unfinished(volume: Volume) -> Iterator[Fault]:
    """An operation that failed or that its program has left; who is at work was met before."""
    number = volume.open_operation or volume.failed_operation
    if number is not None:
        what = "was left open by its program" if volume.open_operation else "has failed"
        message = f"{volume.name} is {volume.status}: operation {number} {what}"
        hint = f"extendctl volume resume {volume.name}, or operation abandon {number}"
        yield Fault("not-verified", message, hint)


def _moved(desk: Desk, plan: Plan) -> Iterator[Fault]:
    """Filesystems that are mounted, and no longer where the state has them."""
    for branch in plan.branches:
        known, host = branch.attachment.mountpoint, branch.attachment.host
        now = None if branch.stack is None else branch.stack.mountpoint
        if known is None or now is None or known == now:
            continue
        mounts = desk.machine(host).ask(questions.facts()).mounts
        if {one.dev for one in mounts if one.point == known}.isdisjoint(
            one.dev for one in mounts if one.point == now
        ):
            message = f"{plan.volume.name} is mounted at {now} on {host}, the state has {known}"
            hint = "extend it to the size that it has: what is there is adopted"
            yield Fault("not-verified", message, hint, host)


def _unmounted(plan: Plan) -> Iterator[str]:
    """Filesystems that were mounted when the state saw them last: no fault, but worth a word."""
    for branch in plan.branches:
        known, host = branch.attachment.mountpoint, branch.attachment.host
        if known is None or branch.stack is None or branch.stack.mountpoint is not None:
            continue
        if known not in {use.point for use in branch.stack.uses}:
            yield f"{plan.volume.name} is not mounted on {host}, the state has it at {known}"


def _known_lag(name: str, host: str) -> Fault:
    message = f"{host} has not followed the last extension, and does not answer now"
    return Fault("not-verified", message, f"when it answers: extendctl volume resume {name}", host)


def _remedy(plan: Plan) -> str:
    """The command after which nothing lags: what is unfinished is resumed, else grown anew."""
    volume = plan.volume
    if volume.open_operation or volume.failed_operation or volume.lagging:
        return f"extendctl volume resume {volume.name}"
    measured = plan.trail.lines[0].before or volume.size
    return f"extendctl volume extend {volume.name} --size {-(-measured // KIB)}K"


def _lag(line: LayerReport, remedy: str) -> Fault:
    return Fault(
        "not-verified",
        f"{line.kind} {line.name} on {line.host} is {human(line.before)} ({line.before} bytes) "
        f"and has room for {human(line.after)} ({line.after} bytes)",
        remedy,
        line.host,
    )


def _stale(line: LayerReport) -> LayerReport:
    """A check changes nothing: what lags has the size it has, and the note says what it lacks."""
    if line.outcome is not LayerOutcome.PLANNED:
        return line
    lacks = (line.after or 0) - (line.before or 0)
    return replace(
        line, after=line.before, outcome=LayerOutcome.FAILED, note=f"lags by {human(lacks)}"
    )


def _attachment(branch: Branch, trunk: Size | None) -> AttachmentReport:
    outcome = Outcome.INCOMPLETE if branch.trail.behind or branch.error else Outcome.UNCHANGED
    found = AttachmentReport(
        branch.attachment.host,
        branch.attachment.compute,
        outcome,
        branch.measured(trunk),
        branch.error,
    )
    return replace(found, outcome=Outcome.NOT_NOW) if branch.unreachable else found


def _outcome(findings: list[Fault], unreachable: list[Fault]) -> Outcome:
    if findings:
        return Outcome.INCOMPLETE
    return Outcome.NOT_NOW if unreachable else Outcome.UNCHANGED


def _error(name: str, findings: list[Fault], unreachable: list[Fault]) -> ExtendctlError | None:
    faults = (*findings, *unreachable)
    if not faults:
        return None
    error = NotVerified(f"{name}: {faults[0].message}", hint=faults[0].hint)
    error.faults = faults if findings else tuple(unreachable)
    return error
