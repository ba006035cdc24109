"""What is known before the first deed: the wish, each host's part, and the whole foretold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from extendctl.errors import ExtendctlError, Fault, Unreachable
from extendctl.journal import Trail, skipped
from extendctl.model import Attachment, GrowOptions, LayerReport, Volume
from extendctl.policy import Decision
from extendctl.records import Asked
from extendctl.size import Size
from extendctl.stack import DEVICES, Stack, Trunk


@dataclass(frozen=True)
class Wish:
    """What was asked for. `floors` are targets that an earlier operation has promised."""

    goal: Size
    options: GrowOptions = field(default_factory=GrowOptions)
    relative: bool = False
    allow_lagging: bool = False
    confirmed: bool = False
    governed: bool = True  # False for taking up again what was allowed before
    reason: str | None = None
    floors: Mapping[str, Size] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """One attachment's part: its stack with the forecast, or why there is none."""

    attachment: Attachment
    stack: Stack | None = None
    trail: Trail = field(default_factory=Trail)
    error: ExtendctlError | None = None

    @property
    def unreachable(self) -> bool:
        """True when nothing is known because the host did not answer."""
        error = self.error or self.trail.error
        return isinstance(error, Unreachable)

    def measured(self, trunk: Size | None) -> Size | None:
        """Bytes of the uppermost device as it is; the trunk's where the host has no other."""
        if self.stack is None:
            return None
        found = [line.before for line in self.trail.lines if line.kind in DEVICES]
        return found[-1] if found else trunk

    def lines(self) -> list[LayerReport]:
        """The branch's lines, with those of what is left alone."""
        return [*self.trail.lines, *skipped(self.stack.skipped if self.stack else ())]


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first deed, sizes in bytes.

    `rounded` is what was asked for, in whole extents; `goal` is that or what is there already;
    `floors` are those of the wish that hold.
    """

    volume: Volume
    wish: Wish
    before: Size
    rounded: Size
    goal: Size
    trunk: Trunk
    trail: Trail
    branches: tuple[Branch, ...]
    decision: Decision
    needed: Size
    seen: datetime
    floors: Mapping[str, Size] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def idle(self) -> bool:
        """True when every layer on every host is full already."""
        return not self.trail.behind and not any(
            branch.trail.behind or branch.unreachable for branch in self.branches
        )

    @property
    def targets(self) -> dict[str, Size]:
        """Each layer's absolute size when the plan has been carried out, by key."""
        targets = dict(self.floors) | self.trail.targets
        for branch in self.branches:
            targets |= branch.trail.targets
        return targets

    def lines(self) -> list[LayerReport]:
        """All lines, the trunk's first."""
        return [*self.trail.lines, *(line for one in self.branches for line in one.lines())]

    def given(self) -> tuple[str, ...]:
        """The options that mattered for this call alone."""
        said = {"--yes": self.wish.confirmed, "--allow-lagging": self.wish.allow_lagging}
        return tuple(name for name, was in said.items() if was and self.wish.governed)

    def asked(self) -> Asked:
        """Why it is done, and who allowed it, for the record."""
        decision = self.decision.reasons if self.wish.governed else ()
        return Asked(self.wish.reason, decision, self.given())

    def options(self) -> dict[str, Any]:
        """What `resume` has to know of the wish."""
        options = self.wish.options
        return {
            "no_filesystem": options.no_filesystem,
            "grow_lv": options.grow_lv,
            "fill": options.fill,
            "offline": options.offline,
        }
