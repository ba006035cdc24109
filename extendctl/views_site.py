"""What hosts, backends, operations and decisions look like to people."""

from collections.abc import Iterator, Sequence

from extendctl.ability import PACKAGES
from extendctl.config import HostConfig
from extendctl.errors import ExtendctlError
from extendctl.inspection import BackendReport, HostReport, PolicyReport
from extendctl.page import Cell, Line, Page, Table, Tone, cell, facts
from extendctl.size import human
from extendctl.views import reasons


def hosts(listed: Sequence[HostConfig]) -> Page:
    """The hosts of the configuration."""
    if not listed:
        return [Line("the configuration has no hosts")]
    rows = tuple(
        (
            Cell(one.name),
            Cell(one.transport),
            cell(f"{one.address}:{one.port}" if one.transport == "ssh" else None),
            cell(one.user),
            cell(one.jump),
            Cell(one.become),
        )
        for one in listed
    )
    return [Table(("NAME", "TRANSPORT", "ADDRESS", "USER", "JUMP", "BECOME"), rows)]


def host_checks(reports: Sequence[HostReport]) -> Page:
    """What each host is able to do."""
    page: list[Line | Table] = []
    for report in reports:
        if page:
            page.append(Line())
        page += _host(report)
    return page or [Line("the configuration has no hosts")]


def _host(report: HostReport) -> Iterator[Line | Table]:
    tone = Tone.STRONG if report.reachable else Tone.BAD
    yield Line(report.host, tone)
    pairs = [("reachable", "yes" if report.reachable else "no"), ("host key", report.host_key)]
    if report.reachable:
        pairs += [
            ("sudo", report.sudo),
            ("kernel", report.kernel),
            ("can grow", ", ".join(report.can) or "nothing"),
            *(("cannot", words) for words in _hindrances(report)),
        ]
    for line in facts(pairs):
        yield Line(line.text, indent=2)
    rows = tuple((Cell(f"  {name}"), Cell(tool.version)) for name, tool in report.tools.items())
    if rows:
        yield Table(("  TOOL", "VERSION"), rows, wide=frozenset({"VERSION"}))


def _hindrances(report: HostReport) -> Iterator[str]:
    """What cannot be grown and why, a line for each reason: `lv, pv: install lvm2`."""
    wanted: dict[str, list[str]] = {}
    for kind, faults in report.cannot.items():
        for fault in faults:
            tool, _, missing = fault.message.partition(" is missing")
            why = f"install {PACKAGES.get(tool, tool)}" if missing else fault.message
            wanted.setdefault(why, []).append(kind)
    for why, kinds in wanted.items():
        yield f"{', '.join(dict.fromkeys(kinds))}: {why}"


def backends(reports: Sequence[BackendReport]) -> Page:
    """The backends of the configuration with their pools."""
    if not reports:
        return [Line("the configuration has no backends")]
    rows = tuple(
        (
            Cell(one.config.name),
            Cell(one.config.driver),
            Cell(one.config.host),
            cell(", ".join(sorted(one.config.capabilities))),
            Cell(human(None if one.usage is None else one.usage.size)),
            Cell(human(None if one.usage is None else one.usage.free)),
            Cell(_percent(None if one.usage is None else one.usage.data_percent)),
            Cell(_percent(None if one.usage is None else one.usage.metadata_percent)),
        )
        for one in reports
    )
    columns = ("NAME", "DRIVER", "HOST", "CAPABILITIES", "SIZE", "FREE", "DATA%", "META%")
    numbers = frozenset({"SIZE", "FREE", "DATA%", "META%"})
    return [Table(columns, rows, numbers, frozenset({"NAME", "CAPABILITIES"}))]


def backend(report: BackendReport) -> Page:
    """One backend."""
    config, usage = report.config, report.usage
    where = config.volume_group or config.directory
    pairs: list[tuple[str, object]] = [
        ("name", config.name),
        ("driver", f"{config.driver} ({config.target})" if config.target else config.driver),
        ("host", config.host),
        ("where", f"{where}, thin pool {config.pool}" if config.pool else where),
        ("capabilities", ", ".join(sorted(config.capabilities)) or "none"),
    ]
    if usage is not None:
        pairs += [
            ("size", f"{human(usage.size)} ({usage.size} bytes)"),
            ("free", f"{human(usage.free)} ({usage.free} bytes)"),
            ("data", _percent(usage.data_percent)),
            ("metadata", _percent(usage.metadata_percent)),
        ]
    return list(facts(pairs))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:g}%"


def unwell(reports: Sequence[tuple[str, ExtendctlError | None]]) -> Page:
    """What is wrong with hosts or backends, by name, for stderr."""
    page: list[Line] = []
    for name, error in reports:
        if error is not None:
            what = _WRONG.get(error.fault.code, error.fault.code)
            page.append(Line(f"{name}: {what}", Tone.BAD))
            page += reasons(error.faults)
    return page


_WRONG = {
    "host-key": "its host key is not trusted",
    "config": "cannot be asked as it is configured",
    "obstacle": "cannot do what it should",
    "not-found": "has not what is configured",
}


def policy(report: PolicyReport) -> Page:
    """A decision with its reasons."""
    verdict = "allowed" if report.decision.allowed else "denied"
    tone = Tone.GOOD if report.decision.allowed else Tone.BAD
    return [
        Line(f"{report.volume}: {human(report.before)} -> {human(report.goal)}, {verdict}", tone),
        *(Line(f"- {reason}", indent=2) for reason in report.decision.reasons),
    ]
