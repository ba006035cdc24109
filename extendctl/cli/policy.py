"""The command that asks policy."""

import click

from extendctl.cli.command import command
from extendctl.cli.completion import volume_names
from extendctl.cli.session import Answer, Session, complaint
from extendctl.size import parse


@command("check", example="extendctl policy check db1 --size 2T")
@click.argument("name", shell_complete=volume_names)
@click.option("--size", required=True, metavar="SIZE", help="The size, as for `volume extend`.")
@click.pass_obj
def check(session: Session, name: str, size: str) -> Answer:
    """Show what policy says of extending a volume to SIZE, with every reason; changes nothing."""
    wanted = parse(size)
    with session.means() as means:
        from extendctl import inspection, views_site

        report = inspection.check_policy(means, name, wanted)
    error = report.error
    page = [] if error is None else complaint(error)
    status = 0 if error is None else error.exit_status
    return Answer(report.as_dict(), lambda: views_site.policy(report), page, status)
