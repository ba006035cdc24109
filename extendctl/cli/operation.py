"""The commands about operations, past and present."""

import re
from datetime import UTC, datetime, timedelta

import click

from extendctl.cli.command import command
from extendctl.cli.completion import volume_names
from extendctl.cli.session import Answer, Session
from extendctl.errors import Usage
from extendctl.model import OperationState
from extendctl.page import Line, Tone
from extendctl.size import human


@command(
    "list",
    example="extendctl operation list --volume db1\n"
    "extendctl operation list --since 7d --outcome incomplete",
    statuses=(0, 1, 2, 3, 4),
)
@click.option(
    "--volume", metavar="NAME", help="Those of one volume only.", shell_complete=volume_names
)
@click.option(
    "--since",
    metavar="TIME",
    help="Those opened since then: 2026-11-20, 2026-11-20T18:30 (UTC), or 90m, 12h, 7d ago.",
)
@click.option(
    "--outcome",
    type=click.Choice([str(one) for one in OperationState]),
    help="Those in one state only.",
)
@click.pass_obj
def listing(
    session: Session, volume: str | None, since: str | None, outcome: str | None
) -> Answer:  # fmt: skip
    """List operations, the oldest first."""
    wanted = None if since is None else _moment(since)
    state = None if outcome is None else OperationState(outcome)
    with session.means() as means:
        # Ago is by the clock that operations are dated by: this machine's may be another.
        after = means.store.clock() - wanted if isinstance(wanted, timedelta) else wanted
        found = means.store.operations(volume, after, state)
        if volume is not None and not found and not means.store.operations(volume):
            means.store.volume(volume)  # a name that nothing bears is a mistake, not an empty list
    from extendctl import views_data, views_operation

    data = [views_data.operation_data(one) for one in found]
    return Answer(data, lambda: views_operation.operations(found))


def _moment(text: str) -> datetime | timedelta:
    """A moment, or how long ago; without a zone it is UTC, as in all that is shown."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            long_ago = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            _ = datetime.now(UTC) - long_ago  # there were no such days
            return long_ago
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"--since {text!r} is not a time"
        raise Usage(message, hint="2026-11-20, 2026-11-20T18:30, 90m, 12h or 7d") from None


_AGO = re.compile(r"([0-9]{1,9})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@command("show", example="extendctl operation show 17")
@click.argument("number", metavar="ID", type=click.IntRange(1, (1 << 63) - 1))
@click.pass_obj
def show(session: Session, number: int) -> Answer:
    """Tell an operation's story: who, when and why, each layer, each command and its result."""
    with session.means() as means:
        found = means.store.operation(number)
        store = means.store
        parts = store.runs(number), store.records(number), store.deeds(number)
    from extendctl import views_data, views_operation
    from extendctl.owner import is_dead

    story = views_data.Story(found, *parts, alive=not is_dead(found.owner, found.heartbeat_age))
    return Answer(views_data.story_data(story), lambda: views_operation.operation(story))


@command("abandon", example="extendctl operation abandon 17")
@click.argument("number", metavar="ID", type=click.IntRange(1, (1 << 63) - 1))
@click.option(
    "--unmeasured",
    is_flag=True,
    help="Also when the backend does not answer: keep the size that is known, all hosts lag.",
)
@click.pass_obj
def abandon(session: Session, number: int, *, unmeasured: bool) -> Answer:
    """End an operation that cannot reach its goal, and adopt the sizes that are measured now."""
    with session.means() as means:
        from extendctl import views_data
        from extendctl.extension.abandon import abandon as give_up

        ended = give_up(means, number, unmeasured=unmeasured)
        volume = means.store.volume(ended.volume)
    words = f"operation {number}: abandoned; {volume.name} has {human(volume.size)}"
    words += f" and is {volume.status}"
    return Answer(views_data.operation_data(ended), lambda: [Line(words, Tone.GOOD)])
