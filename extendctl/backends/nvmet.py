"""The Linux kernel's NVMe target: a namespace as a layer.

The target reads its device's size anew whenever a host identifies the namespace
(drivers/nvme/target/admin-cmd.c, nvmet_ns_revalidate), so that there is nothing to do here. A host
that is told to rescan identifies it, and the target then tells all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import questions
from extendctl.backends import served
from extendctl.backends.served import Export, Served
from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import Identity
from extendctl.nvmet_probe import Namespace
from extendctl.readings import LogicalVolume
from extendctl.size import Size
from extendctl.stack import Obstacle

CONFIGFS = "/sys/kernel/config/nvmet/subsystems"


@dataclass(frozen=True)
class NamespaceLayer:
    """What an NVMe target serves from a block device. There is nothing to do but to look."""

    machine: Host
    nqn: str
    number: int
    path: str
    wwid: str
    dev: str
    enabled: bool = True

    kind = "lun"
    slack: Size = 0

    @classmethod
    def of(cls, machine: Host, one: Namespace, dev: str) -> "NamespaceLayer":
        """The layer of a namespace on the block device with this number."""
        return cls(machine, one.nqn, one.number, one.path, one.wwid, dev, one.enabled)

    @property
    def key(self) -> str:
        return f"{self.host}/lun/{self.wwid}"

    @property
    def host(self) -> str:
        return self.machine.name

    @property
    def name(self) -> str:
        return f"{self.nqn},ns{self.number}"

    def measure(self) -> Size:
        """The size of the device that the target serves, its path and names verified."""
        place = f"{CONFIGFS}/{self.nqn}/namespaces/{self.number}"
        path, uuid, nguid, size = self.machine.ask(
            questions.sysfs(
                f"{place}/device_path",
                f"{place}/device_uuid",
                f"{place}/device_nguid",
                f"/sys/dev/block/{self.dev}/size",
            )
        )
        now = Namespace(self.nqn, self.number, self.enabled, uuid, nguid, path)
        if (now.path, now.wwid) != (self.path, self.wwid):
            message = f"{self.name} on {self.host} is {now.wwid} on {now.path} now"
            raise Refused((Fault("obstacle", message, "look who re-created it", self.host),))
        return int(size)

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        """The target needs no word; the second look tells whether it followed."""

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        if self.enabled:
            return []
        message = f"the namespace {self.name} on {self.host} is not enabled"
        return [Fault("obstacle", message, f"echo 1 into its `enable` on {self.host}", self.host)]


def serving(machine: Host, row: LogicalVolume) -> list[Served]:
    """What the NVMe target serves of a logical volume."""
    paths, dev = served.nodes(machine, row), served.device(machine, row)
    return [
        Served(str(one), NamespaceLayer.of(machine, one, dev), Identity("wwn", one.wwid))
        for one in machine.ask(questions.namespaces())
        if one.path in paths
    ]


def exports(machine: Host) -> list[Export]:
    """All namespaces of the NVMe target."""
    found = machine.ask(questions.namespaces())
    return [Export(str(one), one.path, Identity("wwn", one.wwid)) for one in found]
