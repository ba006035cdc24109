"""Match text as regcomp(3) and fnmatch(3) do in the C locale, within a bound of work.

Python's `re` reads another grammar, and whoever writes a pattern could keep it busy for ever. What
the C libraries do not agree on is refused, so that an answer is certain.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from extendctl.errors import quoted
from extendctl.figures import Garbled

_LONGEST, _STEPS, _DEEPEST, _MOST = 4096, 4096, 40, 255
_ALL = (1 << 128) - 1
_LITERAL = (frozenset(string.punctuation) | {" "}) - frozenset("<>`'")
"""What a backslash makes literal; before the last four it means something to one C library."""


@dataclass(slots=True)
class Effort:
    """What all the matching for one question may cost, in steps: about a second."""

    left: int = 1_000_000

    def spend(self, steps: int) -> None:
        """Raise Garbled when there is nothing left."""
        self.left -= steps
        if self.left < 0:
            raise Garbled("patterns that take too long to match")


def extended(pattern: str, text: str, effort: Effort) -> bool:
    """Whether a POSIX extended regular expression matches somewhere in the text.

    Raises Garbled for what is none, what is not the same everywhere, and what is beyond ASCII.
    """
    return _found(_extended(pattern), text, effort)


def glob(pattern: str, text: str, effort: Effort, *, path: bool = False) -> bool:
    """Whether a pattern of fnmatch(3) matches the text; as a path its `*` takes in no slash.

    Raises Garbled like `extended`.
    """
    return _found(_glob(pattern, path=path), text, effort)


class _Step(NamedTuple):
    """Takes a sign of the set `takes`, or goes on without one: `to` other steps, or at an end."""

    takes: int = 0
    to: tuple[int, ...] = ()
    at: str = ""


_Program = tuple[_Step, ...]
_BEGIN, _END = _Step(at="^"), _Step(at="$")


def _found(program: _Program, text: str, effort: Effort) -> bool:
    """All ways through the program at once, so that no pattern makes it go back."""
    if not text.isascii():
        raise Garbled(f"what is not ASCII matches differently from place to place: {quoted(text)}")
    effort.spend(len(program))
    states: set[int] = set()
    for place, sign in enumerate((*text, "")):
        if not place or program[0].at != "^":
            states.add(0)
        if not states:
            return False
        states = _reached(program, states, first=not place, last=not sign)
        effort.spend(len(states) + 1)
        if len(program) in states:
            return True
        bit = 1 << ord(sign) if sign else 0
        states = {one + 1 for one in states if program[one].takes & bit}
    return False


def _reached(program: _Program, states: Iterable[int], *, first: bool, last: bool) -> set[int]:
    """The steps that can be come to without taking a sign."""
    found, rest = set[int](), list(states)
    while rest:
        one = rest.pop()
        if one in found:
            continue
        found.add(one)
        if one < len(program):
            step = program[one]
            rest += [one + to for to in step.to]
            if (step.at == "^" and first) or (step.at == "$" and last):
                rest.append(one + 1)
    return found


class _Reader:
    """A pattern, sign by sign."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > _LONGEST or not pattern.isascii():
            raise Garbled(f"a pattern too long, or not in ASCII: {quoted(pattern)}")
        self.pattern, self.place = pattern, 0

    def next(self, signs: int = 1) -> str:
        """What comes next, empty at the end."""
        return self.pattern[self.place : self.place + signs]

    def take(self, signs: int = 1) -> str:
        """What comes next, passed by."""
        found = self.next(signs)
        if not found:
            raise self.wrong()
        self.place += signs
        return found

    def until(self, end: str) -> str:
        """What stands in front of the next `end`, both passed by."""
        at = self.pattern.find(end, self.place)
        if at < 0:
            raise self.wrong()
        found, self.place = self.pattern[self.place : at], at + len(end)
        return found

    def wrong(self) -> Garbled:
        """For what cannot be read, or is not read the same everywhere."""
        return Garbled(f"a pattern that is not certain: {quoted(self.pattern)}")


@lru_cache(maxsize=512)
def _extended(pattern: str) -> _Program:
    reader = _Reader(pattern)
    program = _either(reader, 0)
    if reader.next():
        raise reader.wrong()
    return program


def _either(reader: _Reader, depth: int) -> _Program:
    """What stands between bars."""
    if depth > _DEEPEST:
        raise reader.wrong()
    found = _row(reader, depth)
    while reader.next() == "|":
        reader.take()
        other = _row(reader, depth)
        over = _Step(to=(len(other) + 1,))
        found = (_Step(to=(1, len(found) + 2)), *found, over, *other)
        _bounded(reader, len(found))
    return found


