"""The command that finds what is there and not managed yet, and takes it in."""

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session, worst


@command(
    "discover",
    example="extendctl volume discover san\nextendctl volume discover san --import",
)
@click.argument("backend")
@click.option("--import", "take", is_flag=True, help="Take it in, with its attachments.")
@click.pass_obj
def discover(session: Session, backend: str, *, take: bool) -> Answer:
    """Find what is on BACKEND and no volume yet, and which hosts have it; nothing is changed there.

    With --import each is taken in under its own name, and attached to the hosts that have it; a
    volume that is in already is attached where it is not yet. What cannot be taken in is told.
    """
    with session.means() as means:
        from extendctl import discovery, inspection, views_discovery, views_site

        inspection.named("backend", backend, means.config.backends)
        result = discovery.take_in(means, backend) if take else discovery.discover(means, backend)
    shown = (*result.found, *result.attached) if take else result.found
    told = () if take else views_discovery.unattached(result.attached)
    return Answer(
        [one.as_dict() for one in sorted(shown, key=lambda one: one.name)],
        lambda: views_discovery.finds(backend, shown),
        [*views_site.unwell(result.lost), *told],
        worst({error.exit_status for error in result.errors}),
    )
