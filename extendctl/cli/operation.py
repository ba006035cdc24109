"""The commands about operations, past and present."""

import click

from extendctl.cli.command import command
from extendctl.cli.completion import volume_names
from extendctl.cli.session import Answer, Session
from extendctl.page import Line, Tone
from extendctl.size import human


@command("list", example="extendctl operation list --volume db1", statuses=(0, 1, 2, 3, 4))
@click.option(
    "--volume", metavar="NAME", help="Those of one volume only.", shell_complete=volume_names
)
@click.pass_obj
def listing(session: Session, volume: str | None) -> Answer:
    """List operations, the oldest first."""
    with session.means() as means:
        found = means.store.operations(volume)
        if volume is not None and not found:
            means.store.volume(volume)  # a name that nothing bears is a mistake, not an empty list
    from extendctl import views_data, views_site

    data = [views_data.operation_data(one) for one in found]
    return Answer(data, lambda: views_site.operations(found))


@command("show", example="extendctl operation show 17")
@click.argument("number", metavar="ID", type=click.IntRange(1, (1 << 63) - 1))
@click.pass_obj
def show(session: Session, number: int) -> Answer:
    """Tell an operation's story: who, when and why, each layer, each command and its result."""
    with session.means() as means:
        found = means.store.operation(number)
        records, deeds = means.store.records(number), means.store.deeds(number)
    from extendctl import views_data, views_site
    from extendctl.owner import is_dead

    alive = not is_dead(found.owner, found.heartbeat_age)
    data = views_data.operation_data(found) | {
        "layers": [views_data.record_data(one) for one in records],
        "commands": [views_data.deed_data(one) for one in deeds],
    }
    return Answer(data, lambda: views_site.operation(found, records, deeds, alive=alive))


@command("abandon", example="extendctl operation abandon 17")
@click.argument("number", metavar="ID", type=click.IntRange(1, (1 << 63) - 1))
@click.pass_obj
def abandon(session: Session, number: int) -> Answer:
    """End an operation that cannot reach its goal, and adopt the sizes that are measured now."""
    with session.means() as means:
        from extendctl import views_data
        from extendctl.extension.abandon import abandon as give_up

        ended = give_up(means, number)
        volume = means.store.volume(ended.volume)
    words = f"operation {number}: abandoned; {volume.name} has {human(volume.size)}"
    words += f" and is {volume.status}"
    return Answer(views_data.operation_data(ended), lambda: [Line(words, Tone.GOOD)])
