"""What a PostgreSQL server does to a state: restarts, silence, words it cannot hold."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Connection

from extendctl.database import Database
from extendctl.errors import ConfigError, Unreachable
from extendctl.store import open_store
from tests.postgres import Server
from tests.test_store import add

pytestmark = pytest.mark.long


def test_a_connection_that_the_administrator_ends_is_not_now(postgres: Server) -> None:
    """A restart of the server: try again, and nothing is wrong with the configuration."""
    database = Database(postgres.database())

    def ended() -> None:
        with database.reading() as connection:
            connection.exec_driver_sql("SELECT 1")
            postgres.ask(END_ALL)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(Unreachable, match="has gone"):
        ended()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.close()


END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname LIKE 'state%' AND pid <> pg_backend_pid()"
)


def test_what_a_server_cannot_hold_is_not_told_as_unreachable(postgres: Server) -> None:
    with open_store(postgres.database(), create=True) as store:
        add(store)
        with pytest.raises(ConfigError, match="cannot hold what was to be kept"):
            store.add_volume("v\0", backend="b", source="s", identity="i", size=1)


@contextmanager
def stopped(connection: Connection) -> Iterator[None]:
    """The server's process behind a connection says nothing; its kernel answers all the same."""
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(postgres: Server) -> None:
    database = Database(postgres.database(), wait=0.3)

    def asked() -> None:
        with database.reading() as connection, stopped(connection):
            connection.exec_driver_sql("SELECT 1")

    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"has said nothing for 0.6 s"):
        asked()
    assert time.monotonic() - began < 5
    with database.reading() as connection:  # over another connection
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.close()


def test_a_commit_that_is_not_confirmed_is_not_told_as_done(postgres: Server) -> None:
    database = Database(postgres.database(), wait=0.3)

    def written() -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE proof (one int)")
            held.enter_context(stopped(connection))

    with ExitStack() as held, pytest.raises(Unreachable, match="has said nothing"):
        written()
    database.close()


def test_an_answer_that_takes_long_is_waited_for_while_locks_have_a_limit_of_their_own(
    postgres: Server,
) -> None:
    database = Database(postgres.database(), wait=1.0)
    with database.reading() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(1.5)")
    database.close()
