"""What goes wrong at the door: wrong calls, interruptions, and bugs, as errors like all others."""

import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from extendctl.cli.session import OUTPUTS, Session
from extendctl.errors import ExtendctlError, Interrupted, Usage, quoted
from extendctl.page import Line, Page, Tone

_SHORT = re.compile(r"-[vq]*o(.*)", re.DOTALL)


def wanted_output(arguments: Sequence[str]) -> str:
    """The form that a call asks for, seen before the call is understood: it may be wrong."""
    found = "table"
    words = iter(arguments)
    for word in words:
        if word == "--":
            break
        short = _SHORT.fullmatch(word)
        if word == "--output" or (short and not short[1]):
            found = next(words, found)
        elif short:
            found = short[1]
        elif word.startswith("--output="):
            found = word.removeprefix("--output=")
    return found if found in OUTPUTS else "table"


def readable(arguments: Sequence[str]) -> None:
    """Raise Usage for bytes that are no UTF-8: neither the state nor an argv over SSH has them."""
    for word in arguments:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise Usage(f"{quoted(word)} is not UTF-8", hint="write it in UTF-8") from None


def usage(error: click.UsageError) -> Usage:
    """A wrong call as click found it."""
    path = error.ctx.command_path if error.ctx is not None else "extendctl"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Usage("a command is missing", hint=f"{path} --help")
    return Usage(error.format_message(), hint=f"{path} --help")


def interrupted() -> Interrupted:
    """Ctrl-C or SIGTERM while no operation was open."""
    return Interrupted("interrupted; no extension was under way")


class Bug(ExtendctlError):
    """Something that the program did not foresee. It has a code of its own, and exit status 1."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(f"this is a bug in extendctl: {_one_line(cause)}", hint=_REPORT)

    @property
    def exit_status(self) -> int:
        return 1

    def as_dict(self) -> dict[str, Any]:
        """The error as the JSON output has it."""
        message, hint = self.faults[0].message, self.faults[0].hint
        reason = {"code": "bug", "message": message, "hint": hint, "host": None}
        return {"code": "bug", "message": message, "hint": hint, "reasons": [reason]}

    def trace(self, session: Session) -> Page:
        """Where it happened, for -v."""
        return list(self._trace()) if session.verbosity > 0 else []

    def _trace(self) -> Iterator[Line]:
        for line in "".join(traceback.format_exception(self.cause)).splitlines():
            yield Line(line, Tone.DIM)


_REPORT = "please report it; with -v it shows where it happened"


def _one_line(cause: Exception) -> str:
    frames = traceback.extract_tb(cause.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    words = " ".join(str(cause).split())[:300]
    return f"{type(cause).__name__}: {words}{where}"
