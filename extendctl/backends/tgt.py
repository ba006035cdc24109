"""The tgt daemon: a LUN that never follows its device, and has to be opened anew.

tgtd takes a size when it opens a device. One request that takes the LUN offline and names its
path again, `--params online=0,path=DEV`, opens it anew without dropping a session; what is written
meanwhile waits, so that hosts pause for a moment. `path=` alone is refused while it is online.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.ability import hindrances
from extendctl.backends import served
from extendctl.backends.served import Export, Served
from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import Identity
from extendctl.readings import LogicalVolume
from extendctl.size import Size, human
from extendctl.stack import Obstacle
from extendctl.tgt_readings import TgtLun, megabytes, probable

_TRIED = {"rdwr"}  # ways of storing that have been opened anew under writers


@dataclass(frozen=True)
class TgtLayer:
    """What tgtd serves from a block device.

    Its size is told in MB only. While that is what the device's own size would look like, the
    device's size is taken for it; growth that could not be told from none is an obstacle.
    """

    machine: Host
    iqn: str
    number: int
    path: str
    dev: str
    used: bool = False

    kind = "lun"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.host}/lun/{self.iqn},{self.number}"

    @property
    def host(self) -> str:
        return self.machine.name

    @property
    def name(self) -> str:
        return f"{self.iqn},lun{self.number}"

    @property
    def pauses(self) -> bool:
        """True when somebody is logged in, whose writes would wait."""
        return self.used

    def look(self) -> TgtLun:
        """The LUN as it is now. Refused when the target has another device under its number."""
        for one in self.machine.ask(phrasebook.tgt_targets()):
            if (one.iqn, one.number, one.path) == (self.iqn, self.number, self.path):
                return one
        message = f"{self.name} on {self.host} no longer serves {self.path}"
        raise Refused((self._no(message, "look who changed the target, then try again"),))

    def measure(self) -> Size:
        (answer,) = self.machine.ask(questions.sysfs(f"/sys/dev/block/{self.dev}/size"))
        size, shown = int(answer), self.look().megabytes
        return size if megabytes(size) == shown else probable(shown)

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        lun = self.look()
        self.machine.do(phrasebook.reopen_tgt(lun.target, lun.number, self.path))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        lun = self.look()
        found = hindrances(self.machine, phrasebook.reopen_tgt(1, lun.number, self.path))
        if not lun.online:
            hint = f"tgtadm --lld iscsi --mode logicalunit --op update --tid {lun.target} "
            hint += f"--lun {lun.number} --params online=1"
            found.append(self._no(f"{self.name} on {self.host} is offline", hint))
        if lun.locked:
            message = f"an initiator has forbidden to remove {self.name} on {self.host}"
            found.append(self._no(message, "tgtd cannot take it offline until that is lifted"))
        if lun.backing not in _TRIED:
            message = f"{self.name} on {self.host} is stored through {lun.backing}"
            found.append(self._no(message, "only rdwr is known to be opened anew without loss"))
        if megabytes(to) == lun.megabytes:
            message = f"tgtd shows {self.name} in MB, and {human(to)} ({to} bytes) would look "
            message += "as it does now: nobody could see that it has grown"
            found.append(self._no(message, "choose a size that is at least 1 MB larger"))
        return found

    def _no(self, message: str, hint: str) -> Obstacle:
        return Fault("obstacle", message, hint, self.host)


def serving(machine: Host, row: LogicalVolume) -> list[Served]:
    """What tgtd serves of a logical volume, known to hosts by target and number.

    The WWN will not do: `naa.6000...0e00000000010001` is target 1, LUN 1 of any server.
    """
    paths, dev = served.nodes(machine, row), served.device(machine, row)
    return [
        Served(
            one.place,
            TgtLayer(machine, one.iqn, one.number, one.path, dev, bool(one.initiators)),
            Identity("iqn", one.place),
        )
        for one in machine.ask(phrasebook.tgt_targets())
        if one.path in paths
    ]


def exports(machine: Host) -> list[Export]:
    """All LUNs of tgtd, known to hosts as in `serving`."""
    found = machine.ask(phrasebook.tgt_targets())
    return [Export(one.place, one.path, Identity("iqn", one.place)) for one in found]
