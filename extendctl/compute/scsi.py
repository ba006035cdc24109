"""The SCSI paths to a volume: one layer, as small as its smallest path."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.compute.site import OnHost
from extendctl.errors import NotVerified, Refused
from extendctl.size import Size, human
from extendctl.stack import Obstacle, ToolFailed


@dataclass(frozen=True)
class PathLayer(OnHost):
    """All devices `sdX` under which a host sees one WWN."""

    wwid: str
    devices: tuple[str, ...]

    kind = "path"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/path"

    @property
    def name(self) -> str:
        return ",".join(self.devices)

    def sizes(self) -> dict[str, Size]:
        """Each path's bytes, its WWN verified. Raises Refused when a name has passed to another."""
        files = [
            f"/sys/block/{device}/{file}"
            for device in self.devices
            for file in ("device/wwid", "size")
        ]
        answers = self.machine.ask(questions.sysfs(*files))
        for device, wwid in zip(self.devices, answers[::2], strict=True):
            if wwid.strip() != self.wwid:
                raise Refused((
                    self.no(
                        f"{device} on {self.host} is no longer {self.wwid} but {wwid.strip()}",
                        "its name has passed to another disk; run the command again",
                    ),
                ))  # fmt: skip
        sizes = (int(size) for size in answers[1::2])
        return dict(zip(self.devices, sizes, strict=True))

    def measure(self) -> Size:
        return min(self.sizes().values())

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        """Let the kernel ask again on each path that lags; LIO never tells by itself."""
        complaint: ToolFailed | None = None
        for device, size in self.sizes().items():
            if size < to:
                try:
                    self.machine.do(phrasebook.rescan_path(device))
                except ToolFailed as failure:  # the other paths are not to blame
                    complaint = failure
        if complaint is not None:
            raise complaint
        self._compare(to)

    def _compare(self, to: Size) -> None:
        """Raise NotVerified that names the paths which did not follow, where others did."""
        sizes = self.sizes()
        behind = [device for device, size in sizes.items() if size < to]
        if behind and len(behind) < len(sizes):
            raise NotVerified(
                f"of the paths {self.name} on {self.host} {', '.join(behind)} did not follow: "
                f"{human(min(sizes.values()))} where {human(to)} were expected, although the "
                "command succeeded",
                hint="look at its session: iscsiadm -m session -P 3; then resume",
                host=self.host,
            )

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        blocks = self.machine.ask(questions.facts()).blocks
        states = {device: blocks[device].state for device in self.devices if device in blocks}
        return [
            *self.hindered(phrasebook.rescan_path(self.devices[0])),
            *(
                self.no(
                    f"the path {device} on {self.host} is {state}, not running",
                    "bring the session back first: iscsiadm -m session -P 1",
                )
                for device, state in states.items()
                if state != "running"
            ),
        ]
