"""What a seed stands for: a site, a size, and the faults that befall one extension in a row."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.extending import Make, mounted_once
from tests.world import build
from tests.world.site import ATTACHED, Site
from tests.world.tower import MATRIX, Tower, tower

DEEDS = ("deed before", "deed after")
OUTSIDE = (*DEEDS, "commit after", "question before", "question after", "event")
"""The moments at which no transaction is under way, which would lock everybody out."""
MOMENTS = (*OUTSIDE, "commit before")

STRIKES: dict[str, Sequence[str]] = {
    "kill": MOMENTS,
    "freeze": OUTSIDE,
    "interrupt": MOMENTS,
    "state-locked": ("commit before",),
    "state-away": ("commit before",),
    "state-full": ("commit before",),
    "state-gone": ("commit before",),
    "machine-down": OUTSIDE,
    "machine-reboot": OUTSIDE,
    "pool-taken": OUTSIDE,
    "path-offline": OUTSIDE,
}
"""What strikes at a numbered moment of the program, and the moments that it may be."""

FAULTS = (
    "cut-unsent",
    "cut-before",
    "cut-after",
    "cut-question",
    "lie-done",
    "lie-failed",
    "lie-garbled",
    "slow-done",
    "slow-undone",
)
"""What is wrong with the n-th command that a machine is sent."""

OTHERS = ("rival", "clock", "abandon")
KINDS = (*STRIKES, *FAULTS, *OTHERS)
"""Every kind of fault that the campaign knows.

Nobody abandons on a host's own LVM: what its group has gained by then is free on purpose for who
comes later, and stays free.
"""

HOUR = 3600
APART = (-1800, -120, 120, 1800)
"""Seconds by which the clocks of a second program's machine may be ahead of all others."""
SECOND_HOST = "two-hosts"


@dataclass(frozen=True)
class Blow:
    """One fault: its kind, the moment's name, its number and its machine, both yet to be wrapped.

    `number` is counted from 0 and wrapped by how many such moments an undisturbed run has.
    """

    kind: str
    moment: str = ""
    number: int = 0
    machine: int = 0


@dataclass(frozen=True)
class Round:
    """One program's run: what it does, what befalls it, and who else is there.

    `clock` are the seconds by which time jumps before it; with `thaw`, who was frozen in an
    earlier round goes on after it. With `apart`, the rival is on another machine, whose clocks are
    so many seconds ahead.
    """

    work: str
    strike: Blow | None = None
    fault: Blow | None = None
    rival: bool = False
    clock: int = 0
    thaw: bool = False
    apart: int = 0


@dataclass(frozen=True)
class Case:
    """Everything that a seed decides; `last` is the command that has to reach the goal."""

    seed: int
    site: str
    size: str
    rounds: tuple[Round, ...]
    last: str


def case(seed: int, kinds: Sequence[str] = KINDS) -> Case:
    """The case of a seed, the same for ever; `kinds` narrows down what the first blow may be."""
    dice = random.Random(seed)
    site = _site(dice)
    later = [kind for kind in KINDS if kind != "abandon" or "-lvm" not in site]
    rounds = [_round(dice, kinds, first=True)]
    rounds += [_round(dice, later, first=False) for _ in range(dice.randrange(4))]
    if site.endswith("-swap"):
        rounds = [_not_with_swapoff_in_hand(one) for one in rounds]
    rounds = _with_rivals_elsewhere(seed, rounds)
    return Case(
        seed=seed,
        site=site,
        size=f"{dice.randrange(11, 60)}G",
        rounds=tuple(rounds),
        last=dice.choice(("resume", "resume", "extend")),
    )


def _site(dice: random.Random) -> str:
    if dice.random() < 0.4:
        return dice.choice((*ATTACHED, "mounted-once"))
    kinds = dice.choice(MATRIX)
    second = kinds[0] != "multipath" and dice.random() < 0.2
    return "-".join(("tower", *((SECOND_HOST,) if second else ()), *kinds))


def _round(dice: random.Random, kinds: Sequence[str], *, first: bool) -> Round:
    """One blow of a kind, often a second of another."""
    kind = dice.choice(kinds)
    more = dice.choice((*STRIKES, *FAULTS)) if dice.random() < 0.3 else kind
    strikes = [one for one in (kind, more) if one in STRIKES]
    faults = [one for one in (kind, more) if one in FAULTS]
    work = "extend" if first else dice.choice(("resume", "resume", "extend"))
    return Round(
        work="abandon" if kind == "abandon" and not first else work,
        strike=_strike(dice, strikes[0]) if strikes else None,
        fault=_fault(dice, faults[0]) if faults else None,
        rival=kind == "rival" or dice.random() < 0.1,
        clock=dice.choice((-HOUR, HOUR)) if kind == "clock" else 0,
        thaw=dice.random() < 0.5,
    )


def _not_with_swapoff_in_hand(one: Round) -> Round:
    """Who is frozen there and taken over switches off what the other has switched on.

    No lock reaches that far; it is one of the limits that the page of reliability tells.
    """
    if one.strike is None or one.strike.kind != "freeze":
        return one
    return replace(one, strike=replace(one.strike, moment="event"))


def _with_rivals_elsewhere(seed: int, rounds: Sequence[Round]) -> list[Round]:
    """Every second rival is on another machine; dice of their own leave each case as it was."""
    dice = random.Random(f"elsewhere {seed}")
    return [
        replace(one, apart=dice.choice(APART)) if one.rival and dice.random() < 0.5 else one
        for one in rounds
    ]


def _strike(dice: random.Random, kind: str) -> Blow:
    moment = dice.choice(STRIKES[kind])
    return Blow(kind, moment=moment, number=dice.randrange(60), machine=dice.randrange(4))


def _fault(dice: random.Random, kind: str) -> Blow:
    return Blow(kind, number=dice.randrange(60), machine=dice.randrange(4))


def making(name: str) -> Make:
    """How the site of that name is made."""
    if name == "mounted-once":
        return mounted_once
    if not name.startswith("tower-"):
        return ATTACHED[name]
    kinds = name.removeprefix("tower-")
    if not kinds.startswith(SECOND_HOST):
        return lambda path: tower(*kinds.split("-"), path=path)
    return lambda path: _seen_by_two(kinds.removeprefix(f"{SECOND_HOST}-").split("-"), path)


def _seen_by_two(kinds: Sequence[str], path: Path | None) -> Site:
    """A tower on web1 whose disk web2 sees as well, and uses nothing of."""
    one = tower(*kinds, path=path)
    with one.world.change() as state:
        build.machine(state, "web2")
        build.disk(state, "web2", f"silo/{next(iter(state.machines['silo'].stores))}")
    return Tower(one.world, one.backend, one.source, ("web1", "web2"))
