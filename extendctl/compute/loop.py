"""A loop device over a file of the volume."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.size import Size, round_down
from extendctl.stack import Obstacle


@dataclass(frozen=True)
class LoopLayer(OnHost):
    """`/dev/loopN`, which takes its file's size only when it is told to (losetup(8), -c)."""

    device: str
    file: str
    size_limit: Size = 0
    offset: Size = 0

    kind = "loop"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/loop"

    @property
    def name(self) -> str:
        return f"/dev/{self.device}"

    def measure(self) -> Size:
        block = f"/sys/block/{self.device}"
        file, size = self.machine.ask(
            questions.sysfs(f"{block}/loop/backing_file", f"{block}/size")
        )
        if file != self.file:
            message = f"{self.name} on {self.host} stands on {file} now, not on {self.file}"
            raise Refused((self.no(message, "run the command again"),))
        return int(size)

    def room(self, below: Size) -> Size:
        return round_down(below - self.offset, 512)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.refresh_loop(self.device))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = []
        if self.size_limit:
            found.append(
                self.no(
                    f"{self.name} on {self.host} has a fixed size (--sizelimit {self.size_limit})",
                    "set it up again without a limit; `losetup -c` would change nothing",
                )
            )
        return [*found, *self.hindered(phrasebook.refresh_loop(self.device))]
