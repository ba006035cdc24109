"""Open one authenticated SSH line to a machine, each phase with a limit of its own."""

import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from getpass import getuser
from typing import Any, Final

import paramiko
from paramiko.ssh_exception import PartialAuthentication

from extendctl.config import HostConfig
from extendctl.errors import Unreachable
from extendctl.hostkeys import HostKey, known_hosts, place
from extendctl.identity import Identity, identities

PAUSES: Final = (0.2, 0.6)
"""Seconds before the second and third try, when sshd dropped the first unheard (MaxStartups)."""

_TICK: Final = 0.05
_SOCKET_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # else Nagle adds 40 ms to each command
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000),  # ms; a peer that is gone shows
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),  # and while a long command says nothing, too
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

# paramiko logs what it raises; without a handler Python would print it all on stderr.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

Tunnel = Callable[[str, int, float], paramiko.Channel]
"""Open a connection to address and port from the jump host within so many seconds."""


Endpoint = tuple[int, Any]
"""Family and address of a socket, as getaddrinfo(3) gives them."""


class DroppedError(Exception):
    """The other side hung up before it had said anything: the one failure that is tried again."""


@dataclass(frozen=True, slots=True)
class Dial:
    """One attempt to reach a host. `deadline` is on the monotonic clock; `given_up` ends it."""

    config: HostConfig
    tunnel: Tunnel | None
    deadline: float
    given_up: threading.Event

    def line(self) -> paramiko.Transport:
        """A line that is ready for commands.

        Each of TCP connect, banner, key exchange and authentication may take connect_timeout
        seconds, all together no longer than the deadline. Raises ConfigError (keys), Refused
        (`host-key`) or Unreachable.
        """
        with identities(self.config) as keys:
            for pause in PAUSES:
                try:
                    return self._attempt(keys)
                except DroppedError:
                    # Jitter, so that those who were dropped together do not come back together.
                    self.given_up.wait(pause * random.uniform(1.0, 1.5))  # noqa: S311
            try:
                return self._attempt(keys)
            except DroppedError as drop:
                raise self._unreachable(
                    f"{drop}, {len(PAUSES) + 1} times over",
                    "sshd may be overloaded (MaxStartups), or refuse this address",
                ) from drop

    def _attempt(self, keys: list[Identity]) -> paramiko.Transport:
        known = known_hosts(self.config)
        plug = self._plug()
        try:
            line = paramiko.Transport(plug)
        except BaseException:
            plug.close()
            raise
        try:
            options = line.get_security_options()
            options.key_types = known.algorithms(options.key_types)
            self._greet(line)
            shown = line.get_remote_server_key()
            known.verify(HostKey(shown.get_name(), shown.asbytes()))
            self._log_in(line, keys)
        except BaseException:
            hang_up(line)
            raise
        return line

    def _plug(self) -> socket.socket | paramiko.Channel:
        address, limit = self.config.address or self.config.name, self._limit("TCP connection")
        try:
            if self.tunnel is not None:
                return self.tunnel(address, self.config.port, limit)
            return _connect(self._endpoints(address, limit), limit)
        except TimeoutError as no:
            raise self._late("TCP connection", limit) from no
        except paramiko.ChannelException as no:
            raise self._unreachable(f"{self.config.jump} cannot connect there: {no.text}") from no
        except socket.gaierror as no:
            raise self._unreachable(f"cannot resolve the address: {no.strerror}") from no
        except ConnectionRefusedError as no:
            raise self._unreachable("connection refused", "is sshd running there?") from no
        except OSError as no:
            raise self._unreachable(f"cannot connect: {no.strerror or no}") from no

    def _endpoints(self, address: str, limit: float) -> list[Endpoint]:
        try:
            return _resolved(address, self.config.port, limit)
        except TimeoutError as no:
            raise self._late("the address of its name", limit) from no

    def _greet(self, line: paramiko.Transport) -> None:
        """Exchange banners and keys.

        paramiko's own timeouts are put out of reach: they cannot tell silence from a hangup.
        """
        line.banner_timeout = line.handshake_timeout = 10 * self.config.connect_timeout
        done = threading.Event()
        line.start_client(event=done)
        if not self._wait(done, "banner", lambda: bool(line.remote_version)):
            self._wait(done, "key exchange")
        if line.is_active():
            return
        cause = line.get_exception()
        told = cause.__context__ if type(cause) is paramiko.SSHException else cause
        if not line.remote_version and isinstance(told, (EOFError, ConnectionError)):
            raise DroppedError("hung up before its SSH banner") from cause
        if isinstance(cause, paramiko.SSHException):
            raise self._unreachable(f"no SSH session: {cause}") from cause
        raise self._unreachable("hung up during the key exchange") from cause

    def _wait(
        self, done: threading.Event, phase: str, passed: Callable[[], bool] = lambda: False
    ) -> bool:
        """Whether the event came; False if the phase is over before it. Unreachable if neither."""
        limit = self._limit(phase)
        end = time.monotonic() + limit
        while not done.wait(_TICK):
            if passed():
                return False
            if time.monotonic() >= end:
                raise self._late(phase, limit)
            self._limit(phase)
        return True

    def _log_in(self, line: paramiko.Transport, keys: list[Identity]) -> None:
        user = self.config.user or getuser()
        for identity in keys:
            done = threading.Event()
            with suppress(paramiko.SSHException, EOFError, OSError):
                line.auth_publickey(user, identity.key, event=done)
                self._wait(done, "authentication")
            if line.is_authenticated():
                return
            if not line.is_active():
                raise self._unreachable(
                    f"hung up during the authentication as {user}", _offered(keys)
                )
        wants = line.get_exception()
        more = ""
        if isinstance(wants, (paramiko.BadAuthenticationType, PartialAuthentication)):
            more = f"; it asks for {', '.join(wants.allowed_types)}"
        raise Unreachable(
            f"authentication as {user} refused by {place(self.config)}",
            hint=f"{_offered(keys)}; put the public key into ~{user}/.ssh/authorized_keys "
            f"there{more}",
            host=self.config.name,
        )

    def _limit(self, phase: str) -> float:
        """Seconds that a phase may take."""
        if self.given_up.is_set():
            raise self._unreachable("the line was closed while it was being opened")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self._unreachable(f"no time left, at {phase}")
        return min(self.config.connect_timeout, left)

    def _late(self, phase: str, limit: float) -> Unreachable:
        return self._unreachable(f"no answer within {limit:.3g} s, waiting for: {phase}")

    def _unreachable(self, message: str, hint: str = "") -> Unreachable:
        host = self.config.name
        return Unreachable(f"{place(self.config)}: {message}", hint=hint, host=host)


