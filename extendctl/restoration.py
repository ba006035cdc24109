"""Put a backup, or another place's state, where the state is, without losing what was there."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from sqlalchemy import Connection, Table, func, literal, select

from extendctl.admission import check_nobody_works
from extendctl.database import Database, make_file
from extendctl.errors import ConfigError, Damaged
from extendctl.integrity import findings
from extendctl.model import UNFINISHED
from extendctl.schema import aside, ensure, known_revision, table_names, upgrade
from extendctl.snapshot import Seal, chunks, closing_database, pour, read_only, save, sealed
from extendctl.tables import alembic_version, metadata, operations, volumes

_OTHER = "name another file; what is there now was not touched"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where the state that was there is kept; None if it was empty.

    `seal` is None when it came from a state and not from a backup. `unfinished` operations are
    those that the restored state calls open, incomplete or failed.
    """

    seal: Seal | None
    kept: Path | None
    volumes: int
    operations: int
    unfinished: int


def restore(database: Database, path: Path) -> Restored:
    """Make the state what a backup says, or what another SQLite state says, after checking it.

    One transaction takes the place of all rows, so that other programs see the old state or the
    new one; what was there is kept aside before. Raises ConfigError when the file cannot be trusted
    or the state cannot be written, Busy while an operation is at work in either, Unreachable;
    nothing was changed then.
    """
    seal = _sealed(database, path)
    with _workshop() as directory:
        copy = Path(directory, "state.db")
        with closing_database(Database(f"sqlite:///{copy}")) as source:
            _examined(source, path, copy)
            with _kept(database) as kept:
                counts = _replaced(database, source)
    return Restored(seal, kept, *counts)


def _workshop() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="extendctl-")
    except OSError as no:
        message = f"there is no place to look at a copy of the backup: {no.strerror}"
        hint = "make room, or let TMPDIR name a directory that you may write to"
        raise ConfigError(message, hint=hint) from no


def _sealed(database: Database, path: Path) -> Seal | None:
    present = database.file
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise ConfigError(f"the backup {path} {what}", hint=_OTHER)
        if present is not None and present.exists() and path.samefile(present):
            raise ConfigError(f"{path} is the state itself", hint=_OTHER)
    except OSError as no:
        raise ConfigError(f"the backup {path}: {no.strerror}", hint=_OTHER) from no
    with _named(path):
        return sealed(path)


def _examined(source: Database, path: Path, copy: Path) -> None:
    """Copy what is to be restored, bring the copy up to date, and look at all of it."""
    with _named(path):
        copy.unlink()
        with closing_database(read_only(path)) as original:
            known_revision(original, table_names(original))
            save(original, copy)
        upgrade(source)
        with source.reading() as connection:
            check_nobody_works(connection)
        found = findings(source)
        if found:
            raise ConfigError(found, hint="use another backup")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of everything that is wrong that it is so of this file."""
    try:
        yield
    except ConfigError as wrong:
        lines = [f"{path} cannot be restored: {fault.message}" for fault in wrong.faults]
        raise ConfigError(lines, hint=wrong.fault.hint or _OTHER) from wrong


@contextmanager
def _kept(database: Database) -> Iterator[Path | None]:
    """Keep what is there now: as a backup, or byte for byte when it cannot be read."""
    try:
        kept = _saved(database)
    except Damaged:
        if database.file is None:  # a server's own tools have to look at it first
            raise
        with _moved(database, database.file) as kept:
            yield kept
    else:
        yield kept


def _saved(database: Database) -> Path | None:
    ensure(database, create=True)
    with database.reading() as connection:
        check_nobody_works(connection)
        tables = (volumes, operations)
        if not any(connection.scalar(select(func.count()).select_from(one)) for one in tables):
            return None
    kept = aside(database, "replaced")
    save(database, kept)
    return kept


@contextmanager
def _moved(database: Database, file: Path) -> Iterator[Path]:
    """Take a damaged file out of the way; back, when nothing can take its place."""
    database.close()
    kept = aside(database, "damaged").with_suffix("")
    _rename(file, kept)
    try:
        make_file(file)
        ensure(database, create=True)
        yield kept
    except BaseException:
        database.close()
        for name in _parts(file):
            name.unlink(missing_ok=True)
        _rename(kept, file)
        raise


def _parts(file: Path) -> list[Path]:
    """A SQLite file, and what SQLite has beside it."""
    return [file.with_name(f"{file.name}{suffix}") for suffix in ("", "-wal", "-shm")]


def _rename(old: Path, new: Path) -> None:
    for part, name in zip(_parts(old), _parts(new), strict=True):
        if part.exists():
            part.rename(name)


def _replaced(database: Database, source: Database) -> tuple[int, int, int]:
    """Let the rows of the source be those of the state: volumes, operations, unfinished ones."""
    tables = [one for one in metadata.sorted_tables if one is not alembic_version]
    with source.reading() as old, database.writing() as new:
        database.serialise(new)
        check_nobody_works(new)
        for table in reversed(tables):
            new.execute(table.delete())
        pour(old, new, tables)
        _proved(old, new, tables)
        if new.dialect.name == "postgresql":
            _count_on(new, tables)
        unfinished = operations.c.state.in_(UNFINISHED)
        counted = (select(func.count()).select_from(volumes), select(func.count(operations.c.id)))
        amounts = (*counted, select(func.count(operations.c.id)).where(unfinished))
        first, second, third = (int(new.scalar(one) or 0) for one in amounts)
    return first, second, third


def _proved(old: Connection, new: Connection, tables: Sequence[Table]) -> None:
    """Read everything again before it is committed. Raises ConfigError when it is not the same."""
    for table in tables:
        names = [one.name for one in table.columns]
        pairs = zip_longest(chunks(old, table, names), chunks(new, table, names))
        if any(before != after for before, after in pairs):
            message = f"the database does not give back the {table.name} that were written"
            raise ConfigError(message, hint="nothing was changed; look at the database")


def _count_on(connection: Connection, tables: Sequence[Table]) -> None:
    """PostgreSQL numbers new rows from where it was, and not from what was put in."""
    for table in tables:
        (key,) = table.primary_key.columns
        following = func.coalesce(func.max(key), 0) + 1
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        connection.execute(select(func.setval(sequence, following, literal(value=False))))
