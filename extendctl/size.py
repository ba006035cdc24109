"""Read the sizes that people type and write sizes that people read; inside, a size is bytes."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from extendctl.errors import Usage, quoted

Size = int
"""A number of bytes."""

KIB, MIB, GIB, TIB = (1 << shift for shift in (10, 20, 30, 40))
LARGEST: Size = (1 << 63) - GIB  # what a signed loff_t can address, and room to round up

_UNITS = {"": GIB, "K": KIB, "M": MIB, "G": GIB, "T": TIB, "P": 1 << 50, "E": 1 << 60}
_SIZE = re.compile(r"(\+?)([0-9]+(?:\.[0-9]+)?)(%|[A-Za-z]*)", re.ASCII)
_LONGEST = 64  # characters; no number of bytes that means something needs as many
_FORMS = "write 20 or 20G (GiB), 512M, 2T, +5G or +10%"


@dataclass(frozen=True, slots=True)
class SizeRequest:
    """A size as it was asked for: a new total, or growth in bytes or in percent."""

    text: str
    total: Size | None = None
    growth: Size | None = None
    percent: Decimal | None = None

    @property
    def relative(self) -> bool:
        """True when the goal depends on the present size."""
        return self.total is None

    def goal(self, now: Size) -> Size:
        """The new total in bytes, for a volume of `now` bytes. Raises Usage past LARGEST."""
        if self.total is not None:
            return self.total
        if self.growth is not None:
            grown = now + self.growth
        else:
            grown = now + ceil(Fraction(now) * Fraction(self.percent or 0) / 100)
        return _checked(grown, self.text)


def parse(text: str) -> SizeRequest:
    """Read `20`, `20G`, `20GiB`, `512M`, `2T`, `+5G` or `+10%`. Raises Usage with the reason."""
    match = _SIZE.fullmatch(text)
    if match is None or len(text) > _LONGEST:
        raise Usage(f"{quoted(text)} is not a size", hint=_FORMS)
    sign, digits, unit = match.groups()
    number = Decimal(digits)
    if number == 0:
        raise Usage(f"{quoted(text)}: a size must be greater than zero", hint=_FORMS)
    if unit == "%":
        return _percent(text, sign, number)
    size = _checked(_whole(text, Fraction(number) * _multiplier(text, digits, unit)), text)
    return SizeRequest(text, growth=size) if sign else SizeRequest(text, total=size)


def parse_total(text: str) -> Size:
    """Read an absolute size, as limits and `volume create` take it. Raises Usage."""
    request = parse(text)
    if request.total is None:
        message = f"{quoted(text)}: a total is wanted here, not growth"
        raise Usage(message, hint="write 20G, not +20G")
    return request.total


def _percent(text: str, sign: str, number: Decimal) -> SizeRequest:
    if not sign:
        message = f"{quoted(text)}: a percentage is growth and needs a '+'"
        raise Usage(message, hint=f"write +{text}")
    return SizeRequest(text, percent=number)


def _multiplier(text: str, digits: str, unit: str) -> int:
    letters = unit.upper()
    if len(letters) == 2 and letters[1] == "B" and letters[0] in _UNITS:
        raise Usage(_ambiguous(text, digits, letters[0]), hint=f"write {text[:-2]}{letters[0]}iB")
    stem = letters.removesuffix("IB") if len(letters) == 3 else letters
    stem = stem.removesuffix("I") if len(stem) == 2 else stem
    if stem not in _UNITS:
        raise Usage(f"{quoted(text)}: unknown unit {quoted(unit)}", hint=_FORMS)
    return _UNITS[stem]


def _ambiguous(text: str, digits: str, prefix: str) -> str:
    power = " KMGTPE".index(prefix)
    decimal = int(Fraction(digits) * 1000**power)
    binary = int(Fraction(digits) * 1024**power)
    return (
        f"{quoted(text)} is ambiguous: {digits} {prefix}B is {decimal} bytes, "
        f"{digits} {prefix}iB is {binary} bytes"
    )


def _whole(text: str, value: Fraction) -> Size:
    if value.denominator != 1:
        raise Usage(f"{quoted(text)} is not a whole number of bytes", hint=_FORMS)
    return int(value)


def _checked(size: Size, text: str) -> Size:
    if size > LARGEST:
        raise Usage(f"{quoted(text)} is larger than a block device can be (8 EiB)", hint=_FORMS)
    return size


def round_up(size: Size, unit: Size) -> Size:
    """The least multiple of `unit` that is not below `size`."""
    return -(-size // unit) * unit


def round_down(size: Size, unit: Size) -> Size:
    """The greatest multiple of `unit` that is not above `size`."""
    return size // unit * unit


def human(size: Size | None) -> str:
    """`20 GiB`, `1.46 GiB`, `512 B`; `?` for a size that is not known."""
    if size is None:
        return "?"
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{_short(size, unit)} {name}"
    return f"{size} B"


def _short(size: Size, unit: Size) -> str:
    return f"{Decimal(size) / unit:.2f}".rstrip("0").rstrip(".")
