"""Run commands on a machine over one SSH line that several threads share."""

import shlex
import threading
import time
from collections.abc import Sequence
from typing import Final

import paramiko

from extendctl.config import HostConfig
from extendctl.dial import Dial, DroppedError, hang_up
from extendctl.errors import ExtendctlError, Unreachable
from extendctl.shell import render
from extendctl.talk import BROKEN, FloodError, OutOfTimeError, Talk, answers, granted, shut
from extendctl.transport import OUTPUT_LIMIT, LineLost, Result

CHANNELS: Final = 4
"""Commands at once on one line: sshd's MaxSessions is 10 and not ours alone."""

TUNNEL_HANDSHAKES: Final = 8
"""Handshakes at once through one jump host."""

_REFUSALS: Final = 5
_PAUSE: Final = 0.02
_SHOWN: Final = 80


class SshTransport:
    """A machine reached by SSH, perhaps by way of another (`jump`), which the caller closes.

    The line is opened by the first command, and again by the next one after it broke. `commands`
    counts the commands handed to the machine, `connects` the lines opened.
    """

    def __init__(self, config: HostConfig, jump: "SshTransport | None" = None) -> None:
        self.config = config
        self.commands = 0
        self.connects = 0
        self.tunnels = threading.BoundedSemaphore(TUNNEL_HANDSHAKES)
        self._jump = jump
        self._line: paramiko.Transport | None = None
        self._failure: ExtendctlError | None = None
        self._failures = 0
        self._dialling = threading.Lock()
        self._counting = threading.Lock()
        self._closed = threading.Event()
        self._channels = _Channels()

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        """Run argv with these bytes as its standard input.

        `timeout` is in seconds and bounds the whole call, connecting and waiting for a free
        channel included. Raises LineLost when the line broke or no answer came in time, and what
        `Dial.line` raises when there was no line. A command that runs out of time, or says more
        than OUTPUT_LIMIT bytes, lives on over there: that is what `timeout` in argv is for.
        """
        command = render(argv)
        deadline = time.monotonic() + timeout
        line = self._live(deadline)
        if not self._channels.take(deadline):
            raise self._lost(argv, f"found no free channel within {timeout:g} s", sent=False)
        try:
            channel = self._channel(line, argv, deadline)
            try:
                talk = Talk(line, channel, stdin, deadline)
                status = self._hold(talk, argv, command, line, timeout)
            finally:
                shut(channel)
                self._channels.leave(ended=True)
        finally:
            self._channels.give_back()
        return Result(tuple(argv), status, _text(talk.stdout), _text(talk.stderr))

    def close(self) -> None:
        """Let go of the line for good: commands under way and those to come end with an error.

        So nothing is sent after it, whatever threads are still at work. Harmless to repeat.
        """
        self._closed.set()
        line = self._line
        if line is not None:
            hang_up(line)

    def tunnel(self, address: str, port: int, timeout: float) -> paramiko.Channel:
        """A connection from this machine to another, within so many seconds.

        Raises ChannelException when this machine cannot connect there, TimeoutError when it does
        not say, DroppedError when this line broke, and what `Dial.line` raises when there is none.
        """
        deadline = time.monotonic() + timeout
        line = self._live(deadline)
        left = max(0.1, deadline - time.monotonic())
        try:
            return line.open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=left
            )
        except paramiko.ChannelException:
            raise
        except BROKEN as no:
            if line.is_active():
                raise TimeoutError from no
            hang_up(line)
            raise DroppedError(f"the line to {self.config.name} broke") from no

    def _live(self, deadline: float) -> paramiko.Transport:
        """The line, opened if need be; those who waited for an attempt share its failure."""
        seen = self._failures
        name = self.config.name
        if self._closed.is_set():
            raise Unreachable(f"{name}: the line has been closed", host=name)
        if self._line is not None and self._line.is_active():
            return self._line
        if not self._dialling.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unreachable(f"{name}: no time left, the line is still being opened", host=name)
        try:
            if self._line is not None and self._line.is_active():
                return self._line
            if self._failure is not None and self._failures != seen:
                raise self._failure
            return self._dial(deadline)
        finally:
            self._dialling.release()

    def _dial(self, deadline: float) -> paramiko.Transport:
        try:
            line = (
                self._dial_by_jump(deadline, self._jump) if self._jump else self._direct(deadline)
            )
        except ExtendctlError as no:
            self._failure = no
            self._failures += 1
            raise
        self._line = line
        self.connects += 1
        if self._closed.is_set():  # close() may have looked before the line was there
            hang_up(line)
        return line

    def _direct(self, deadline: float) -> paramiko.Transport:
        return Dial(self.config, None, deadline, self._closed).line()

    def _dial_by_jump(self, deadline: float, jump: "SshTransport") -> paramiko.Transport:
        name = self.config.name
        if not jump.tunnels.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unreachable(f"{name}: no time left, {jump.config.name} is busy", host=name)
        try:
            return Dial(self.config, jump.tunnel, deadline, self._closed).line()
        finally:
            jump.tunnels.release()

    def _channel(
        self, line: paramiko.Transport, argv: Sequence[str], deadline: float
    ) -> paramiko.Channel:
        refusals = 0
        while refusals < _REFUSALS and (left := deadline - time.monotonic()) > 0:
            seen = self._channels.enter()
            try:
                channel = granted(line, left)
            except BROKEN as no:
                self._channels.leave()
                hang_up(line)
                raise self._lost(argv, "found the line broken", sent=False) from no
            if channel is not None:
                return channel
            self._channels.leave()
            # MaxSessions: wait until one of our own has ended, else for somebody else's. sshd
            # goes on counting a session for a moment after it has closed its channel.
            if self._channels.one_ended(seen, deadline):
                refusals = 0
            else:
                time.sleep(_PAUSE * 2**refusals)
                refusals += 1
        raise self._lost(argv, "got no channel (sshd's MaxSessions?)", sent=False)

    def _hold(
        self,
        talk: Talk,
        argv: Sequence[str],
        command: str,
        line: paramiko.Transport,
        timeout: float,
    ) -> int:
        with self._counting:
            self.commands += 1
        try:
            status = talk.hold(command)
        except OutOfTimeError as late:
            raise self._lost(argv, f"did not end within {timeout:g} s", sent=True) from late
        except FloodError as flood:
            raise self._lost(argv, f"said more than {OUTPUT_LIMIT} bytes", sent=True) from flood
        except BROKEN as no:
            if answers(line):
                raise self._lost(argv, "was refused by sshd", sent=False) from no
            hang_up(line)
            raise self._lost(argv, "was cut off as the line broke", sent=True) from no
        if status == -1 and not answers(line):
            hang_up(line)
            raise self._lost(argv, "was cut off as the line broke", sent=True)
        return status

    def _lost(self, argv: Sequence[str], what: str, *, sent: bool) -> LineLost:
        name, words = self.config.name, shlex.join(argv)
        shown = words if len(words) <= _SHOWN else words[:_SHOWN] + "..."
        return LineLost(f"{name}: `{shown}` {what}", sent=sent, host=name)


