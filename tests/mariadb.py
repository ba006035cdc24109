"""A real MariaDB server of the tests' own: no root, no network, nothing left behind."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from tests.postgres import NOBODY, dropped

PROGRAM = Path("/usr/sbin/mariadbd")
FASTER = ("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M",
          "--skip-networking", "--max-connections=200")  # fmt: skip


@dataclass
class MariaServer:
    """A server behind a unix socket in `directory`; its superuser is `root`."""

    directory: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, name: str) -> str:
        """A database of it, as the configuration names one."""
        return f"mariadb://root@localhost/{name}?unix_socket={self.directory}/socket"

    def ask(self, sql: str) -> None:
        """Run one statement."""
        engine = create_engine(self.url("").replace("mariadb:", "mariadb+pymysql:"))
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(sql)
        finally:
            engine.dispose()

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"state{next(self.numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.url(name)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    """A server for all tests of this run; each takes a database of its own."""
    if not PROGRAM.exists():
        pytest.skip("MariaDB is not installed: apt-get install mariadb-server-core")
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="extendctl-maria-", dir=memory))
    if os.geteuid() == 0:
        shutil.chown(directory, NOBODY)
    data = f"--datadir={directory}/data"
    make = ("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
            "--skip-test-db", data)  # fmt: skip
    subprocess.run(dropped(*make), check=True, capture_output=True, cwd="/", timeout=120)
    files = (data, f"--socket={directory}/socket", f"--pid-file={directory}/pid")
    with (directory / "log").open("wb") as log:
        words = dropped(PROGRAM, "--no-defaults", *files, *FASTER)
        running = subprocess.Popen(words, stdout=log, stderr=log, cwd="/")
    try:
        yield _ready(MariaServer(directory), running)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)
        shutil.rmtree(directory)


def _ready(server: MariaServer, running: subprocess.Popen[bytes]) -> MariaServer:
    deadline = time.monotonic() + 60
    socket = server.directory / "socket"  # PyMySQL leaves sockets open where nobody answers
    while not socket.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    while True:
        try:
            server.ask("SELECT 1")
        except OperationalError:
            log = (server.directory / "log").read_text()
            assert running.poll() is None, f"MariaDB has ended: {log}"
            assert time.monotonic() < deadline, f"MariaDB does not answer: {log}"
            time.sleep(0.05)
        else:
            return server
