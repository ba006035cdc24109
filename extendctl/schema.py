"""The state's tables as a database has them: made, recognised, brought up to date."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, inspect, select

from extendctl.admission import check_nobody_works
from extendctl.config import state_home
from extendctl.database import Database
from extendctl.database_faults import RESTORE
from extendctl.errors import Busy, ConfigError, Damaged
from extendctl.snapshot import SEAL, revision_of, save
from extendctl.tables import REVISION, REVISIONS, alembic_version, metadata


@dataclass(frozen=True, slots=True)
class Upgrade:
    """From which revision to which, and where the state is kept as it was; None: nothing to do."""

    before: str
    after: str
    backup: Path | None


def ensure(database: Database, *, create: bool) -> Upgrade | None:
    """See to it that the tables are there and are those that this program knows.

    An empty SQLite database is filled whether `create` is set or not, so that the embedded
    default works without a word; a server's only when it is. A SQLite state of an earlier revision
    is brought up to date, with a backup first; a server's is not, because other machines may use it
    with an earlier program. Raises ConfigError, naming the state and what to do, Busy, Unreachable.
    """
    names = _whole(database, table_names(database))
    if not names & set(metadata.tables):
        if names and database.sqlite:
            raise ConfigError(
                f"{database} is a database of another program", hint="name another file"
            )
        if not (create or database.sqlite):
            raise ConfigError(f"{database} has no tables yet", hint="run `extendctl init`")
        _create(database)
        names = table_names(database)
    done = _current(database, names)
    if database.sqlite:
        _use_wal(database)
        if SEAL in names:
            _unseal(database)
    database.make_private()
    return done


def upgrade(database: Database) -> Upgrade:
    """Bring a state to this program's revision, in one transaction, with a backup first.

    Raises ConfigError when it cannot be, Busy while an operation is at work, Unreachable.
    """
    found = known_revision(database, table_names(database))
    if found == REVISION:
        return Upgrade(found, found, None)
    from extendctl.migrations import migrate  # alembic takes a third of a second

    with database.writing() as connection:
        database.serialise(connection)
        found = str(revision_of(connection))
        if found == REVISION:  # another program was quicker
            return Upgrade(found, found, None)
        check_nobody_works(connection)
        backup = aside(database, found)
        save(database, backup)
        migrate(connection, found)
    return Upgrade(found, REVISION, backup)


def _whole(database: Database, names: set[str]) -> set[str]:
    """The tables when nobody is making them: MariaDB shows each to others before all are there."""
    if database.kind not in {"mysql", "mariadb"} or not names & set(metadata.tables):
        return names
    with database.reading() as connection:
        if alembic_version.name in names and revision_of(connection) is not None:
            return names
    with database.making():
        return table_names(database)


def aside(database: Database, label: str) -> Path:
    """Where a copy is kept of what is about to change: beside a file, or in the state's home.

    Raises ConfigError when there is no such place.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    if database.file is not None:
        return database.file.with_name(f"{database.file.name}.{label}-{stamp}.backup")
    try:
        state_home().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as no:
        message = f"{database} was not changed: no backup can be kept in {state_home()}"
        hint = "let XDG_STATE_HOME name a directory that you may write to"
        raise ConfigError(f"{message} ({no.strerror})", hint=hint) from no
    return state_home() / f"{database.name}.{label}-{stamp}.backup"


def table_names(database: Database) -> set[str]:
    """The tables that a database has, whoever made them."""
    with database.reading() as connection:
        return set(inspect(connection).get_table_names())


def known_revision(database: Database, names: set[str]) -> str:
    """The revision that a state has, if it is this program's or an earlier one, else ConfigError.

    One that has none, or lacks a table, is Damaged.
    """
    if not names & set(metadata.tables):
        raise ConfigError(f"{database} has no tables yet", hint="run `extendctl init`")
    found = None
    if alembic_version.name in names:
        with database.reading() as connection:
            found = revision_of(connection)
    if found is None:
        raise Damaged(f"{database} does not say which revision it has", hint=RESTORE)
    if found not in REVISIONS:
        newer = found.isdigit() and int(found) > int(REVISION)
        what = "of a newer extendctl" if newer else "that this extendctl does not know"
        raise ConfigError(
            f"{database} has revision {found}, {what} (which knows {REVISION})",
            hint="upgrade extendctl" if newer else RESTORE,
        )
    missing = sorted(set(metadata.tables) - names)
    if missing and found == REVISION:
        raise Damaged(f"{database} lacks the tables {', '.join(missing)}", hint=RESTORE)
    return found


def _current(database: Database, names: set[str]) -> Upgrade | None:
    found = known_revision(database, names)
    if found == REVISION:
        return None
    if not database.sqlite:
        raise ConfigError(
            f"{database} has revision {found}, of an earlier extendctl (this one has {REVISION})",
            hint="`extendctl state upgrade` brings it up to date; then use this version on all "
            "machines",
        )
    return upgrade(database)


def _create(database: Database) -> None:
    with database.making() as connection:  # on SQLite and PostgreSQL all of it, or nothing
        metadata.create_all(connection)
        if connection.scalar(select(alembic_version.c.version_num)) is None:
            connection.execute(insert(alembic_version).values(version_num=REVISION))


def _unseal(database: Database) -> None:
    """A backup that is used as a state is no longer what was sealed."""
    with database.writing() as connection:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {SEAL}")


def _use_wal(database: Database) -> None:
    """Let readers not wait for writers: the file remembers it, though a backup of it does not."""
    deadline = time.monotonic() + database.wait
    while True:
        try:
            with database.raw() as connection:
                if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                    connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except Busy:  # this PRAGMA does not wait for a lock as others do
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
