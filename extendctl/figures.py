"""Read the figures and tables in what tools print, each within the bounds of what can be true."""

import json
import math
import re
from collections.abc import Iterator, Mapping

from extendctl.errors import quoted
from extendctl.size import LARGEST, Size

SECTOR: Size = 512
"""Bytes of the sectors in which the kernel counts, whatever the device's own are."""


class Garbled(ValueError):
    """An answer that cannot be what was asked for."""


_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_LONGEST = 64 * 1024  # characters of a line; sysfs gives a page at most, mountinfo a few of them


def number(value: object, what: str, least: int = 0, most: int = LARGEST) -> int:
    """A whole number, written in digits or as JSON has it.

    Raises Garbled for anything else, and for what is less than `least` or more than `most`: no
    device has more than LARGEST bytes, so nothing in it can be counted any higher.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip(" \t\n")):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Garbled(f"{what} is not a whole number: {quoted(value)}")
    if not least <= value <= most:
        raise Garbled(f"{what} cannot be {quoted(value)}")
    return value


def sectors(value: object, what: str = "a size in sectors") -> Size:
    """Bytes, from a number of sectors of 512 bytes. Raises Garbled like `number`."""
    return number(value, what, most=LARGEST // SECTOR) * SECTOR


def percent(text: str, what: str) -> float | None:
    """0 to 100, None where there is nothing. Raises Garbled for what is no percentage."""
    if not text:
        return None
    share = float(text)
    if not math.isfinite(share) or not 0 <= share <= 100:
        raise Garbled(f"{what} cannot be {quoted(text)}")
    return share


def document(text: str) -> object:
    """A JSON document. Raises Garbled for what is none, for NaN, and for what is too deep."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise Garbled("a document that is nested too deep") from None


def documents(text: str) -> Iterator[object]:
    """One JSON document after another. Raises Garbled like `document`."""
    decoder, at = json.JSONDecoder(parse_constant=_no_number), 0
    blank = re.compile(r"\s*")
    while (at := _after(blank, text, at)) < len(text):
        try:
            found, at = decoder.raw_decode(text, at)
        except RecursionError:
            raise Garbled("a document that is nested too deep") from None
        yield found


def _after(blank: re.Pattern[str], text: str, at: int) -> int:
    match = blank.match(text, at)
    return at if match is None else match.end()


def table(value: object, key: str) -> Mapping[str, object]:
    """The section `key` of a JSON object, an object itself. Raises Garbled, KeyError."""
    found = section(value)[key]
    return section(found)


def section(value: object) -> Mapping[str, object]:
    """A JSON object. Raises Garbled for another kind of value."""
    if not isinstance(value, dict):
        raise Garbled(f"a section is missing; there is {quoted(value)}")
    return value


def rows(value: object) -> list[object]:
    """A JSON array. Raises Garbled for another kind of value."""
    if not isinstance(value, list):
        raise Garbled(f"a list is missing; there is {quoted(value)}")
    return value


def report(text: str, kind: str) -> Iterator[Mapping[str, str]]:
    """The rows of a kind (`lv`, `vg`, `pv`) in a report of LVM's, in which all values are text.

    Raises Garbled, KeyError for what is no such report.
    """
    for part in rows(section(document(text))["report"]):
        for row in rows(section(part).get(kind, [])):
            yield _texts(section(row))


def _texts(row: Mapping[str, object]) -> Mapping[str, str]:
    found = {key: value for key, value in row.items() if isinstance(value, str)}
    if len(found) < len(row) or any("\0" in value for value in found.values()):
        raise Garbled(f"a row that is not all text: {quoted(row)}")
    return found


def fields(text: str) -> list[list[str]]:
    """The lines of a probe, each parted at its tabs; the last of them must be `end`.

    Raises Garbled when it is not, and for what no machine prints: a NUL, an endless line.
    """
    lines = [line for line in text.split("\n") if line]
    if not lines or lines[-1].removesuffix("\t") != "end":
        raise Garbled("the machine's answer is cut short or is not an answer at all")
    if "\0" in text or max(map(len, lines)) > _LONGEST:
        raise Garbled("the machine's answer has a line in it that no machine prints")
    return [line.removesuffix("\t").split("\t") for line in lines]


def _no_number(word: str) -> object:
    raise Garbled(f"{word} is not a number")
