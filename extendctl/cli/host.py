"""The commands about hosts."""

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session
from extendctl.errors import Usage
from extendctl.page import Line


@command("list", example="extendctl host list", statuses=(0, 1, 2))
@click.pass_obj
def listing(session: Session) -> Answer:
    """List the hosts of the configuration; none of them is asked anything."""
    found = list(session.settings().hosts.values())
    from extendctl import views_site

    shown = ("name", "transport", "address", "port", "user", "jump", "become")
    data = [{name: getattr(one, name) or None for name in shown} for one in found]
    return Answer(data, lambda: views_site.hosts(found))


@command("check", example="extendctl host check\nextendctl host check web1 -o json")
@click.argument("names", nargs=-1, metavar="[HOST...]")
@click.pass_obj
def check(session: Session, names: tuple[str, ...]) -> Answer:
    """See whether hosts answer, their keys, sudo and tools, and what each can and cannot grow.

    Without HOST all hosts are looked at. Nothing is changed.
    """
    with session.lines() as lines:
        from extendctl import inspection, views_site

        wanted = tuple(dict.fromkeys(names)) or tuple(lines.config.hosts)
        reports = inspection.check_hosts(lines.config, lines.machine, wanted)
    errors = [(one.host, one.error) for one in reports]
    status = max((error.exit_status for _, error in errors if error), default=0)
    data = [one.as_dict() for one in reports]
    page = views_site.unwell(errors)
    return Answer(data, lambda: views_site.host_checks(reports), page, status)


@command(
    "sudoers",
    example="extendctl host sudoers web1\nextendctl host sudoers web1 --layer path --layer ext4",
    statuses=(0, 1, 2, 3),
)
@click.argument("name", metavar="HOST")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="KIND",
    help="Only what such a layer needs on the host; can be repeated.  [default: every kind, or "
    "none where the host only serves volumes to others]",
)
@click.pass_obj
def sudoers(session: Session, name: str, layers: tuple[str, ...]) -> Answer:
    """Print a sudoers file with no more than the program may run as root on a host.

    It follows from the configuration alone; the host is not asked. It needs sudo 1.9.10 or newer.
    Kinds: loop, path, nvme, multipath, partition, luks, pv, guest-lv, ext4, xfs, btrfs, swap.
    """
    settings = session.settings()
    from extendctl import inspection, sudoers as least  # noqa: I001 - not the command of this name
    from extendctl.app import user_of

    inspection.named("host", name, settings.hosts)
    for layer in layers:
        if layer not in least.COMPUTE:
            known = ", ".join(least.COMPUTE)
            raise Usage(f"there is no layer {layer!r} on a host", hint=f"known: {known}")
    host = settings.hosts[name]
    found = least.sudoers(settings, host, user_of(host), layers)
    return Answer(found.as_dict(), lambda: [Line(one, raw=True) for one in found.text.splitlines()])
