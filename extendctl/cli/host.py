"""The commands about hosts."""

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session


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
