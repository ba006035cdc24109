"""How SQLite keeps the state: what was committed survives the power, and references hold."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from extendctl.database import Database
from extendctl.errors import Busy
from extendctl.snapshot import closing_database
from extendctl.store import open_store
from extendctl.tables import attachments, volumes

Begin = Callable[[Database], AbstractContextManager[Connection]]

OFTEN = 8  # connections at a time: more than the pool keeps
FULL = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous
WAIT = 3.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A state that the program has made."""
    made = f"sqlite:///{tmp_path / 'state.db'}"
    open_store(made).close()
    return made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing_database(Database(url, wait=WAIT)) as found:
        yield found


def pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


TRANSACTIONS: dict[str, Begin] = {"reading": Database.reading, "writing": Database.writing}


@pytest.mark.parametrize("begin", TRANSACTIONS.values(), ids=TRANSACTIONS)
def test_what_is_committed_is_on_disk_and_references_are_checked(
    begin: Begin, database: Database
) -> None:
    """On the first connection and on one that was used before."""
    for _ in range(2):
        with begin(database) as connection:
            assert pragma(connection, "synchronous") == FULL
            assert pragma(connection, "foreign_keys") == 1
            assert pragma(connection, "journal_mode") == "wal"
            assert pragma(connection, "busy_timeout") == 1000 * WAIT


def test_many_connections_at_a_time_are_all_alike(database: Database) -> None:
    with ExitStack() as stack:
        every = [stack.enter_context(database.reading()) for _ in range(OFTEN)]
        found = {(pragma(one, "synchronous"), pragma(one, "foreign_keys")) for one in every}
    assert found == {(FULL, 1)}


def test_a_connection_outside_any_transaction_is_like_the_others(database: Database) -> None:
    with database.raw() as connection:
        asked = ("synchronous", "foreign_keys", "journal_mode")
        found = [connection.execute(f"PRAGMA {name}").fetchone() for name in asked]
    assert found == [(FULL,), (1,), ("wal",)]


def test_an_attachment_of_no_volume_cannot_be_kept(database: Database) -> None:
    row = {"volume_id": 7, "host": "web1", "compute": "linux", "lagging": False}
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), database.writing() as connection:
        connection.execute(insert(attachments).values(row))


def test_the_file_itself_remembers_its_journal(url: str) -> None:
    """Whoever opens it, so that readers never wait for a writer."""
    raw = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_who_will_write_has_the_lock_from_the_first_moment(url: str, database: Database) -> None:
    """One that read first would fail when it writes, whatever its patience; readers go on."""
    with closing_database(Database(url, wait=0.1)) as other, database.writing():
        with pytest.raises(Busy, match="locked"), other.writing():
            pytest.fail("two write at once")
        with other.reading() as connection:
            assert connection.scalar(select(func.count()).select_from(volumes)) == 0
