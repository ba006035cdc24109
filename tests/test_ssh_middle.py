"""A real sshd in the middle: it answers in place of the machine, and learns nothing."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from extendctl.errors import Refused
from extendctl.ssh import SshTransport
from tests.sshd import Sshd, require_sshd


class Road:
    """A port that leads to whichever server `to` names; who moves it sits in the middle."""

    def __init__(self, to: int) -> None:
        self.to = to
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                guest, _ = self._socket.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                self._open += [guest, server]
                for one, other in ((guest, server), (server, guest)):
                    threading.Thread(target=_carry, args=(one, other), daemon=True).start()

    def cut(self) -> None:
        """Break the connections that are there; new ones can be made."""
        while self._open:
            end = self._open.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Take the port away."""
        self._socket.close()
        self.cut()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Impostor(Sshd):
    """A server that lets the user's key in and writes down every command; its host key is new."""

    def __init__(self, honest: Sshd, **options: str | int) -> None:
        super().__init__(LogLevel="DEBUG2", **options)
        self._rsa = 1  # another RSA key than the first server's
        self.authorized_keys.write_text(honest.authorized_keys.read_text())
        self.heard = self.top / "heard"
        self.options["ForceCommand"] = f'echo "$SSH_ORIGINAL_COMMAND" >> {self.heard}; echo here'

    @property
    def log(self) -> str:
        """What sshd said."""
        return (self.top / "log").read_text()


@pytest.fixture(scope="module")
def honest() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


@pytest.fixture
def impostor(honest: Sshd) -> Iterator[Impostor]:
    with Impostor(honest) as server:
        yield server


@pytest.fixture
def road(honest: Sshd, tmp_path: Path) -> Iterator[Road]:
    road = Road(honest.port)
    yield road
    road.close()


def box(honest: Sshd, road: Road, place: Path, *kinds: str) -> SshTransport:
    """A line to the machine by that road; known_hosts has the honest server's keys."""
    known = place / "known_hosts"
    keys = (honest.host_key(kind) for kind in kinds or ("ed25519", "rsa"))
    known.write_text("".join(f"[127.0.0.1]:{road.port} {key}\n" for key in keys))
    return SshTransport(honest.config(port=road.port, known_hosts=known))


def learnt_nothing(impostor: Impostor) -> None:
    """It saw the connection, and neither a user, nor a key, nor a command."""
    assert "Connection from" in impostor.log
    assert "userauth-request" not in impostor.log
    assert "Accepted publickey" not in impostor.log
    assert not impostor.heard.exists()


def test_the_impostor_would_take_whoever_does_not_look(honest: Sshd, impostor: Impostor) -> None:
    """The trap works: a client that knows its key is let in, and heard."""
    line = SshTransport(impostor.config(identity_file=honest.user_key))
    assert line.run(["lvs", "vg0"]).stdout == "here\n"
    line.close()
    assert impostor.heard.read_text() == "lvs vg0\n"
    assert "userauth-request" in impostor.log


def test_who_sits_in_the_middle_from_the_beginning_is_refused(
    honest: Sshd, impostor: Impostor, road: Road, tmp_path: Path
) -> None:
    road.to = impostor.port
    line = box(honest, road, tmp_path)
    with pytest.raises(Refused) as no:
        line.run(["lvs", "vg0"])
    assert no.value.fault.code == "host-key"
    assert impostor.fingerprint() in no.value.fault.message
    assert honest.fingerprint() in no.value.fault.message
    learnt_nothing(impostor)
    line.close()


def test_who_comes_in_between_two_commands_is_refused(
    honest: Sshd, impostor: Impostor, road: Road, tmp_path: Path
) -> None:
    line = box(honest, road, tmp_path)
    assert line.run(["echo", "me"]).stdout == "me\n"
    road.to = impostor.port
    road.cut()
    time.sleep(0.2)  # until the line has seen that it is broken
    with pytest.raises(Refused, match="another host key than before"):
        line.run(["lvs", "vg0"])
    learnt_nothing(impostor)
    road.to = honest.port
    assert line.run(["echo", "me again"]).stdout == "me again\n"
    line.close()


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_key_of_a_type_that_is_not_known_does_not_help(
    honest: Sshd, road: Road, tmp_path: Path, kind: str
) -> None:
    """The impostor has keys of both types, the machine is known by one."""
    with Impostor(honest) as impostor:
        road.to = impostor.port
        line = box(honest, road, tmp_path, kind)
        with pytest.raises(Refused, match="another host key than before"):
            line.run(["lvs", "vg0"])
        learnt_nothing(impostor)
        line.close()


def test_a_machine_that_nobody_knows_is_told_nothing(
    honest: Sshd, impostor: Impostor, road: Road, tmp_path: Path
) -> None:
    road.to = impostor.port
    known = tmp_path / "nobody"
    line = SshTransport(honest.config(port=road.port, known_hosts=known))
    with pytest.raises(Refused, match="does not know"):
        line.run(["lvs", "vg0"])
    assert not known.exists()
    learnt_nothing(impostor)
    line.close()
