"""A PostgreSQL connection that does not wait for a silent server for longer than it was told."""

import time
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait
from sqlalchemy import Engine, event

T = TypeVar("T")

_INTERVAL = 0.1


class BoundedConnection(Connection[Any]):
    """A connection on which a silence of `limit` seconds is an end, and an OperationalError.

    libpq has no such limit of its own: TCP's (tcp_user_timeout and keepalives) see nothing wrong
    where a server is stopped and its kernel goes on answering, or behind a Unix socket. A lock is
    waited for on the server, with a limit there (lock_timeout), which must be the shorter one.
    """

    limit = 60.0

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        """As psycopg's; since 3.2 it tells the generator after each interval without an answer."""
        return super().wait(self._listening(gen, timeout or self.limit), interval)

    def _listening(self, steps: PQGen[T], limit: float) -> PQGen[T]:
        ready: Ready | int = Ready.NONE
        end = time.monotonic() + limit
        wanted: Wait | None = None
        while True:
            try:
                wanted = next(steps) if wanted is None else steps.send(ready)
            except StopIteration as done:
                value: T = done.value
                return value
            ready = yield wanted
            if ready != Ready.NONE:
                end = time.monotonic() + limit
            elif time.monotonic() >= end:
                self.pgconn.finish()  # whatever comes yet belongs to a question that was given up
                raise OperationalError(f"the server has said nothing for {limit:g} s")


def bound(engine: Engine, limit: float) -> None:
    """Let all connections of an engine be bounded by `limit` seconds."""

    def connect(
        _dialect: object, _record: object, words: list[Any], options: dict[str, Any]
    ) -> BoundedConnection:
        connection = BoundedConnection.connect(*words, **options)
        connection.limit = limit
        return connection

    event.listen(engine, "do_connect", connect)