def _row(reader: _Reader, depth: int) -> _Program:
    found: list[_Step] = []
    while reader.next() not in {"", "|", ")"}:
        found += _repeated(reader, _atom(reader, depth))
        _bounded(reader, len(found))
    if not found:
        raise reader.wrong()
    return tuple(found)


def _bounded(reader: _Reader, steps: int) -> None:
    if steps > _STEPS:
        raise reader.wrong()


def _atom(reader: _Reader, depth: int) -> _Program:
    sign = reader.take()
    if sign == "(":
        found = _either(reader, depth + 1)
        if reader.next() != ")":
            raise reader.wrong()
        reader.take()
        return found
    if sign in "^$":
        return (_BEGIN if sign == "^" else _END,)
    if sign == ".":
        return (_Step(_ALL),)
    if sign == "[":
        return (_Step(_bracket(reader, "^")),)
    if sign in "*+?{":
        raise reader.wrong()
    if sign == "\\" and (sign := reader.take()) not in _LITERAL:
        raise reader.wrong()
    return (_Step(_bit(sign)),)


def _repeated(reader: _Reader, piece: _Program) -> _Program:
    sign = reader.next()
    if sign not in {"*", "+", "?", "{"}:
        return piece
    reader.take()
    least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign) or _interval(reader)
    if reader.next() in {"*", "+", "?", "{"} or piece in {(_BEGIN,), (_END,)}:
        raise reader.wrong()
    _bounded(reader, len(piece) * (least if most is None else most))
    if most is None:
        back = -len(piece) - 1
        return (*piece * least, _Step(to=(1, len(piece) + 2)), *piece, _Step(to=(back,)))
    return piece * least + (_Step(to=(1, len(piece) + 1)), *piece) * (most - least)


def _interval(reader: _Reader) -> tuple[int, int | None]:
    least, comma, most = reader.until("}").partition(",")
    numbers = [least, most] if most else [least]
    if not all(one.isdigit() and len(one) < 4 for one in numbers):
        raise reader.wrong()
    low, high = int(least), int(most or least)
    if not low <= high <= _MOST or not high:
        raise reader.wrong()
    return low, None if comma and not most else high


_CLASSES = {
    "alpha": string.ascii_letters, "digit": string.digits, "xdigit": string.hexdigits,
    "alnum": string.ascii_letters + string.digits, "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase, "space": string.whitespace, "blank": " \t",
    "punct": string.punctuation, "cntrl": "".join(map(chr, (*range(32), 127))),
    "print": "".join(map(chr, range(32, 127))), "graph": "".join(map(chr, range(33, 127))),
}  # fmt: skip


def _bracket(reader: _Reader, negators: str) -> int:
    """A set of signs, from behind its opening bracket to behind its closing one."""
    negated = reader.next() != "" and reader.next() in negators
    if negated:
        reader.take()
    found = first = 0
    while not first or reader.next() != "]":
        first = 1
        if reader.next(2) == "[:":
            reader.take(2)
            found |= _signs(_CLASSES.get(reader.until(":]"), ""))
        elif reader.next(2) in {"[.", "[="}:
            raise reader.wrong()
        else:
            found |= _range(reader)
    reader.take()
    return found ^ _ALL if negated else found


def _range(reader: _Reader) -> int:
    low = high = reader.take()
    if reader.next() == "-" and reader.next(2) not in {"-", "-]"}:
        reader.take()
        high = reader.take()
    if high < low or low != high == "[":
        raise reader.wrong()
    return _signs(map(chr, range(ord(low), ord(high) + 1)))


def _bit(sign: str) -> int:
    return 1 << ord(sign)


def _signs(signs: Iterable[str]) -> int:
    found = 0
    for sign in signs:
        found |= _bit(sign)
    if not found:
        raise Garbled("a set of no signs")
    return found


@lru_cache(maxsize=512)
def _glob(pattern: str, *, path: bool) -> _Program:
    reader, found = _Reader(pattern), [_BEGIN]
    some = _ALL ^ _bit("/") if path else _ALL
    while reader.next():
        sign = reader.take()
        if sign == "*":
            found += (_Step(to=(1, 3)), _Step(some), _Step(to=(-2,)))
        elif sign == "?":
            found.append(_Step(some))
        elif sign == "[":
            start = reader.place
            found.append(_Step(_bracket(reader, "!^") & some))
            if {"\\", "/"} & set(pattern[start : reader.place]):
                raise reader.wrong()
        else:
            found.append(_Step(_bit(reader.take() if sign == "\\" else sign)))
    return (*found, _END)
