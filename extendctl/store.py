"""The state as a whole: opened, made where it is missing, brought up to date, closed."""

from datetime import datetime
from typing import Self

from sqlalchemy import select

from extendctl.database import WAIT, Database
from extendctl.operations import Operations
from extendctl.records import Records
from extendctl.schema import Upgrade, ensure
from extendctl.tables import now
from extendctl.volumes import Volumes


def open_store(
    url: str, password: str = "", *, create: bool = False, wait: float = WAIT
) -> "Store":
    """Open the state at a SQLAlchemy URL; `wait` is in seconds, for locks and for servers.

    A SQLite file that is missing or empty is made, for its owner alone; a server's tables only with
    `create`. A SQLite file of an earlier program is brought up to date, with a backup first, and
    `upgraded` says so. Raises ConfigError when it cannot be used, Busy when it stays locked,
    Unreachable.
    """
    database = Database(url, password, wait)
    try:
        upgraded = ensure(database, create=create)
    except BaseException:  # whatever it was, no connection is left behind
        database.close()
        raise
    store = Store(database)
    store.upgraded = upgraded
    return store


class Store(Volumes, Operations, Records):
    """An open state; leave it by `close` or a `with`. All sizes in bytes.

    Every method may raise ConfigError, Busy or Unreachable when the database cannot be used.
    """

    upgraded: Upgrade | None = None

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
