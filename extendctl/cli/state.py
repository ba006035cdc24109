"""The commands about the state itself: copied, put back, looked at, brought up to date."""

from pathlib import Path

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session, complaint

_STATUSES = (0, 1, 2, 4)
_FILE = click.Path(dir_okay=False, path_type=Path)


@command(
    "backup", example="extendctl state backup /srv/backup/extendctl-monday", statuses=_STATUSES
)
@click.argument("file", type=_FILE)
@click.pass_obj
def backup(session: Session, file: Path) -> Answer:
    """Copy the state into a new FILE, with a checksum, while others go on using it."""
    settings = session.settings()
    from extendctl import views_state
    from extendctl.app import database
    from extendctl.schema import known_revision, table_names
    from extendctl.snapshot import save

    with database(settings) as source:
        known_revision(source, table_names(source))
        seal = save(source, file)
    return Answer(views_state.backup_data(file, seal), lambda: views_state.backup(file, seal))


@command(
    "restore",
    example="extendctl state restore /srv/backup/extendctl-monday\n"
    "extendctl --config postgresql.yaml state restore ~/.local/state/extendctl/state.db",
    statuses=_STATUSES,
)
@click.argument("file", type=_FILE)
@click.pass_obj
def restore(session: Session, file: Path) -> Answer:
    """Let the state be what FILE says: a backup, or the SQLite state of another configuration.

    FILE is checked first, and what the state was is kept aside. In the second form it moves a state
    from SQLite to the server that the configuration names.
    """
    settings = session.settings()
    from extendctl import views_state
    from extendctl.app import replaced

    done = replaced(settings, file)
    return Answer(views_state.restored_data(file, done), lambda: views_state.restored(file, done))


@command("check", example="extendctl state check -o json", statuses=_STATUSES)
@click.pass_obj
def check(session: Session) -> Answer:
    """Look at all of the state, and at who may read and write it; change nothing.

    Exits 2 when something is wrong with its permissions, revision, integrity or references.
    """
    settings = session.settings()
    from extendctl import audit, views_state
    from extendctl.app import database

    with database(settings) as source:
        done = audit.audit(settings, source)
    data = views_state.audit_data(done)
    if not done.findings:
        return Answer(data | {"error": None}, lambda: views_state.audit(done))
    error = audit.failure(done)
    data |= {"error": error.as_dict()}
    return Answer(data, lambda: views_state.audit(done), complaint(error), error.exit_status)


@command("upgrade", example="extendctl state upgrade", statuses=_STATUSES)
@click.pass_obj
def upgrade(session: Session) -> Answer:
    """Bring the state of an earlier extendctl up to date, with a backup first."""
    settings = session.settings()
    from extendctl import views_state
    from extendctl.app import database
    from extendctl.schema import upgrade as bring_up

    with database(settings) as source:
        done = bring_up(source)
    return Answer(views_state.upgrade_data(done), lambda: views_state.upgrade(done))
