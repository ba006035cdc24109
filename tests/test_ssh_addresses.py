"""Names that nobody resolves, and names with many addresses, take no longer than one limit."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sshd import Sshd, require_sshd

pytestmark = pytest.mark.long


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


ALONE = """
ip link set lo up
ip link add silent type veth peer name nowhere
ip addr add 198.51.100.2/24 dev silent && ip link set nowhere up && ip link set silent up
mount --bind {top}/resolv.conf /etc/resolv.conf
mount --bind {top}/hosts /etc/hosts
mount --bind {top}/nsswitch.conf /etc/nsswitch.conf
exec {python} -c '
import socket, sys, time
from pathlib import Path
from extendctl.config import HostConfig
from extendctl.errors import Unreachable
from extendctl.ssh import SshTransport
deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
deaf.bind(("127.0.0.1", 53))
files = dict(identity_file=Path("{key}"), known_hosts=Path("{known}"))
config = HostConfig("box", address="{name}", user="root", connect_timeout=1.0, **files)
began = time.monotonic()
try:
    SshTransport(config).run(["true"])
except Unreachable as no:
    print(f"{{time.monotonic() - began:.2f}}", no)
'
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network of its own")
@pytest.mark.parametrize(
    ("name", "waits"),
    [("deaf.example", "the address of its name"), ("three.example", "TCP connection")],
)
def test_dead_name_servers_and_many_dead_addresses_take_one_limit(
    name: str, waits: str, sshd: Sshd, tmp_path: Path
) -> None:
    """In a network of its own, where datagrams to the name server and to three addresses vanish."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    places = "".join(f"198.51.100.{last} three.example\n" for last in (7, 8, 9))
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost\n{places}")
    words = {"python": sys.executable, "key": sshd.user_key, "known": sshd.known_hosts}
    script = ALONE.format(top=tmp_path, name=name, **words)
    done = subprocess.run(
        ["unshare", "-mn", "sh", "-ec", script], capture_output=True, text=True, check=False
    )
    seconds, _, said = done.stdout.partition(" ")
    assert f"no answer within 1 s, waiting for: {waits}" in said, done.stderr
    assert 0.9 <= float(seconds) < 1.8
