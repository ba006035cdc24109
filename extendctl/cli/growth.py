"""The commands that make volumes grow, finish what did not, and see whether all is well."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from extendctl.cli.command import command
from extendctl.cli.completion import volume_names
from extendctl.cli.failure import Bug
from extendctl.cli.session import Answer, Session, worst
from extendctl.errors import ExtendctlError, Interrupted, Usage
from extendctl.model import GrowOptions, Outcome, VolumeReport
from extendctl.names import grouped
from extendctl.page import clean
from extendctl.size import SizeRequest, parse

if TYPE_CHECKING:
    from extendctl.extension.means import Means
    from extendctl.stack import Event

_OUTCOMES = {4: Outcome.NOT_NOW, 5: Outcome.INCOMPLETE, 130: Outcome.INCOMPLETE}

Work = Callable[["Means", str], VolumeReport]


@command(
    "extend",
    statuses=(0, 1, 2, 3, 4, 5),
    example="extendctl volume extend db1 --size 20G --dry-run\n"
    "extendctl volume extend db1 --size +10%",
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=volume_names)
@click.option(
    "--size",
    metavar="SIZE",
    help="The new total: 20 or 20G (GiB), 512M, 2T; or growth: +5G, +10%.  [required]",
)
@click.option("--dry-run", is_flag=True, help="Measure, foretell every layer, change nothing.")
@click.option("--allow-lagging", is_flag=True, help="Go on though an attached host is away.")
@click.option("--no-filesystem", is_flag=True, help="Leave the filesystem, grow all beneath it.")
@click.option(
    "--grow-lv",
    metavar="VG/LV",
    help="The host's logical volume that takes the space, where there are several.",
)
@click.option("--offline", is_flag=True, help="Check and grow an ext4 that is not mounted, too.")
@click.option("--fill", is_flag=True, help="Let it take space that was free before, too.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for another program that is at work on the volume.",
)
@click.option("--reason", metavar="TEXT", help="Why; kept with the operation.")
@click.option("--yes", is_flag=True, help="Confirm growth past `confirm_above`.")
@click.pass_obj
def extend(
    session: Session,
    *,
    names: tuple[str, ...],
    size: str | None,
    dry_run: bool,
    allow_lagging: bool,
    no_filesystem: bool,
    grow_lv: str | None,
    fill: bool,
    offline: bool,
    wait: float,
    reason: str | None,
    yes: bool,
) -> Answer:
    """Extend volumes to SIZE, also while they are attached and in use.

    Everything is checked on every host before anything is touched. Then the backend grows, each
    host follows, and each layer is measured again.
    """
    names = _named(names)
    try:
        request = _size(size)
        if grow_lv is not None:
            grow_lv = grouped(grow_lv)
    except Usage as error:
        return _answer([_failed(name, error) for name in names])
    options = GrowOptions(no_filesystem=no_filesystem, grow_lv=grow_lv, fill=fill, offline=offline)

    def work(means: "Means", name: str) -> VolumeReport:
        from extendctl.extension.extend import extend as grow
        from extendctl.extension.plan import Wish

        wish = Wish(0, options, allow_lagging=allow_lagging, confirmed=yes, reason=reason)
        with session.console.watching(name):
            report = grow(means, name, request, wish, dry_run=dry_run, wait=wait)
        if _only_unconfirmed(report) and _confirmed(session, report):
            with session.console.watching(name):
                wish = replace(wish, confirmed=True)
                return grow(means, name, request, wish, dry_run=dry_run, wait=wait)
        return report

    reports = [_asked(one, request) for one in _each(session, names, work)]
    return _answer(reports, dry_run=dry_run)


@command(
    "resume",
    statuses=(0, 1, 2, 3, 4, 5),
    example="extendctl volume resume db1\nextendctl volume resume --all",
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=volume_names)
@click.option("--all", "every", is_flag=True, help="All volumes that have something unfinished.")
@click.pass_obj
def resume(session: Session, names: tuple[str, ...], every: bool) -> Answer:
    """Finish extensions that were interrupted, that failed, or that a host has not followed.

    It looks first and repeats nothing that has been done. Nothing unfinished is `unchanged`.
    """
    if every == bool(names):
        raise Usage("name volumes, or give --all", hint="extendctl volume resume --help")

    def work(means: "Means", name: str) -> VolumeReport:
        from extendctl.extension.extend import resume as take_up

        with session.console.watching(name):
            return take_up(means, name)

    return _answer(_each(session, tuple(dict.fromkeys(names)), work, every=_unfinished))


@command(
    "check",
    statuses=(0, 1, 2, 3, 4, 5),
    example="extendctl volume check\nextendctl volume check db1 -o json",
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=volume_names)
@click.pass_obj
def check(session: Session, names: tuple[str, ...]) -> Answer:
    """Measure every layer of volumes on every host, and name what lags or has drifted.

    Without NAME all volumes are checked. Nothing is changed.
    """

    def work(means: "Means", name: str) -> VolumeReport:
        from extendctl.extension.check import check as look

        with session.console.watching(name):
            return look(means, name)

    reports = _each(session, tuple(dict.fromkeys(names)), work, every=_all)
    from extendctl import views

    data = [one.as_dict() for one in reports]
    return Answer(data, lambda: views.checked(reports), views.findings(reports), _worst(reports))


@command(
    "autoextend",
    statuses=(0, 1, 2, 3, 4, 5),
    example="extendctl autoextend --dry-run\n"
    "*/10 * * * * extendctl autoextend -q -o json >> /var/log/autoextend.json  # in a crontab",
)
@click.option("--dry-run", is_flag=True, help="Measure, foretell every layer, change nothing.")
@click.pass_obj
def autoextend(session: Session, *, dry_run: bool) -> Answer:
    """Extend each volume whose filesystem is fuller than its rule in the configuration allows.

    The rules are those of `policy.autoextend`; the rest of the policy holds as for everybody.
    For cron or a timer: what is not full is left as it is, and two at once want the same.
    """

    def work(means: "Means", name: str) -> VolumeReport:
        from extendctl.extension.autoextend import autoextend as grow

        with session.console.watching(name):
            return grow(means, name, dry_run=dry_run)

    def every(means: "Means") -> list[str]:
        from extendctl.extension.autoextend import matching

        return matching(means)

    reports = _each(session, (), work, every=every)
    from extendctl import views

    data = [one.as_dict() for one in reports]
    page = views.autoextended
    return Answer(
        data, lambda: page(reports, dry_run=dry_run), views.complaints(reports), _worst(reports)
    )


def _named(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        raise Usage("Missing argument 'NAME...'.", hint="extendctl volume extend --help")
    return tuple(dict.fromkeys(names))


def _size(text: str | None) -> SizeRequest:
    if text is None:
        raise Usage("Missing option '--size'.", hint="extendctl volume extend --help")
    return parse(text)


def _asked(report: VolumeReport, size: SizeRequest) -> VolumeReport:
    """The report with the size that was asked for, where nobody has come to round it."""
    return report if report.goal is not None else replace(report, goal=size.total)


def _each(
    session: Session,
    names: Sequence[str],
    work: Work,
    *,
    every: "Callable[[Means], list[str]] | None" = None,
) -> list[VolumeReport]:
    """Work on one volume after the other; whatever happens, each has its report."""
    reports: dict[str, VolumeReport] = {}

    def listen(volume: str, event: "Event") -> None:
        session.working = True  # the journal tells events of open operations only
        session.console.heard(volume, event)

    try:
        with session.means(listen) as means:
            for name in names or (every(means) if every else ()):
                reports[name] = _one(session, means, name, work)
                session.working = False
    except ExtendctlError as error:
        if not names:
            raise
        reports |= {name: _failed(name, error) for name in names if name not in reports}
    except KeyboardInterrupt:
        if not names:
            raise
        reports |= {name: _not_begun(name) for name in names if name not in reports}
    return list(reports.values())


def _one(session: Session, means: "Means", name: str, work: Work) -> VolumeReport:
    if session.stop.is_set():
        return _not_begun(name)
    try:
        return work(means, name)
    except (Interrupted, KeyboardInterrupt, click.Abort):
        session.stop.set()
        return _interrupted(means, name, begun=session.working)
    except ExtendctlError as error:
        return _failed(name, error)
    except Exception as error:  # noqa: BLE001 - a bug must not hide what became of other volumes
        if session.hurried:  # a signal in the middle of an import leaves half a module behind
            session.stop.set()
            return _not_begun(name)
        bug = Bug(error)
        session.console.message(bug.trace(session))
        return replace(_failed(name, bug), outcome=Outcome.INCOMPLETE)


def _interrupted(means: "Means", name: str, *, begun: bool) -> VolumeReport:
    """What the state says now, if it answers."""
    try:
        return _left(means, name, begun=begun)
    except ExtendctlError as error:
        return _failed(name, _unsure(name, f"what is open is not known: {error}"))


def _left(means: "Means", name: str, *, begun: bool) -> VolumeReport:
    """The operation may be open, or nothing may have been begun.

    With `begun`, an operation that is no longer this program's has been taken over meanwhile.
    """
    from extendctl.owner import me

    volume = means.store.volume(name)
    operation = means.store.operation(volume.open_operation) if volume.open_operation else None
    if operation is None or operation.owner != me():
        words = f"the operation of {name} has been taken over or ended by another program"
        found = _failed(name, _unsure(name, words)) if begun else _not_begun(name)
        return replace(found, status=volume.status, before=volume.size, size=volume.size)
    error = Interrupted(
        f"interrupted; operation {operation.id} of {name} stays open",
        hint=f"extendctl volume resume {name}",
    )
    return VolumeReport(
        name,
        Outcome.INCOMPLETE,
        operation.id,
        volume.status,
        before=operation.before,
        goal=operation.goal,
        size=volume.size,
        error=error,
    )


def _unsure(name: str, words: str) -> Interrupted:
    return Interrupted(f"interrupted; {words}", hint=f"extendctl operation list --volume {name}")


def _not_begun(name: str) -> VolumeReport:
    return _failed(name, Interrupted(f"interrupted; nothing was begun on {name}"))


def _failed(name: str, error: ExtendctlError) -> VolumeReport:
    outcome = _OUTCOMES.get(error.exit_status, Outcome.REFUSED)
    return VolumeReport(name, outcome, error=error)


def _only_unconfirmed(report: VolumeReport) -> bool:
    faults = () if report.error is None else report.error.faults
    return bool(faults) and all(fault.code == "confirmation-required" for fault in faults)


def _confirmed(session: Session, report: VolumeReport) -> bool:
    if not session.console.can_ask() or report.error is None:
        return False
    return click.confirm(f"{clean(report.error.fault.message)}. Go on?", err=True)


def _all(means: "Means") -> list[str]:
    return [volume.name for volume in means.store.volumes()]


def _unfinished(means: "Means") -> list[str]:
    """Volumes that lag, failed, or have an operation open."""
    return [
        volume.name
        for volume in means.store.volumes()
        if volume.lagging or volume.open_operation or volume.failed_operation
    ]


def _answer(reports: Sequence[VolumeReport], *, dry_run: bool = False) -> Answer:
    from extendctl import views

    return Answer(
        [one.as_dict() for one in reports],
        lambda: views.extended(reports, dry_run=dry_run),
        views.complaints(reports),
        _worst(reports),
    )


def _worst(reports: Sequence[VolumeReport]) -> int:
    return worst({one.exit_status for one in reports})
