"""Everything that can go wrong, as a tree of errors that know their code and exit status.

ExtendctlError
|-- Usage, ConfigError      2   the call or the configuration is wrong
|   `-- Damaged                 the state cannot be read
|-- Refused                 3   a decision: nothing was changed
|-- NotNow                  4   busy or unreachable: nothing was changed
|   |-- Busy
|   `-- Unreachable             a line lost while asking: "don't know" is not "no"
|-- Incomplete              5   the volume may have grown, something has not followed
|   |-- BackendFailed
|   |-- HostFailed
|   |-- NotVerified             the second measurement does not agree
|   `-- OutcomeUnknown          a line lost while acting
`-- Interrupted           130   the operation stays open
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

EXIT_STATUS: Final[dict[str, int]] = {
    "usage": 2,
    "config": 2,
    "not-found": 3,
    "invalid-status": 3,
    "size-not-greater": 3,
    "policy-denied": 3,
    "capability-missing": 3,
    "limit-exceeded": 3,
    "confirmation-required": 3,
    "busy": 4,
    "unreachable": 4,
    "host-key": 3,
    "no-space": 3,
    "obstacle": 3,
    "backend-failed": 5,
    "host-failed": 5,
    "not-verified": 5,
    "outcome-unknown": 5,
    "interrupted": 130,
}
"""Exit status by error code; the order is the order in which things are checked."""

_ORDER: Final = {code: place for place, code in enumerate(EXIT_STATUS)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why something cannot be done, in words, with a way out."""

    code: str
    message: str
    hint: str = ""
    host: str | None = None

    @property
    def exit_status(self) -> int:
        """The exit status that belongs to the code."""
        return EXIT_STATUS[self.code]

    def as_dict(self) -> dict[str, str | None]:
        """The fault as plain data."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "host": self.host}


_ROOM = 80  # characters of what was given that a message has room for


def quoted(value: object) -> str:
    """What was given, between quotes and with its escapes, as far as a message has room for it."""
    text = repr(value[:_ROOM] if isinstance(value, str) else value)
    return text if len(str(value)) <= _ROOM else f"{text[:_ROOM]}..."


def first(faults: Iterable[Fault]) -> Fault:
    """The fault that names the result: the first in the order in which things are checked."""
    return min(faults, key=lambda fault: _ORDER[fault.code])


class ExtendctlError(Exception):
    """The root of what the program raises on purpose."""

    code: ClassVar[str] = "usage"

    def __init__(
        self, message: str, *, hint: str = "", host: str | None = None, code: str = ""
    ) -> None:
        super().__init__(message)
        self.faults: tuple[Fault, ...] = (Fault(code or self.code, message, hint, host),)

    @property
    def fault(self) -> Fault:
        """The fault that names this error."""
        return first(self.faults)

    @property
    def exit_status(self) -> int:
        """What a command that ends with this error exits with."""
        return self.fault.exit_status

    def as_dict(self) -> dict[str, object]:
        """The error as the JSON output has it: code, message, hint, reasons."""
        fault = self.fault
        return {
            "code": fault.code,
            "message": fault.message,
            "hint": fault.hint,
            "reasons": [reason.as_dict() for reason in self.faults],
        }


class Usage(ExtendctlError):
    """The call is wrong."""

    code = "usage"


class ConfigError(ExtendctlError):
    """The configuration or the state cannot be used. One fault each, with file, line and key."""

    code = "config"

    def __init__(self, faults: str | Sequence[str], *, hint: str = "") -> None:
        lines = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(lines), hint=hint)
        self.faults = tuple(Fault("config", line, hint) for line in lines)


class Damaged(ConfigError):
    """The state cannot be read, whoever asks; a backup may take its place."""


class Refused(ExtendctlError):
    """The answer is no, for all of these reasons, in the order of checking; nothing was changed."""

    code = "obstacle"

    def __init__(self, faults: Sequence[Fault]) -> None:
        fault = first(faults)
        super().__init__(fault.message, hint=fault.hint, host=fault.host, code=fault.code)
        self.faults = tuple(sorted(faults, key=lambda one: _ORDER[one.code]))


def not_found(message: str, hint: str = "") -> Refused:
    """The refusal for a name that nothing bears."""
    return Refused((Fault("not-found", message, hint),))


class NotNow(ExtendctlError):
    """Nothing was changed; the same call may succeed later."""

    code = "busy"


class Busy(NotNow):
    """Somebody else is at work on it."""

    code = "busy"


class Unreachable(NotNow):
    """The host could not be asked, so nothing is known."""

    code = "unreachable"


class Incomplete(ExtendctlError):
    """Something has, or may have, changed, and the rest has not followed.

    What came first names it: a reason such as `unreachable` must not turn it into "not now".
    """

    code = "host-failed"

    @property
    def fault(self) -> Fault:
        """The fault that names this error."""
        return self.faults[0]


class BackendFailed(Incomplete):
    """The backend did not grow the volume."""

    code = "backend-failed"


class HostFailed(Incomplete):
    """A host did not follow."""

    code = "host-failed"


class NotVerified(Incomplete):
    """All went well, it was said; the measurement says otherwise."""

    code = "not-verified"


class OutcomeUnknown(Incomplete):
    """The line was lost while something was being done."""

    code = "outcome-unknown"


class TakenOver(NotNow):
    """Another program has taken this operation over: no further deed."""

    code = "busy"


class Interrupted(ExtendctlError):
    """Somebody pressed Ctrl-C or sent SIGTERM."""

    code = "interrupted"


@contextmanager
def half_made(name: str, host: str | None = None) -> Iterator[None]:
    """Whatever goes wrong in here leaves something behind, and is told as that: Incomplete."""
    try:
        yield
    except ExtendctlError as error:
        if isinstance(error, Interrupted):
            raise
        said = BackendFailed(f"{name} is half made: {error}", hint=SAME_AGAIN, host=host)
        raise said from error


SAME_AGAIN = "the same command looks first, and goes on from what it finds"
