"""A LIO fileio backstore over a regular file: a LUN whose size is the target's own word.

Such a LUN does not follow its file. It is told its size live through configfs, and again by the
saved configuration at the next start: one that is saved too small comes back smaller than the
filesystem on it. So both count, and the smaller one is the size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.ability import hindrances
from extendctl.backends import lio
from extendctl.backends.served import Served
from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import Identity
from extendctl.size import Size
from extendctl.stack import Obstacle
from extendctl.target_probe import CONFIGFS, Backstore


@dataclass(frozen=True)
class FileioLayer:
    """What a target serves from a file."""

    machine: Host
    store: str
    serial: str
    place: str
    wwid: str
    enabled: bool = True

    kind = "lun"
    slack: Size = 0

    @classmethod
    def of(cls, machine: Host, store: Backstore) -> "FileioLayer":
        """The layer of a fileio backstore."""
        place = ", ".join(map(str, store.luns)) or store.name
        return cls(machine, store.id, store.serial, place, store.wwid, store.enabled)

    @property
    def key(self) -> str:
        return f"{self.host}/lun/{self.wwid}"

    @property
    def host(self) -> str:
        return self.machine.name

    @property
    def name(self) -> str:
        return self.place

    def live(self) -> Size:
        """The size that is served now. Refused when the backstore is another one by now."""
        store = f"{CONFIGFS}/core/{self.store}"
        serial, size = self.machine.ask(questions.backstore(store))
        if serial != self.serial:
            raise Refused((lio.another_serial(self.store, self.host),))
        return size

    def saved(self) -> Size | None:
        """The size that the next start of the target will give it, None when it is not saved."""
        return self.machine.ask(phrasebook.saved_sizes()).get(self.store.partition("/")[2])

    def measure(self) -> Size:
        live, saved = self.live(), self.saved()
        return live if saved is None else min(live, saved)

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        if self.live() < to:
            self.machine.do(phrasebook.resize_fileio(self.store, to))
        saved = self.saved()
        if saved is not None and saved < to:
            self.machine.do(phrasebook.save_target())

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = hindrances(self.machine, phrasebook.resize_fileio(self.store, to))
        found += hindrances(self.machine, phrasebook.save_target())
        if not self.enabled:
            message = f"the backstore {self.store} on {self.host} is not enabled"
            found.append(Fault("obstacle", message, "look at `targetcli ls` there", self.host))
        if self.saved() is None:
            message = f"the backstore {self.store} on {self.host} is not in the saved configuration"
            hint = f"`targetcli saveconfig` on {self.host}, or a restart loses it"
            found.append(Fault("obstacle", message, hint, self.host))
        return found


def serving(machine: Host, path: str) -> list[Served]:
    """The backstores over a regular file."""
    return [
        Served(store.id, FileioLayer.of(machine, store), Identity("wwn", store.wwid))
        for store in lio.over_file(machine, path)
    ]
