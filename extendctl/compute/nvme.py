"""An NVMe namespace on a host, native multipath or not: as small as its smallest path."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.compute.site import OnHost, Site
from extendctl.errors import Refused
from extendctl.probe import Block
from extendctl.size import Size
from extendctl.stack import Obstacle, ToolFailed

_TRIES = 20  # looks at what a rescan has found; the kernel scans after it has answered
_PAUSE = 0.5  # seconds between them


@dataclass(frozen=True)
class NvmeLayer(OnHost):
    """All devices `nvmeXnY` under which a host sees one namespace, and each controller's path.

    `paths` are directories below /sys/class/nvme: `nvme0/nvme0c0n1` with native multipath, where
    they are no devices that could be opened, else `nvme0/nvme0n1`.
    """

    wwid: str
    devices: tuple[str, ...]
    paths: tuple[str, ...]

    kind = "nvme"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/nvme"

    @property
    def name(self) -> str:
        return ",".join(self.devices)

    def sizes(self) -> dict[str, Size]:
        """Bytes by directory, WWIDs verified. Raises Refused when a name has passed to another."""
        places = [f"/sys/block/{name}" for name in self.devices]
        places += [f"/sys/class/nvme/{path}" for path in self.paths]
        files = [f"{place}/{file}" for place in places for file in ("wwid", "size")]
        answers = self.machine.ask(questions.sysfs(*files))
        for place, wwid in zip(places, answers[::2], strict=True):
            if wwid != self.wwid:
                message = f"{place} on {self.host} is no longer {self.wwid} but {wwid}"
                hint = "its name has passed to another namespace; run the command again"
                raise Refused((self.no(message, hint),))
        return dict(zip(places, (int(size) for size in answers[1::2]), strict=True))

    def measure(self) -> Size:
        return min(self.sizes().values())

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        """Let each controller whose path lags identify the namespace again, and wait for it."""
        sizes = self.sizes()
        lagging = [one for one in self.paths if sizes[f"/sys/class/nvme/{one}"] < to]
        complaint: ToolFailed | None = None
        for path in lagging or self.paths:
            try:
                self.machine.do(phrasebook.rescan_controller(path.partition("/")[0]))
            except ToolFailed as failure:  # the other controllers are not to blame
                complaint = failure
        for _ in range(_TRIES):
            if self.measure() >= to:
                return
            time.sleep(_PAUSE)
            self.machine.forget()
        if complaint is not None:
            raise complaint

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        every = self.machine.ask(questions.facts()).controllers
        mine = {path.partition("/")[0] for path in self.paths}
        systems = {one.nqn for one in every if one.name in mine}
        found = self.hindered(phrasebook.rescan_controller("nvme0"))
        if not self.paths:
            message = f"{self.name} on {self.host} has no controller"
            found.append(self.no(message, "connect it again: nvme connect"))
        found += [
            self.no(
                f"the controller {one.name} of {self.name} on {self.host} is {one.state}, not live",
                "bring it back first: nvme list-subsys",
            )
            for one in every
            if one.nqn in systems and one.state != "live"
        ]
        return found


def layer(site: Site, blocks: Sequence[Block]) -> NvmeLayer:
    """The layer of a namespace that a host sees under these devices."""
    wwid = site.identity.value
    paths = (f"{one.name}/{one.paths[wwid]}" for one in site.facts.controllers if wwid in one.paths)
    names = tuple(sorted(one.name for one in blocks))
    return NvmeLayer(site.machine, site.anchor, wwid, names, tuple(sorted(paths)))
