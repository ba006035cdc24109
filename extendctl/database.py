"""The state's database: how it is reached, how transactions begin, and its faults in our words."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from extendctl.database_faults import ACCESS, explained
from extendctl.errors import Busy, ConfigError
from extendctl.tables import alembic_version

WAIT = 10.0
"""Seconds to wait for another program's transaction, or for a database server to answer."""

_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "pip install 'extendctl[postgres]'"),
    "mysql": ("mysql+pymysql", "pip install 'extendctl[mariadb]'"),
    "mariadb": ("mariadb+pymysql", "pip install 'extendctl[mariadb]'"),
    "sqlite": ("sqlite", ""),
}
_URI_ONLY = {"mode", "cache", "immutable", "nolock", "vfs"}  # https://www.sqlite.org/uri.html
_MAKING = 0x6578742D63746C  # "ext-ctl": an advisory lock is a number that only its users know


class Database:
    """One state. Safe for use by several threads; each transaction has its own connection."""

    def __init__(
        self, url: str | URL, password: str = "", wait: float = WAIT, *, make: bool = True
    ) -> None:
        """Prepare to reach `url`, without asking anything of it. Raises ConfigError.

        A SQLite file that is missing is made; without `make` it is an error.
        """
        self.wait = wait
        self._url = _parsed(url, password)
        self.kind = self._url.get_backend_name()
        self.sqlite = self.kind == "sqlite"
        self.file = self._file(make=make)
        self._engine = self._made()
        writing = {} if self.sqlite else {"isolation_level": "READ COMMITTED"}
        reading = {} if self.sqlite else {"isolation_level": "REPEATABLE READ"}
        self._writer = self._engine.execution_options(extendctl_writing=True, **writing)
        self._reader = self._engine.execution_options(extendctl_writing=False, **reading)

    def __str__(self) -> str:
        """Where the state is, in words, without a password."""
        if self.file is not None:
            return f"the state {self.file}"
        return f"the state at {self._url.host or 'localhost'}, database {self._url.database}"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment. Raises ConfigError, Busy, Unreachable."""
        with self.faults(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, and that nobody can make fail half way.

        On SQLite it holds the write lock from its first moment: one that read first and wrote
        later would fail at once, whatever the time to wait, when another had written meanwhile.
        Raises IntegrityError for the caller to explain, else ConfigError, Busy, Unreachable.
        """
        with self.faults(), self._writer.begin() as connection:
            yield connection

    def serialise(self, connection: Connection) -> None:
        """Let no other transaction that calls this go on until this one ends.

        What SQLite's write lock does for all, a locked row does on servers, where a check such as
        "no other promised this space" would not see what another is about to insert.
        """
        connection.execute(select(alembic_version.c.version_num).with_for_update())

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """A writing transaction that makes tables: of two at a time on a server one would fail."""
        with self._alone(), self.writing() as connection:
            if self.kind == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_MAKING)))
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A lock that MariaDB's CREATE TABLE, which commits, does not give back."""
        if self.kind not in {"mysql", "mariadb"}:
            yield
            return
        with self.reading() as connection:
            if not connection.scalar(select(func.get_lock(str(_MAKING), self.wait))):
                raise Busy(f"{self} is being made by another program", hint="try again")
            try:
                yield
            finally:
                connection.scalar(select(func.release_lock(str(_MAKING))))

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """SQLite itself, outside any transaction: VACUUM and some PRAGMAs need that."""
        with self.faults():
            pooled = self._engine.raw_connection()
            try:
                if not isinstance(pooled.driver_connection, sqlite3.Connection):
                    raise ConfigError(f"{self} is not SQLite", hint="use the server's own tools")
                yield pooled.driver_connection
            finally:
                pooled.close()

    @property
    def name(self) -> str:
        """What the server calls the database, or the file's path."""
        return self._url.database or ""

    def close(self) -> None:
        """Close all connections; harmless to repeat."""
        self._engine.dispose()

    def _file(self, *, make: bool) -> Path | None:
        """The SQLite file's path, after making it, private, where there is none."""
        name = self._url.database
        if not self.sqlite:
            return None
        memory = name in {":memory:", "file::memory:"} or self._url.query.get("mode") == "memory"
        if not name or memory:
            raise ConfigError(
                "the state must outlive the program, and SQLite without a file does not",
                hint="name a file: sqlite:////var/lib/extendctl/state.db",
            )
        if name.startswith("file:"):  # SQLite's own URI, which may ask for mode=ro: make nothing
            return Path(unquote(name.removeprefix("file:").partition("?")[0]))
        if self._url.query.keys() & _URI_ONLY:  # which SQLite would leave aside without a word
            raise ConfigError(
                f"SQLite heeds {', '.join(sorted(self._url.query))} only in a URI of its own",
                hint=f"write sqlite:///file:{name}?...&uri=true",
            )
        path = Path(name)
        try:
            if not make and not path.exists():
                raise ConfigError(f"there is no state {path} yet", hint="run `extendctl init`")
            make_file(path)
        except OSError as failure:
            raise ConfigError(
                f"the state {path} cannot be made or opened: {failure.strerror}", hint=ACCESS
            ) from failure
        return path

    def make_private(self) -> None:
        """Take from others what they may do with the state's files; its secrets are its names."""
        if self.file is None:
            return
        for suffix in ("", "-wal", "-shm"):
            path = Path(f"{self.file}{suffix}")
            try:
                mode = stat.S_IMODE(path.stat().st_mode)
                if mode & 0o077:
                    path.chmod(mode & 0o700)
            except OSError:  # gone with the last connection, or another user's to change
                continue

    def _made(self) -> Engine:
        _, install = _DRIVERS.get(self.kind, ("", ""))
        try:
            engine = create_engine(
                self._url,
                hide_parameters=True,
                max_overflow=64,
                pool_pre_ping=not self.sqlite,
                connect_args=self._connect_args(),
            )
        except ModuleNotFoundError as missing:
            raise ConfigError(
                f"{self} needs the Python package {missing.name}, which is not installed",
                hint=install,
            ) from missing
        except NoSuchModuleError as unknown:
            raise ConfigError(
                f"extendctl cannot use a database of the kind {self._url.drivername!r}",
                hint="use sqlite or postgresql",
            ) from unknown
        if self.sqlite:
            event.listen(engine, "connect", _on_connect)
            event.listen(engine, "begin", _on_begin)
        elif self.kind == "postgresql":
            from extendctl.postgres import bound  # psycopg is not installed everywhere

            bound(engine, 2 * self.wait)  # beyond lock_timeout, which the server tells itself
        return engine

    def _connect_args(self) -> dict[str, object]:
        wait = max(1, round(self.wait))
        locked = round(1000 * self.wait)
        match self.kind:
            case "sqlite":
                return {"timeout": self.wait}
            case "postgresql":
                options = f"-c lock_timeout={locked} -c idle_in_transaction_session_timeout=60s"
                return {"connect_timeout": wait, "options": options, **_alive(wait)}
        limits = f"innodb_lock_wait_timeout={wait}, idle_transaction_timeout=60"
        silence = {"read_timeout": 2 * wait, "write_timeout": 2 * wait}
        return {"connect_timeout": wait, "init_command": f"SET SESSION {limits}", **silence}

    def faults(self) -> AbstractContextManager[None]:
        """Turn a database's complaints, but for IntegrityError, into ours."""
        return explained(str(self), self.file, self.wait)