def _resolved(name: str, port: int, limit: float) -> list[Endpoint]:
    """The endpoints that a name stands for, at least one, within `limit` seconds.

    getaddrinfo(3) has no limit of its own: with two dead name servers it takes twenty seconds.
    Raises gaierror or TimeoutError.
    """
    found: Future[list[Endpoint]] = Future()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            found.set_result([(row[0], row[4]) for row in rows])
        except UnicodeError as no:  # a label of more than 63 letters, which is no OSError
            found.set_exception(socket.gaierror(socket.EAI_NONAME, str(no)))
        except OSError as no:
            found.set_exception(no)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    return found.result(limit)


def _connect(endpoints: list[Endpoint], limit: float) -> socket.socket:
    """A connection to the first endpoint that answers, all of them together within `limit` seconds.

    Each may take its share of what is left, so that a silent one leaves time for the others.
    Raises what the last one said.
    """
    end = time.monotonic() + limit
    for at, endpoint in enumerate(endpoints, 1):
        share = (end - time.monotonic()) / (len(endpoints) - at + 1)
        try:
            return _plugged(endpoint, max(_TICK, share))
        except OSError:
            if at == len(endpoints):
                raise
    raise socket.gaierror(socket.EAI_NONAME, "its name has no address")


def _plugged(endpoint: Endpoint, limit: float) -> socket.socket:
    family, address = endpoint
    plug = socket.socket(family, socket.SOCK_STREAM)
    try:
        plug.settimeout(limit)
        plug.connect(address)
        for level, option, value in _SOCKET_OPTIONS:
            plug.setsockopt(level, option, value)
    except BaseException:
        plug.close()
        raise
    return plug


def _offered(keys: list[Identity]) -> str:
    return f"offered: {', '.join(map(str, keys))}"


def hang_up(line: paramiko.Transport) -> None:
    """Close a line and wait for its thread to end; harmless to repeat."""
    with suppress(OSError, EOFError, paramiko.SSHException):
        line.sock.shutdown(socket.SHUT_RDWR)  # wakes the reading thread at once
    line.close()
    line.packetizer.complete_handshake()  # else its timer thread outlives a broken handshake
    line.sock.close()
    if line.is_alive() and line is not threading.current_thread():
        line.join(1.0)
