"""The commands that show what is known of volumes, block them, and forget them."""

import click

from extendctl.cli.command import command
from extendctl.cli.completion import volume_names
from extendctl.cli.session import Answer, Session
from extendctl.model import ADMINISTRATIVE
from extendctl.page import Line, Tone


@command("list", example="extendctl volume list -o json", statuses=(0, 1, 2, 4))
@click.pass_obj
def listing(session: Session) -> Answer:
    """List the volumes: backend, size, status, the hosts that use them, what is unfinished."""
    with session.means() as means:
        found, settings = means.store.volumes(), means.config
    from extendctl import views, views_data

    return Answer(
        [views_data.volume_data(one) for one in found],
        lambda: views.volumes(found) if found else views.no_volumes(settings),
    )


@command("show", example="extendctl volume show db1")
@click.argument("name", shell_complete=volume_names)
@click.pass_obj
def show(session: Session, name: str) -> Answer:
    """Show a volume and where it is used, as the state has it; `check` measures."""
    with session.means() as means:
        found = means.store.volume(name)
        last = next(reversed(means.store.operations(name)), None)
        records = [] if last is None else means.store.records(last.id)
    from extendctl import views, views_data

    return Answer(views_data.volume_data(found), lambda: views.volume(found, last, records))


@command(
    "set-status",
    example="extendctl volume set-status db1 maintenance\nextendctl volume set-status db1 clear",
)
@click.argument("name", shell_complete=volume_names)
@click.argument("status", metavar="STATUS")
@click.pass_obj
def set_status(session: Session, name: str, status: str) -> Answer:
    """Block a volume from being extended, or lift that with `clear`."""
    with session.means() as means:
        means.store.set_admin_status(name, None if status == "clear" else status)
        found = means.store.volume(name)
    from extendctl import views_data

    words = f"{name}: the status is {found.status}"
    return Answer(views_data.volume_data(found), lambda: [Line(words, Tone.GOOD)])


set_status.help = f"{set_status.help}\n\nSTATUS is one of {', '.join(ADMINISTRATIVE)}, or clear."


@command("remove", example="extendctl volume remove db1")
@click.argument("name", shell_complete=volume_names)
@click.pass_obj
def remove(session: Session, name: str) -> Answer:
    """Forget a volume; its data stays. Refused while it is attached or an operation is open."""
    from extendctl.owner import me

    with session.means() as means:
        found = means.store.volume(name)
        means.store.remove_volume(name, me())
    words = f"{name}: forgotten; {found.source} on {found.backend} is left as it is"
    data = {"removed": name, "backend": found.backend, "source": found.source}
    return Answer(data, lambda: [Line(words, Tone.GOOD)])
