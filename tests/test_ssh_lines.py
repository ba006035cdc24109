"""Servers that do not answer or stop answering, and lines that are let go."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from extendctl.config import HostConfig
from extendctl.errors import Unreachable
from extendctl.ssh import SshTransport
from extendctl.transport import LineLost
from tests.sshd import Sshd, free_port, left_over, require_sshd

pytestmark = pytest.mark.long

Handler = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


@pytest.fixture
def fragile() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


@contextmanager
def listening(handle: Handler) -> Iterator[tuple[int, list[socket.socket]]]:
    """A server on loopback that hands each connection to `handle` and keeps it open."""
    door = socket.create_server(("127.0.0.1", 0))
    guests: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                guest, _ = door.accept()
                guests.append(guest)
                with suppress(OSError, EOFError):
                    handle(guest)

    host = threading.Thread(target=serve, daemon=True)
    host.start()
    try:
        yield door.getsockname()[1], guests
    finally:
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        door.close()
        host.join(2)
        for guest in guests:
            guest.close()


def says_nothing(guest: socket.socket) -> None:
    pass


def stalls_after_its_banner(guest: socket.socket) -> None:
    guest.sendall(b"SSH-2.0-Sleepy\r\n")


def stalls_within_its_banner(guest: socket.socket) -> None:
    guest.sendall(b"Welcome\r\nSSH-2.0-Sle")


def drips(guest: socket.socket) -> None:
    for _ in range(12):
        guest.sendall(b"x\r\n")
        time.sleep(0.1)


def hangs_up(guest: socket.socket) -> None:
    guest.close()


def speaks_another_language(guest: socket.socket) -> None:
    guest.sendall(b"\xff\xfe\x00 500 what?\r\n")


def hangs_up_after_its_banner(guest: socket.socket) -> None:
    guest.sendall(b"SSH-2.0-Rude\r\n")
    guest.recv(1000)
    guest.close()


def nobody(sshd: Sshd, port: int) -> HostConfig:
    return sshd.config("dead", port=port, connect_timeout=1.0)


@pytest.mark.parametrize(
    ("handle", "words", "seconds", "tries"),
    [
        (says_nothing, "no answer within 1 s, waiting for: banner", (1.0, 1.6), 1),
        (stalls_within_its_banner, "waiting for: banner", (1.0, 1.6), 1),
        (drips, "waiting for: banner", (1.0, 1.6), 1),
        (stalls_after_its_banner, "waiting for: key exchange", (1.0, 1.8), 1),
        (hangs_up, "hung up before its SSH banner, 3 times over", (0.8, 2.0), 3),
        (hangs_up_after_its_banner, "hung up during the key exchange", (0.0, 0.6), 1),
        (speaks_another_language, "no SSH session", (0.0, 0.6), 1),
    ],
)
def test_a_hostile_server(
    sshd: Sshd, handle: Handler, words: str, seconds: tuple[float, float], tries: int
) -> None:
    before = set(threading.enumerate())
    with listening(handle) as (port, guests):
        box = SshTransport(nobody(sshd, port))
        began = time.monotonic()
        with pytest.raises(Unreachable, match=words) as no:
            box.run(["true"])
        assert seconds[0] <= time.monotonic() - began < seconds[1]
        assert len(guests) == tries
    assert f"dead (127.0.0.1 port {port})" in str(no.value)
    assert no.value.fault.host == "dead"
    assert box.connects == 0
    assert not left_over(before)


def test_nobody_listens(sshd: Sshd) -> None:
    with pytest.raises(Unreachable, match="connection refused"):
        SshTransport(nobody(sshd, free_port())).run(["true"])


def test_a_name_that_does_not_resolve(sshd: Sshd) -> None:
    config = sshd.config("ghost", address="ghost.invalid")
    with pytest.raises(Unreachable, match=r"ghost \(ghost.invalid port \d+\): cannot resolve"):
        SshTransport(config).run(["true"])


def test_a_name_that_no_name_can_be(sshd: Sshd) -> None:
    config = sshd.config("ghost", address=f"{'x' * 64}.invalid")
    with pytest.raises(Unreachable, match="cannot resolve the address"):
        SshTransport(config).run(["true"])


def test_the_time_of_the_call_bounds_the_connecting(sshd: Sshd) -> None:
    with listening(says_nothing) as (port, _):
        box = SshTransport(sshd.config("dead", port=port, connect_timeout=30.0))
        began = time.monotonic()
        with pytest.raises(Unreachable, match="banner"):
            box.run(["true"], timeout=0.4)
        assert time.monotonic() - began < 1.0


def test_those_who_wait_share_the_failure(sshd: Sshd) -> None:
    with listening(says_nothing) as (port, guests), ThreadPoolExecutor(6) as pool:
        box = SshTransport(sshd.config("dead", port=port, connect_timeout=0.5))
        began = time.monotonic()
        for one in [pool.submit(box.run, ["true"]) for _ in range(6)]:
            with pytest.raises(Unreachable):
                one.result()
        assert time.monotonic() - began < 1.2
        assert len(guests) == 1


def startup(sshd: Sshd) -> socket.socket:
    """A connection that sshd has taken and that does not log in."""
    while True:
        guest = socket.create_connection(("127.0.0.1", sshd.port))
        with suppress(OSError):
            if guest.recv(4) == b"SSH-":
                return guest
        guest.close()
        time.sleep(0.02)


def test_a_server_that_is_too_busy_is_tried_again(fragile: Sshd) -> None:
    fragile.restart(MaxStartups="1:100:1")
    box = SshTransport(fragile.config())
    with startup(fragile) as other:
        threading.Timer(0.15, lambda: other.shutdown(socket.SHUT_RDWR)).start()
        assert box.run(["echo", "here"]).stdout == "here\n"
    assert box.connects == 1
    box.close()


class Sleepy(paramiko.ServerInterface):
    """Falls asleep at one of the questions."""

    def __init__(self, at: str, wake: threading.Event) -> None:
        self.at = at
        self.wake = wake

    def _answer(self, question: str) -> None:
        if question == self.at:
            self.wake.wait(5)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._answer("authentication")
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._answer("exec")
        return self.at != "refusal"


@contextmanager
def sleepy(sshd: Sshd, top: Path, at: str) -> Iterator[HostConfig]:
    wake, lines = threading.Event(), []
    key = paramiko.Ed25519Key.from_private_key_file(str(sshd.top / "host_ed25519"))

    def serve(guest: socket.socket) -> None:
        line = paramiko.Transport(guest)
        lines.append(line)
        line.add_server_key(key)
        line.start_server(event=threading.Event(), server=Sleepy(at, wake))

    with listening(serve) as (port, _):
        known = top / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {sshd.host_key()}\n")
        yield sshd.config("sleepy", port=port, known_hosts=known, connect_timeout=1.0)
        wake.set()
        for line in lines:
            line.close()
            line.join(2)


def test_a_stall_in_the_authentication(sshd: Sshd, tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        sleepy(sshd, tmp_path, "authentication") as config,
        pytest.raises(Unreachable, match="within 1 s, waiting for: authentication"),
    ):
        SshTransport(config).run(["true"])
    assert time.monotonic() - began < 2.0


def test_a_stall_before_the_command_may_have_sent_it(sshd: Sshd, tmp_path: Path) -> None:
    with sleepy(sshd, tmp_path, "exec") as config:
        box = SshTransport(config)
        began = time.monotonic()
        with pytest.raises(LineLost, match=r"did not end within 0\.5 s") as lost:
            box.run(["true"], timeout=0.5)
        assert lost.value.sent
        assert time.monotonic() - began < 1.5
        box.close()


def test_a_command_that_the_server_refuses_was_not_sent(sshd: Sshd, tmp_path: Path) -> None:
    with sleepy(sshd, tmp_path, "refusal") as config:
        box = SshTransport(config)
        with pytest.raises(LineLost, match="refused by sshd") as lost:
            box.run(["true"], timeout=5)
        assert not lost.value.sent
        box.close()


def test_close_while_connecting(sshd: Sshd) -> None:
    with listening(says_nothing) as (port, _), ThreadPoolExecutor(1) as pool:
        box = SshTransport(sshd.config("dead", port=port, connect_timeout=5.0))
        running = pool.submit(box.run, ["true"])
        time.sleep(0.3)
        box.close()
        with pytest.raises(Unreachable, match="closed"):
            running.result(timeout=1)


def test_close_ends_what_is_under_way_and_leaves_no_thread(sshd: Sshd) -> None:
    before = set(threading.enumerate())
    box = SshTransport(sshd.config())
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(box.run, ["sleep", "2"]) for _ in range(2)]
        time.sleep(0.5)
        box.close()
        for one in running:
            with pytest.raises(LineLost) as lost:
                one.result(timeout=2)
            assert lost.value.sent
    box.close()
    assert not left_over(before)


def test_after_close_nothing_is_sent(sshd: Sshd) -> None:
    box = SshTransport(sshd.config())
    box.run(["true"])
    box.close()
    with pytest.raises(Unreachable, match="closed"):
        box.run(["true"])
    assert (box.connects, box.commands) == (1, 1)


def test_nothing_is_opened_before_the_first_command() -> None:
    box = SshTransport(HostConfig("nowhere", address="nowhere.invalid"))
    box.close()
    box.close()
    assert box.connects == 0
