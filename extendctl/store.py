"""The state as a whole: opened, made where it is missing, checked, copied, closed."""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy import insert, inspect, select

from extendctl.database import RESTORE, WAIT, Database
from extendctl.errors import Busy, ConfigError
from extendctl.operations import Operations
from extendctl.records import Records
from extendctl.tables import REVISION, alembic_version, metadata, now
from extendctl.volumes import Volumes


def open_store(
    url: str, password: str = "", *, create: bool = False, wait: float = WAIT
) -> "Store":
    """Open the state at a SQLAlchemy URL; `wait` is in seconds, for locks and for servers.

    A SQLite file that is missing or empty is made, for its owner alone; a server's tables only with
    `create`. Raises ConfigError when it cannot be used, Busy when it stays locked, Unreachable.
    """
    database = Database(url, password, wait)
    try:
        _ensure(database, create=create)
    except BaseException:  # whatever it was, no connection is left behind
        database.close()
        raise
    return Store(database)


class Store(Volumes, Operations, Records):
    """An open state; leave it by `close` or a `with`. All sizes in bytes.

    Every method may raise ConfigError, Busy or Unreachable when the database cannot be used.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; harmless to repeat."""
        self._database.close()

    def clock(self) -> datetime:
        """The database's time: read it before a pool is measured, and hand it to Opening."""
        with self._database.reading() as connection:
            moment: datetime = connection.execute(select(now())).scalar_one()
            return moment

    def check(self) -> None:
        """Let the database look at all of itself. Raises ConfigError with every finding."""
        _ensure(self._database, create=False)
        if not self._database.sqlite:
            return
        with self._database.raw() as connection:
            found = [str(line[0]) for line in connection.execute("PRAGMA quick_check")]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        found = [line for line in found if line != "ok"]
        found += [f"a row of {table} belongs to no {parent}" for table, _, parent, _ in orphans]
        if found:
            raise ConfigError([f"{self._database}: {line}" for line in found],
                              hint="restore a backup")  # fmt: skip

    def backup(self, path: Path) -> None:
        """Copy the state into a new file of mode 0600, while others go on using it.

        A copy of the file alone would lack what is still in its -wal. Raises ConfigError when the
        file exists or cannot be written, or the state is not SQLite.
        """
        with self._database.raw() as connection:
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except OSError as failure:
                message = f"the backup {path} cannot be made: {failure.strerror}"
                raise ConfigError(message, hint="name a file that does not exist yet") from failure
            try:
                connection.execute("VACUUM INTO ?", (str(path),))  # which takes an empty file
            except BaseException:  # whatever it was, half a backup is none
                path.unlink()
                raise
            _sync(path)
            _sync(path.absolute().parent)


def _ensure(database: Database, *, create: bool) -> None:
    """See to it that the tables are there and are those that this program knows.

    An empty SQLite database is filled whether `create` is set or not, so that the embedded
    default works without a word; a server's only when it is. Raises ConfigError, naming the
    state and what to do, Busy or Unreachable.
    """
    names = _names(database)
    ours = names & set(metadata.tables)
    if not ours:
        if names and database.sqlite:
            raise ConfigError(
                f"{database} is a database of another program", hint="name another file"
            )
        if not (create or database.sqlite):
            raise ConfigError(f"{database} has no tables yet", hint="run `extendctl init`")
        _create(database)
        names = _names(database)
    _check_revision(database, names)
    if database.sqlite:
        _use_wal(database)
    database.make_private()


def _names(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(inspect(connection).get_table_names())


def _check_revision(database: Database, names: set[str]) -> None:
    found = None
    if alembic_version.name in names:
        with database.reading() as connection:
            found = connection.scalar(select(alembic_version.c.version_num))
    if found is None:
        raise ConfigError(f"{database} does not say which revision it has", hint=RESTORE)
    if found != REVISION:
        newer = found.isdigit() and int(found) > int(REVISION)
        what = "of a newer extendctl" if newer else "that this extendctl does not know"
        raise ConfigError(
            f"{database} has revision {found}, {what} (which knows {REVISION})",
            hint="upgrade extendctl" if newer else RESTORE,
        )
    missing = sorted(set(metadata.tables) - names)
    if missing:
        raise ConfigError(f"{database} lacks the tables {', '.join(missing)}", hint=RESTORE)


def _create(database: Database) -> None:
    with database.writing() as connection:  # on SQLite, tables are made in a transaction, too
        database.serialise_making(connection)
        metadata.create_all(connection)
        if connection.scalar(select(alembic_version.c.version_num)) is None:
            connection.execute(insert(alembic_version).values(version_num=REVISION))


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