class _Channels:
    """Counts the channels of a line, so that one waits here and not for sshd's refusal."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._taken = 0
        self._within = 0
        self._ended = 0

    def take(self, deadline: float) -> bool:
        """Wait for one of the places; False if there was none until the deadline."""
        with self._change:
            left = max(0.0, deadline - time.monotonic())
            got = self._change.wait_for(lambda: self._taken < CHANNELS, left)
            self._taken += got
            return got

    def give_back(self) -> None:
        with self._change:
            self._taken -= 1
            self._change.notify_all()

    def enter(self) -> int:
        """Note that a channel is asked for; returns how many have ended so far."""
        with self._change:
            self._within += 1
            return self._ended

    def leave(self, *, ended: bool = False) -> None:
        """Note that it was refused, or that it has been used and ended."""
        with self._change:
            self._within -= 1
            self._ended += ended
            self._change.notify_all()

    def one_ended(self, seen: int, deadline: float) -> bool:
        """Wait until more than `seen` have ended; False as soon as there is none left to do so."""
        with self._change:
            left = max(0.0, deadline - time.monotonic())
            self._change.wait_for(lambda: self._ended != seen or not self._within, left)
            return self._ended != seen


def _text(raw: bytearray) -> str:
    return raw.decode("utf-8", errors="replace")
