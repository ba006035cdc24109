"""Run one command on a machine and hand back what it said: the verb that all transports share."""

import os
import select
import selectors
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from extendctl.errors import ExtendctlError

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes of output after which a command is taken for a flood and given up."""

_CHUNK = 32 * 1024
_MOMENT = 1.0  # seconds in which a killed process ends


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind. A negative status is death by that signal, -1 also 'not told'."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """The words of a failure: stderr, else stdout, without surrounding space."""
        return self.stderr.strip() or self.stdout.strip()


class LineLost(ExtendctlError):
    """The connection broke. `sent` tells whether the command may have begun."""

    code = "unreachable"

    def __init__(self, message: str, *, sent: bool, host: str | None = None) -> None:
        super().__init__(message, host=host)
        self.sent = sent


class Transport(Protocol):
    """One machine's line. Safe to be used by several threads at once."""

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        """Run argv with these bytes as its standard input.

        `timeout` is in seconds and bounds the whole call. Raises LineLost when no answer came in
        time or the line broke, Unreachable or Refused (`host-key`) when it was never there.
        """
        ...

    def close(self) -> None:
        """Let go of the line; harmless to repeat."""
        ...


class LocalTransport:
    """This machine, by way of subprocess."""

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        """Run argv in a session of its own: Ctrl-C ends this program and not the command."""
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        except FileNotFoundError:
            return Result(tuple(argv), 127, "", f"{argv[0]}: command not found")
        except OSError as no:  # no process, memory or file descriptor to be had, just now
            raise LineLost(f"{argv[0]} cannot be started: {no.strerror}", sent=False) from no
        ears = _Ears(process, stdin)
        try:
            ears.hear(timeout)
        except subprocess.TimeoutExpired as late:
            _give_up(process)
            raise LineLost(f"{argv[0]} did not end within {timeout:g} s", sent=True) from late
        except _FloodError as flood:
            _give_up(process)
            raise LineLost(f"{argv[0]} said more than {OUTPUT_LIMIT} bytes", sent=True) from flood
        stdout, stderr = map(_text, ears.said.values())
        return Result(tuple(argv), process.returncode, stdout, stderr)

    def close(self) -> None:
        """Nothing to let go of."""


class _FloodError(Exception):
    """The command said more than OUTPUT_LIMIT bytes."""


class _Ears:
    """A process's conversation: its input is fed and both outputs are drained side by side.

    Not `communicate`, which keeps whatever is said, and forgets what is still to be fed when it is
    called again after a while.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", stdin: bytes) -> None:
        self.said = {"stdout": bytearray(), "stderr": bytearray()}
        self._process = process
        self._given = memoryview(stdin)

    def hear(self, timeout: float) -> None:
        """Until it has ended. Raises TimeoutExpired, _FloodError."""
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as open_ones:
            for name in ("stdin", *self.said):
                way = selectors.EVENT_WRITE if name == "stdin" else selectors.EVENT_READ
                open_ones.register(getattr(self._process, name), way, name)
            while open_ones.get_map():
                ready = open_ones.select(end - time.monotonic())
                if time.monotonic() >= end:
                    raise subprocess.TimeoutExpired(self._process.args, timeout)
                for key, _ in ready:
                    if not self._goes_on(key.data, key.fd):
                        open_ones.unregister(key.fileobj)
                        getattr(self._process, key.data).close()
        self._process.wait(max(0.0, end - time.monotonic()))

    def _goes_on(self, name: str, pipe: int) -> bool:
        """Carry what one pipe takes or gives at once; False at its end."""
        if name == "stdin":
            try:
                self._given = self._given[os.write(pipe, self._given[: select.PIPE_BUF]) :]
            except BrokenPipeError:  # it has ended without reading all: its status decides
                return False
            return len(self._given) > 0
        chunk = os.read(pipe, _CHUNK)
        self.said[name] += chunk
        if sum(map(len, self.said.values())) > OUTPUT_LIMIT:
            raise _FloodError
        return len(chunk) > 0


def _give_up(process: "subprocess.Popen[bytes]") -> None:
    """Kill what may be killed, and wait for nothing: root's command is not ours to end."""
    with suppress(PermissionError):
        process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_MOMENT)


def _text(raw: bytearray) -> str:
    return raw.decode("utf-8", errors="replace")
