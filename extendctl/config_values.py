"""Read the single values of a configuration: sizes, percentages, growth, names of things."""

import re
from collections.abc import Callable, Iterable

from extendctl.config_faults import unknown
from extendctl.errors import Usage
from extendctl.size import Size, parse, parse_total

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
"""What hosts, backends and projects may be called, in at most NAME_MAX letters."""

NAME_MAX = 255

LVM_NAME = r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*"
"""lvm(8), VALID NAMES: not `.` or `..` either, and at most 127 letters for a volume group."""

TRANSPORTS = ("ssh", "local")
BECOME = ("sudo", "none")

SIZE = r"[0-9]+(\.[0-9]+)?([KkMmGgTtPpEe](i|iB)?)?"
PERCENT = r"[0-9]+(\.[0-9]+)?%"
GROWTH = r"\+[0-9]+(\.[0-9]+)?(%|[KkMmGgTtPpEe](i|iB)?)?"
PRINCIPAL = r"(user|group):\S(.*\S)?"


class Wrong(ValueError):
    """What is wrong with a value, as a sentence without a subject."""


class Expected(Wrong):
    """A value of another kind was wanted; the message names that kind."""


def size(value: object) -> Size:
    """Bytes from `20G`, or from a number of GiB. Raises Wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Expected("a size such as 20G")
    try:
        return parse_total(str(value))
    except Usage as error:
        # Its hint may speak of growth, which has no place here.
        hint = "write 20G (GiB), 512M or 2T" if "+" in error.fault.hint else ""
        raise Wrong(_told(error, hint)) from None


def percent(value: object) -> float:
    """0 to 100 from `5%`. Raises Wrong for a bare number too: 0.05 and 5 would both be meant."""
    if not isinstance(value, str) or not re.fullmatch(PERCENT, value, re.ASCII):
        raise Expected("a percentage such as 5%")
    share = float(value.removesuffix("%"))
    if share > 100:
        raise Wrong(f"{value} is more than 100%")
    return share


def growth(value: object) -> str:
    """`+20%` or `+5G`, as it was written. Raises Wrong."""
    wanted = "growth such as +20% or '+5G'"
    if not isinstance(value, str):
        raise Expected(wanted)
    try:
        request = parse(value)
    except Usage as error:
        raise Wrong(_told(error)) from None
    if not request.relative:
        raise Wrong(f"'{value}' is a total; expected {wanted}")
    return value


def state(value: object) -> object:
    """A database's URL by itself as the section that it stands for. Raises Wrong."""
    if isinstance(value, str):
        return {"url": value}
    if not isinstance(value, dict):
        raise Expected("a database URL such as sqlite:///state.db")
    return value


def one_of(what: str, known: Iterable[str]) -> Callable[[object], str]:
    """A reader that takes the known words only, and suggests the one that was meant."""
    words = list(known)

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Expected(f"one of {', '.join(words)}")
        if value not in words:
            raise Wrong(unknown(what, value, words))
        return value

    return read


def address(value: str) -> str:
    """A host name or an IP address. Raises Wrong, with the key that the rest belongs under."""
    if "@" in value:
        raise Wrong("the user belongs under the key 'user', not into the address")
    if re.fullmatch(r"[^:]*:[0-9]+|\[.*\](:[0-9]+)?", value):
        raise Wrong("expected a bare name or IP address; a port belongs under the key 'port'")
    if value.startswith("-") or re.search(r"[\s/\\,;'\"]", value):
        raise Wrong(f"'{value}' is not a host name or an IP address")
    return value


def login(value: str) -> str:
    """A user's name. Raises Wrong."""
    if value.startswith("-") or re.search(r"[\s/:@]", value):
        raise Wrong(f"'{value}' is not a user's name")
    return value


def lvm_name(value: str) -> str:
    """The name of a volume group or thin pool, without a path. Raises Wrong."""
    if "/" in value:
        raise Wrong(f"'{value}' is not a name LVM allows; write the name without /dev/ or a path")
    valid = re.fullmatch(LVM_NAME, value, re.ASCII) and value not in (".", "..")
    if not valid or len(value) > 127:
        allowed = "letters, digits and + _ . - (not first), at most 127"
        raise Wrong(f"'{value}' is not a name LVM allows: {allowed}")
    return value


def absolute(value: str) -> str:
    """An absolute path. Raises Wrong: what a relative one starts from differs per host."""
    if not value.startswith("/"):
        raise Wrong(f"'{value}' is relative; write a path that begins with /")
    return value


def line(value: str) -> str:
    """Text that is not empty and fits a line. Raises Wrong."""
    if not value.strip():
        raise Wrong("must not be empty")
    if not value.isprintable():
        raise Wrong("must not contain line breaks or control characters")
    return value


def _told(error: Usage, hint: str = "") -> str:
    fault = error.fault
    hint = hint or fault.hint
    return f"{fault.message}; {hint}" if hint else fault.message
