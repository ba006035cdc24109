"""Layers made of nothing but numbers, to try the walk of a stack without any machine."""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field

from extendctl.errors import ExtendctlError, Fault
from extendctl.size import Size
from extendctl.stack import Obstacle, ToolFailed

Sizes = MutableMapping[str, Size]


@dataclass(frozen=True)
class Toy:
    """A layer whose size stands in a dict that all layers of its stack share.

    It rounds its room down to `unit`, less `offset`; `reach` is the most it gets to whatever it
    is asked for, it `complains` by a bad exit status, and it `raises` in place of growing.
    """

    name: str
    sizes: Sizes = field(compare=False, repr=False)
    unit: Size = 1
    offset: Size = 0
    slack: Size = 0
    reach: Size | None = None
    complains: bool = False
    raises: ExtendctlError | None = None
    asked: list[Size] = field(default_factory=list, compare=False, repr=False)
    hindrance: str = ""

    kind = "toy"
    host = "nowhere"

    @property
    def key(self) -> str:
        return f"toy/{self.name}"

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        return [Fault("obstacle", self.hindrance)] if self.hindrance else []

    def measure(self) -> Size:
        return self.sizes[self.name]

    def room(self, below: Size) -> Size:
        return (below - self.offset) // self.unit * self.unit

    def grow(self, to: Size) -> None:
        self.asked.append(to)
        if self.raises is not None:
            raise self.raises
        goal = to if self.reach is None else min(to, self.reach)
        self.sizes[self.name] = max(self.sizes[self.name], goal)
        if self.complains:
            raise ToolFailed(f"{self.name} exited with 5: matches existing size")


@dataclass(frozen=True)
class Bottom(Toy):
    """The lowest layer: it rounds up."""

    kind = "bottom"

    def room(self, below: Size) -> Size:
        return -(-below // self.unit) * self.unit


def tower(sizes: Sizes) -> tuple[Toy, ...]:
    """A volume of extents of 10, a device, a mapping with a header of 3, a filesystem of 4s."""
    return (
        Bottom("lv", sizes, unit=10),
        Toy("disk", sizes),
        Toy("crypt", sizes, offset=3),
        Toy("fs", sizes, unit=4),
    )


def full(now: Size) -> Sizes:
    """The sizes of a tower in which each layer fills the one beneath."""
    return {"lv": now, "disk": now, "crypt": now - 3, "fs": (now - 3) // 4 * 4}
