"""What stands in the stack and cannot follow, for a reason that is known from the beginning."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import questions
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.probe import Block
from extendctl.size import Size
from extendctl.stack import Obstacle


@dataclass(frozen=True)
class StuckLayer(OnHost):
    """A device that keeps its size.

    It is full as long as what it stands on does not grow, so that looking at it is no complaint.
    """

    what: str
    kind: str
    name: str
    block: Block
    beneath: Block
    message: str
    hint: str = ""

    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/{self.kind}/{self.what}"

    def measure(self) -> Size:
        node = f"/sys/class/block/{self.block.name}"
        dev, size = self.machine.ask(questions.sysfs(f"{node}/dev", f"{node}/size"))
        if dev != self.block.dev:
            raise Refused((self.no(f"{self.name} on {self.host} has become another device"),))
        return int(size)

    def room(self, below: Size) -> Size:
        return self.measure() + max(0, below - self.beneath.size)

    def grow(self, to: Size) -> None:
        raise Refused(tuple(self.obstacles(to)))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        return [self.no(self.message, self.hint)]
