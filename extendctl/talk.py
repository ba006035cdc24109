"""Carry one command over one SSH channel: its request, its input, both its outputs, its end."""

import threading
import time
from contextlib import suppress
from typing import Final

import paramiko

from extendctl.dial import hang_up
from extendctl.transport import OUTPUT_LIMIT

BROKEN: Final = (paramiko.SSHException, EOFError, OSError)
"""What paramiko raises when a line breaks, from the protocol's or from the socket's side."""

_CHUNK: Final = 32 * 1024
_BLOCKED: Final = 0.01
"""Seconds between looks at a send window that is full: paramiko has no event for it."""
_GRACE: Final = 0.5
_ALIVE: Final = 5.0


class OutOfTimeError(Exception):
    """The deadline passed before the command had ended."""


class FloodError(Exception):
    """The command said more than OUTPUT_LIMIT bytes."""


class Talk:
    """A command's conversation; `deadline` is on the monotonic clock."""

    def __init__(
        self, line: paramiko.Transport, channel: paramiko.Channel, stdin: bytes, deadline: float
    ) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._line = line
        self._channel = channel
        self._stdin = stdin
        self._sent = 0
        self._fed = False
        self._deadline = deadline
        self._cut = False

    def hold(self, command: str) -> int:
        """Run the command and return its exit status, -1 if the other side did not tell one.

        Raises OutOfTimeError, FloodError, or one of BROKEN.
        """
        watchdog = threading.Timer(max(0.0, self._left()) + _GRACE, self._hang_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._channel.exec_command(command)
            self._exchange()
            return self._status()
        except BROKEN as no:
            if self._cut:
                raise OutOfTimeError from no
            raise
        finally:
            watchdog.cancel()

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _hang_up(self) -> None:
        """End what has no timeout in paramiko: the answer to exec, and a socket that is full.

        Other commands on the line go with it; a server that takes no request serves nobody.
        """
        self._cut = True
        hang_up(self._line)
        self._channel.event.set()  # hang_up does not wake one who began to wait after it

    def _exchange(self) -> None:
        """Feed stdin and drain both outputs side by side; one after the other deadlocks."""
        bell = _Bell()
        self._channel.in_buffer.set_event(bell)
        self._channel.in_stderr_buffer.set_event(bell)
        while True:
            ended = self._channel.closed or self._channel.eof_received
            self._feed()
            self._drain()
            if ended:
                return
            left = self._left()
            if left <= 0:
                raise OutOfTimeError
            bell.wait(left if self._fed else min(left, _BLOCKED))
            bell.silence()

    def _feed(self) -> None:
        """Send what the window takes, then the end of the input.

        A command that ends without reading all of it has not failed: its status decides.
        """
        if self._fed:
            return
        try:
            while self._sent < len(self._stdin) and self._channel.send_ready():
                self._sent += self._channel.send(self._stdin[self._sent : self._sent + _CHUNK])
            if self._sent == len(self._stdin):
                self._channel.shutdown_write()
                self._fed = True
        except BROKEN:
            self._fed = True

    def _drain(self) -> None:
        while self._channel.recv_ready():
            self.stdout += self._channel.recv(_CHUNK)
        while self._channel.recv_stderr_ready():
            self.stderr += self._channel.recv_stderr(_CHUNK)
        if len(self.stdout) + len(self.stderr) > OUTPUT_LIMIT:
            raise FloodError

    def _status(self) -> int:
        """The exit status, which may come after the end of the output."""
        # Not recv_exit_status: it knows no timeout.
        if not self._channel.status_event.wait(max(0.0, self._left())):
            raise OutOfTimeError
        if self._cut:
            raise OutOfTimeError
        return self._channel.exit_status


class _Bell(threading.Event):
    """Rings for two buffers. A buffer that runs empty would silence it for the other, too."""

    def clear(self) -> None:
        """Ignored: only the listener silences it."""

    def silence(self) -> None:
        super().clear()


def granted(line: paramiko.Transport, limit: float) -> paramiko.Channel | None:
    """A new channel, or None if the other side refuses one.

    Raises one of BROKEN if the line is broken or silent for `limit` seconds.
    """
    end = time.monotonic() + limit
    try:
        return line.open_session(timeout=limit)
    except paramiko.ChannelException:
        return None
    except paramiko.SSHException:
        # paramiko keeps one exception per line: another thread may have been given ours.
        if line.is_active() and time.monotonic() < end:
            return None
        raise


def answers(line: paramiko.Transport) -> bool:
    """Whether the other side is there; a refused channel is an answer too.

    is_active() does not tell: paramiko ends the channels of a broken line before it marks it so.
    """
    try:
        channel = granted(line, _ALIVE)
    except BROKEN:
        return False
    if channel is not None:
        shut(channel)
    return True


def shut(channel: paramiko.Channel) -> None:
    """Close a channel, whatever has become of its line."""
    with suppress(*BROKEN):
        channel.close()
