"""Secrets stay where they are: a canary in each, and a look everywhere else."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from extendctl.ssh import SshTransport
from tests.live.canaries import Arguments, Witness, below, canary
from tests.live.place import tool
from tests.postgres import Server
from tests.sshd import Sshd, keygen, require_sshd

_CONFIG = """\
state: {state}
ssh: {{user: root, become: none, identity_file: {key}, known_hosts: {known}}}
hosts:
  far: {{address: 127.0.0.1, port: {port}, luks_keys: {{tall: {top}/luks.key}}}}
  locked: {{address: 127.0.0.1, port: {port}, identity_file: {top}/locked}}
backends:
  files: {{driver: file, host: far, directory: {top}/volumes, capabilities: [in-use-extend]}}
"""
VARIABLE = "EXTENDCTL_TEST_PASSWORD"
pytestmark = pytest.mark.timeout(600)  # some forty programs, one after the other


@dataclass(frozen=True)
class Planted:
    """The secrets by what they are, and where the program and its state are."""

    secrets: dict[str, str]
    top: Path
    state: str
    server: Server
    sshd: Sshd

    def config(self, name: str, state: str) -> Path:
        """A configuration of its own, in which the state is given like this."""
        path = self.top / f"{name}.yaml"
        words = {"key": self.sshd.user_key, "known": self.sshd.known_hosts, "port": self.sshd.port}
        path.write_text(_CONFIG.format(state=state, top=self.top, **words))
        path.chmod(0o600)
        return path


@pytest.fixture(scope="module")
def talkative() -> Iterator[Sshd]:
    require_sshd()
    with Sshd(LogLevel="DEBUG3") as sshd:
        yield sshd


@pytest.fixture
def planted(
    machine: None, talkative: Sshd, postgres: Server, tmp_path: Path
) -> Planted:  # fmt: skip
    """A database that wants a password, a key of LUKS, and a private key with a passphrase."""
    secrets = {one: canary(one) for one in ("database", "wrong", "luks", "passphrase", "stranger")}
    (tmp_path / "luks.key").write_text(secrets["luks"])
    (tmp_path / "password").write_text(secrets["database"])
    keygen(tmp_path / "locked", passphrase=secrets["passphrase"])
    secrets["private key"] = talkative.user_key.read_text().splitlines()[2]
    state = postgres.database()
    with psycopg.connect(state, autocommit=True) as connection:
        role = f"CREATE ROLE canary LOGIN SUPERUSER PASSWORD '{secrets['database']}'"
        connection.execute(role.encode())
        connection.execute("ALTER ROLE canary SET log_statement = 'all'")
    rules = postgres.directory / "data" / "pg_hba.conf"
    rules.write_text(f"local all canary scram-sha-256\n{rules.read_text()}")
    postgres.ask("SELECT pg_reload_conf()")
    return Planted(secrets, tmp_path, state.replace("extendctl@", "canary@"), postgres, talkative)


@pytest.fixture
def disk(planted: Planted) -> Iterator[None]:
    """What the test has mounted is unmounted."""
    yield
    subprocess.run(["umount", planted.top / "mnt"], check=False, capture_output=True)
    for device in tool("losetup", "-nO", "NAME", "-j", f"{planted.top}/volumes/vol1").split():
        tool("losetup", "--detach", device)


def use(planted: Planted) -> None:
    """A filesystem on the volume, mounted."""
    device = tool("losetup", "--find", "--show", f"{planted.top}/volumes/vol1")
    tool("mkfs.xfs", "-q", device)
    (planted.top / "mnt").mkdir()
    tool("mount", device, f"{planted.top}/mnt")


def work(planted: Planted, witness: Witness) -> None:
    """What succeeds, what is refused, and what breaks, with each of the secrets at hand."""
    by_file = planted.config("file", f"{{url: '{planted.state}', password_file: password}}")
    variable = planted.config("variable", f"{{url: '{planted.state}', password_env: {VARIABLE}}}")
    secret = planted.secrets["database"]
    in_url = planted.config("url", planted.state.replace("canary@", f"canary:{secret}@"))
    garbled = planted.config("garbled", f"postgresql:/canary:{secret}@db/state")
    witness.run(by_file, "volume create vol1 --backend files --size 320M", status=0)
    use(planted)
    witness.run(in_url, "volume attach vol1 far", status=0)
    for words in GOOD:
        witness.run(by_file, words, status=0)
    witness.run(in_url, "config show", status=0)
    witness.run(in_url, "volume check", status=0)
    witness.run(by_file, "init", status=2)
    witness.run(by_file, "host check", status=2)  # the other host's key has a passphrase
    witness.run(by_file, "volume attach vol1 locked", status=2)
    witness.run(by_file, "volume extend vol1 --size 1M", status=3)
    witness.run(garbled, "config check", status=2)
    witness.run(garbled, "volume list", status=2)
    assert "authentication failed" in witness.run(variable, "volume list", status=2)


GOOD = (
    "volume extend vol1 --size +16M",
    "config show",
    "config check",
    "volume check",
    "volume show vol1",
    "operation list",
    "operation show 1",
    "backend list",
)


def places(planted: Planted, witness: Witness, arguments: Arguments) -> dict[str, bytes]:
    """Everywhere that a secret may have been left, by name."""
    top = planted.top
    planted_in = {"luks.key", "password", "locked", "url.yaml", "garbled.yaml"}
    found = {f"answer of {name}": said.encode() for name, said in witness.heard.items()}
    found |= {name: text for name, text in below(top).items() if Path(name).name not in planted_in}
    found["sshd's log"] = (planted.sshd.top / "log").read_bytes()
    found["the database's log"] = (planted.server.directory / "log").read_bytes()
    found["the database"] = everything_in(planted).encode()
    found["arguments"] = arguments.all()
    return found


def everything_in(planted: Planted) -> str:
    """Each row of each table of the state."""
    rows = []
    with psycopg.connect(planted.state.replace("canary@", "extendctl@")) as connection:
        names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        for (table,) in connection.execute(names).fetchall():
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
            rows += connection.execute(query).fetchall()
    return "\n".join(map(str, rows))


def test_no_secret_is_found_where_it_does_not_belong(planted: Planted, disk: None) -> None:
    witness = Witness({VARIABLE: planted.secrets["wrong"], "STRANGER": planted.secrets["stranger"]})
    with Arguments(planted.sshd.pid) as arguments:
        work(planted, witness)
    looked = places(planted, witness, arguments)
    # What was done is seen in each of the places: none was looked at in vain.
    assert b"Starting session: command" in looked["sshd's log"]
    assert b"INSERT INTO" in looked["the database's log"]
    assert b"vol1" in looked["the database"]
    assert b"xfs_growfs" in looked["arguments"]
    found = [
        f"{what} in {where}"
        for what, secret in planted.secrets.items()
        for where, text in looked.items()
        if secret.encode() in text
    ]
    assert found == []


def test_the_watch_sees_what_is_in_an_argument(talkative: Sshd) -> None:
    near, far = canary("near"), canary("far")
    with Arguments(talkative.pid) as arguments:
        subprocess.run(["sh", "-c", f"sleep 0.2; : {near}"], check=True)
        with closing(SshTransport(talkative.config())) as line:
            assert line.run(["true", far]).status == 0
    assert near.encode() in arguments.all()
    assert far.encode() in arguments.all()
