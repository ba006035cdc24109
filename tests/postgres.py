"""A real PostgreSQL server of the tests' own: no root, no network, nothing left behind."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

SERVERS = Path("/usr/lib/postgresql")  # Debian keeps them out of PATH, a directory a version
FASTER = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")
NOBODY = "nobody"


@dataclass
class Server:
    """A server behind a unix socket in `directory`; its superuser is `extendctl`."""

    directory: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, name: str) -> str:
        """A database of it, as the configuration names one."""
        return f"postgresql://extendctl@/{name}?host={self.directory}"

    def ask(self, sql: str) -> None:
        """Run one statement that no transaction may surround."""
        where = f"host={self.directory} user=extendctl dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(sql.encode())

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"state{next(self.numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.url(name)


def programs() -> Path:
    """Where the newest server's programs are; the test is skipped where there is none."""
    found = sorted(SERVERS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


def dropped(*words: str | Path) -> list[str]:
    """The words as they run without root, which the server refuses, and end with their parent."""
    user = pwd.getpwnam(NOBODY)
    who = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    drop = who if os.geteuid() == 0 else []
    return ["setpriv", *drop, "--pdeathsig", "INT", *map(str, words)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for all tests of this run; each takes a database of its own."""
    place = programs()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="extendctl-pg-", dir=memory))
    data = directory / "data"
    if os.geteuid() == 0:
        shutil.chown(directory, NOBODY)
    make = (place / "initdb", "-D", data, "-U", "extendctl", "-A", "trust", "-N", "-E", "UTF8")
    subprocess.run(dropped(*make), check=True, capture_output=True, cwd="/", timeout=60)
    options = [word for one in (*FASTER, f"unix_socket_directories={directory}")
               for word in ("-c", one)]  # fmt: skip
    with (directory / "log").open("wb") as log:
        words = dropped(place / "postgres", "-D", data, *options)
        running = subprocess.Popen(words, stdout=log, stderr=log, cwd="/")
    try:
        yield _ready(Server(directory), running)
    finally:
        running.send_signal(signal.SIGINT)  # which does not wait for those who are connected
        running.wait(30)
        shutil.rmtree(directory)


def _ready(server: Server, running: subprocess.Popen[bytes]) -> Server:
    deadline = time.monotonic() + 30
    while True:
        try:
            server.ask("SELECT 1")
        except psycopg.OperationalError:
            log = (server.directory / "log").read_text()
            assert running.poll() is None, f"PostgreSQL has ended: {log}"
            assert time.monotonic() < deadline, f"PostgreSQL does not answer: {log}"
            time.sleep(0.05)
        else:
            return server


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty state on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/deep/state.db"
    server: Server = request.getfixturevalue(request.param)
    return server.database()
