"""Machines behind another machine."""

import threading
from collections.abc import Iterator

import pytest

from extendctl.errors import Refused, Unreachable
from extendctl.ssh import SshTransport
from extendctl.transport import LineLost
from tests.sshd import Sshd, free_port, keygen, left_over, require_sshd


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


@pytest.fixture
def fragile() -> Iterator[Sshd]:
    """A server of the test's own, to be killed."""
    require_sshd()
    with Sshd() as server:
        yield server


def test_a_jump_host(sshd: Sshd, fragile: Sshd) -> None:
    before = set(threading.enumerate())
    bastion = SshTransport(sshd.config("bastion"))
    box = SshTransport(fragile.config("inner", jump="bastion"), bastion)
    script = "echo $SSH_CONNECTION"
    assert box.run(["sh", "-c", script]).stdout.split()[3] == str(fragile.port)
    assert len(box.run(["head", "-c", "3000000", "/dev/zero"]).stdout) == 3_000_000
    assert (bastion.connects, bastion.commands, box.connects) == (1, 0, 1)
    box.close()
    bastion.close()
    assert not left_over(before)


def test_a_jump_host_that_broke_is_opened_again(sshd: Sshd, fragile: Sshd) -> None:
    bastion = SshTransport(fragile.config("bastion"))
    box = SshTransport(sshd.config("inner", jump="bastion"), bastion)
    box.run(["true"])
    killer = threading.Timer(0.3, fragile.restart)
    killer.start()
    with pytest.raises(LineLost) as lost:
        box.run(["sleep", "2"])
    assert lost.value.sent
    killer.join()
    assert box.run(["echo", "again"]).stdout == "again\n"
    assert (bastion.connects, box.connects) == (2, 2)
    box.close()
    bastion.close()


def test_a_jump_host_that_cannot_get_on(sshd: Sshd) -> None:
    bastion = SshTransport(sshd.config("bastion"))
    box = SshTransport(sshd.config("inner", port=free_port(), jump="bastion"), bastion)
    with pytest.raises(Unreachable, match="bastion cannot connect there"):
        box.run(["true"])
    bastion.close()


def test_a_jump_host_that_is_not_there(sshd: Sshd) -> None:
    bastion = SshTransport(sshd.config("bastion", port=free_port()))
    with pytest.raises(Unreachable, match=r"bastion.*connection refused"):
        SshTransport(sshd.config("inner", jump="bastion"), bastion).run(["true"])


def test_the_key_behind_a_jump_host_is_verified_too(sshd: Sshd, fragile: Sshd) -> None:
    bastion = SshTransport(sshd.config("bastion"))
    fragile.know(f"[127.0.0.1]:{fragile.port} {keyline(fragile)}")
    with pytest.raises(Refused, match="inner"):
        SshTransport(fragile.config("inner", jump="bastion"), bastion).run(["true"])
    bastion.close()


def keyline(sshd: Sshd) -> str:
    path = keygen(sshd.top / "other")
    return " ".join(path.with_name("other.pub").read_text().split()[:2])