def _alive(seconds: int) -> dict[str, int]:
    """How libpq notices a server that is gone: probes after silence, and data never acknowledged.

    They are TCP's own: for a server that is stopped while its kernel still answers, and behind a
    Unix socket, there is `postgres.BoundedConnection`.
    """
    every = max(1, seconds // 3)
    return {
        "keepalives": 1, "keepalives_idle": seconds, "keepalives_interval": every,
        "keepalives_count": 3, "tcp_user_timeout": 1000 * seconds * 2,
    }  # fmt: skip


def _parsed(url: str | URL, password: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as bad:
        # Not the URL itself: it may hold a password.
        raise ConfigError(
            "the state's URL cannot be read", hint="write sqlite:///FILE or postgresql://HOST/NAME"
        ) from bad
    driver, _ = _DRIVERS.get(parsed.drivername, (parsed.drivername, ""))
    parsed = parsed.set(drivername=driver)
    return parsed.set(password=password) if password else parsed


def make_file(path: Path) -> None:
    """Make a file that only its owner may touch, and its directories likewise, where missing.

    SQLite gives -wal and -shm the mode of the file itself, so making it first is enough, and
    leaves the umask alone, which belongs to all threads.
    """
    for directory in reversed(path.parents):
        if not directory.exists():
            directory.mkdir(0o700, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin when we say so, in _on_begin
    connection.execute("PRAGMA foreign_keys = ON")
    # NORMAL may lose the last transactions with the power: the journal's tail, which matters most.
    connection.execute("PRAGMA synchronous = FULL")


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("extendctl_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
