"""A copy of the whole state in one sealed file, made while others use it, and proved when read."""

import errno
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Table, insert, inspect, select

from extendctl import __version__
from extendctl.database import Database
from extendctl.errors import ConfigError
from extendctl.tables import alembic_version, metadata

SEAL = "backup"
"""The table that a backup has beside those of the state."""

CHUNK = 1000  # rows at a time


@dataclass(frozen=True, slots=True)
class Seal:
    """What a backup says of itself. `sha256` is of all rows of all tables of the state."""

    made_at: str
    program: str
    source: str
    revision: str
    sha256: str


def save(database: Database, path: Path) -> Seal:
    """Copy the state, of whatever known revision, into a new SQLite file of mode 0600.

    It is one moment's state, and `path` is empty until all of it is there. Raises ConfigError when
    the file exists or cannot be written, or the state cannot be read; Busy, Unreachable.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as failure:
        message = f"the backup {path} cannot be made: {failure.strerror}"
        raise ConfigError(message, hint="name a file that does not exist yet") from failure
    made = [path]
    try:
        partial = _beside(path)
        made += [partial, partial.with_name(f"{partial.name}-journal")]
        seal = _written(database, partial)
        partial.replace(path)
    except BaseException as failure:  # whatever it was, half a backup is none
        for left in made:
            left.unlink(missing_ok=True)
        if not isinstance(failure, OSError | sqlite3.Error):
            raise
        message = f"the backup {path} cannot be written: {failure}"
        raise ConfigError(message, hint="make room, or name another place") from failure
    _sync(path.absolute().parent)
    return seal


def _beside(path: Path) -> Path:
    """A new file of mode 0600, of a name that nobody else has, in the same directory."""
    opened, name = tempfile.mkstemp(suffix=".partial", prefix=".extendctl-", dir=path.parent)
    os.close(opened)
    return Path(name)


def _written(database: Database, partial: Path) -> Seal:
    if database.sqlite:
        with database.raw() as connection:
            _vacuum_into(connection, partial)
    else:
        _gathered(database, partial)
    with closing(sqlite3.connect(partial)) as copy:
        (revision,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with database.faults():
            digest = _digest(copy)
        seal = Seal(made, __version__, str(database), revision, digest)
        with copy:
            copy.execute(f"DROP TABLE IF EXISTS {SEAL}")
            copy.execute(f"CREATE TABLE {SEAL} ({', '.join(asdict(seal))})")
            marks = ", ".join("?" for _ in asdict(seal))
            copy.execute(f"INSERT INTO {SEAL} VALUES ({marks})", tuple(asdict(seal).values()))  # noqa: S608 - our own words
    _sync(partial)
    return seal


def _vacuum_into(connection: sqlite3.Connection, partial: Path) -> None:
    """SQLite's own copy, into an empty file. Raises OSError where that has no room."""
    try:
        connection.execute("VACUUM INTO ?", (str(partial),))
    except sqlite3.Error as failure:
        if getattr(failure, "sqlite_errorname", "") in {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from failure
        raise


def _gathered(database: Database, partial: Path) -> None:
    """A server's rows, in a file of the same shape: an earlier revision lacks some of ours."""
    with database.reading() as source:
        names = set(inspect(source).get_table_names())
        tables = [one for one in metadata.sorted_tables if one.name in names]
        lacking = _lacking(source, tables)
        with closing_database(Database(f"sqlite:///{partial}")) as copy, copy.writing() as target:
            metadata.create_all(target, tables)
            for table, column in lacking:
                target.exec_driver_sql(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
            pour(source, target, tables)


def _lacking(connection: Connection, tables: Sequence[Table]) -> list[tuple[str, str]]:
    there = inspect(connection)
    return [
        (table.name, column.name)
        for table in tables
        for has in [{one["name"] for one in there.get_columns(table.name)}]
        for column in table.columns
        if column.name not in has
    ]


def pour(source: Connection, target: Connection, tables: Sequence[Table]) -> None:
    """Copy all rows into empty tables, with the columns that the source has."""
    lacking = _lacking(source, tables)
    for table in tables:
        columns = [one for one in table.columns if (table.name, one.name) not in lacking]
        for rows in chunks(source, table, [one.name for one in columns]):
            target.execute(insert(table), rows)


def chunks(
    connection: Connection, table: Table, names: list[str]
) -> Iterator[list[dict[str, object]]]:
    """A table's rows in the order of its key, some at a time."""
    wanted = select(*(table.c[name] for name in names)).order_by(*table.primary_key)
    result = connection.execute(wanted.execution_options(yield_per=CHUNK))
    for rows in result.mappings().partitions(CHUNK):
        yield [dict(row) for row in rows]


@contextmanager
def closing_database(database: Database) -> Iterator[Database]:
    """The database, closed at the end."""
    try:
        yield database
    finally:
        database.close()


def read_only(path: Path) -> Database:
    """A SQLite file that is only looked at; one that is missing is not made."""
    name = f"file:{quote(str(path.absolute()))}"  # which SQLite reads as a URI, and SQLAlchemy not
    return Database(URL.create("sqlite", database=name, query={"mode": "ro", "uri": "true"}))


def sealed(path: Path) -> Seal | None:
    """A backup's seal, None for a state that has none; a broken one raises ConfigError."""
    with closing_database(read_only(path)) as database, database.raw() as copy:
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
        if SEAL not in tables:
            return None
        words = copy.execute(f"SELECT * FROM {SEAL}").fetchone()  # noqa: S608 - our own word
        if words is None or len(words) != len(Seal.__slots__):
            raise ConfigError(f"{path} has a seal that cannot be read", hint=_ANOTHER)
        seal = Seal(*words)
        if _digest(copy) != seal.sha256:
            message = f"{path} is not what was written on {seal.made_at}: its checksum differs"
            raise ConfigError(message, hint=_ANOTHER)
        return seal


_ANOTHER = "it was changed or damaged; use another backup"


def _digest(connection: sqlite3.Connection) -> str:
    """The checksum of all rows. Raises ValueError or sqlite3.Error for a value that is damaged."""
    digest = hashlib.sha256()
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        "AND name <> ? ORDER BY name",
        (SEAL,),
    ).fetchall()
    for name, made in tables:
        digest.update(f"{made}\n".encode())
        for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid'):  # noqa: S608 - a table's own name
            digest.update(f"{json.dumps(row, default=_foreign)}\n".encode())
    return digest.hexdigest()


def _foreign(value: object) -> object:
    """Bytes are no value of the state: damage has made them of a text or of a number."""
    raise ValueError(f"{value!r}")


def revision_of(connection: Connection) -> str | None:
    """The revision that a database says it has."""
    found: str | None = connection.scalar(select(alembic_version.c.version_num))
    return found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
