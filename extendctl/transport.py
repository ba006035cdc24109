"""Run one command on a machine and hand back what it said: the verb that all transports share."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from extendctl.errors import ExtendctlError

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes of output after which a command is taken for a flood and given up."""

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
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            _give_up(process)
            raise LineLost(f"{argv[0]} did not end within {timeout:g} s", sent=True) from late
        return Result(tuple(argv), process.returncode, _text(stdout), _text(stderr))

    def close(self) -> None:
        """Nothing to let go of."""


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


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
