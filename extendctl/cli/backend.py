"""The commands about backends."""

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session
from extendctl.errors import NotNow


@command("list", example="extendctl backend list -o json")
@click.pass_obj
def listing(session: Session) -> Answer:
    """List the backends with their drivers, capabilities and pools.

    A backend whose pool cannot be looked at is listed without it, and the reason is told.
    """
    with session.lines() as lines:
        from extendctl import inspection, views_site

        reports = inspection.look_at_backends(
            lines.config, lines.machine, lines.backend, tuple(lines.config.backends)
        )
    errors = [(one.config.name, one.error) for one in reports]
    away = any(isinstance(error, NotNow) for _, error in errors)
    status = 4 if away else 0  # a pool that is not there yet is told, and the list is a list
    data = [one.as_dict() for one in reports]
    page = views_site.unwell(errors)
    return Answer(data, lambda: views_site.backends(reports), page, status)


@command("show", example="extendctl backend show fast")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> Answer:
    """Show a backend: driver, capabilities, pool size, what is free, thin data% and metadata%."""
    with session.lines() as lines:
        from extendctl import inspection, views_site

        report = inspection.look_at_backends(
            lines.config, lines.machine, lines.backend, (name,)
        )[0]  # fmt: skip
    status = report.error.exit_status if report.error else 0
    page = views_site.unwell([(name, report.error)])
    return Answer(report.as_dict(), lambda: views_site.backend(report), page, status)
