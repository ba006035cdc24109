"""The Linux kernel's target: a LUN as a layer, and how one is made.

LIO follows the block device beneath a backstore by itself and tells nobody: the served size is
that of the device it has open (target_core_iblock.c, iblock_get_blocks), hosts must rescan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from extendctl import names, phrasebook, questions
from extendctl.backends import served
from extendctl.backends.served import Export, Served
from extendctl.errors import BackendFailed, Fault, Refused
from extendctl.host import Deed, Host
from extendctl.model import Identity
from extendctl.readings import LogicalVolume
from extendctl.size import Size
from extendctl.stack import Obstacle
from extendctl.target_probe import CONFIGFS, Backstore, TargetFacts

IQN_PREFIX = "iqn.2003-01.org.linux-iscsi.extendctl"


@dataclass(frozen=True)
class LunLayer:
    """What a target serves from a block device. There is nothing to do but to look."""

    machine: Host
    store: str
    serial: str
    dev: str
    place: str
    wwid: str
    enabled: bool = True

    kind = "lun"
    slack: Size = 0

    @classmethod
    def of(cls, machine: Host, store: Backstore) -> "LunLayer":
        """The layer of a backstore on a block device."""
        place = ", ".join(map(str, store.luns)) or store.name
        return cls(
            machine, store.id, store.serial, store.dev or "", place, store.wwid, store.enabled
        )

    @property
    def key(self) -> str:
        return f"{self.host}/lun/{self.wwid}"

    @property
    def host(self) -> str:
        return self.machine.name

    @property
    def name(self) -> str:
        return self.place

    def measure(self) -> Size:
        """The size of the device that the target has open, its serial and device verified."""
        store = f"{CONFIGFS}/core/{self.store}"
        serial, size = self.machine.ask(
            questions.sysfs(f"{store}/wwn/vpd_unit_serial", f"/sys/dev/block/{self.dev}/size")
        )
        if serial.rpartition(":")[2].strip() != self.serial:
            raise Refused((another_serial(self.store, self.host),))
        return int(size)

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        """The target needs no word; the second look tells whether it followed."""

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        if self.enabled:
            return []
        message = f"the backstore {self.store} on {self.host} is not enabled"
        return [Fault("obstacle", message, "look at `targetcli ls` there", self.host)]


def another_serial(store: str, host: str) -> Fault:
    """The refusal of a backstore that only has the name of the one that was found."""
    message = f"the backstore {store} on {host} has another unit serial now"
    return Fault("obstacle", message, "look who re-created it", host)


def over_file(machine: Host, path: str) -> list[Backstore]:
    """The fileio backstores over a regular file."""
    stores = machine.ask(questions.target()).stores
    return [one for one in stores if one.plugin == "fileio" and one.udev_path == path]


def serving(machine: Host, row: LogicalVolume) -> list[Served]:
    """The backstores that have a logical volume open."""
    return [
        Served(store.id, LunLayer.of(machine, store), Identity("wwn", store.wwid))
        for store in backstores(machine, row)
    ]


def exports(machine: Host) -> list[Export]:
    """All that the target has open; a fileio backstore tells a path in place of a number."""
    return [
        Export(str(store.luns[0]) if store.luns else store.id, store.udev_path,
               Identity("wwn", store.wwid), store.dev)
        for store in machine.ask(questions.target()).stores
    ]  # fmt: skip


def backstores(machine: Host, row: LogicalVolume) -> list[Backstore]:
    """The backstores that have a logical volume open; by device number, or by path for fileio."""
    facts = machine.ask(questions.target())
    paths, dev = served.nodes(machine, row), served.device(machine, row)
    return [
        store if store.dev is not None else replace(store, dev=dev)
        for store in facts.stores
        if store.dev == dev or (store.plugin == "fileio" and store.udev_path in paths)
    ]


def export(machine: Host, backstore: Deed, initiators: Sequence[str]) -> None:
    """Make a backstore and serve it as LUN 0 of a target of its own, to these initiators only.

    Raises BackendFailed when the second look does not find it served.
    """
    facts = machine.ask(questions.target())
    plugin = backstore.argv[1].rpartition("/")[2]
    name = backstore.argv[3].removeprefix("name=")
    iqn = names.iqn(f"{IQN_PREFIX}:{name.lower().replace('_', '-').replace('+', '-')}")
    for initiator in initiators:
        names.iqn(initiator)
    machine.do(backstore)
    machine.do(phrasebook.create_target(iqn))
    _portals(machine, iqn, facts)
    machine.do(phrasebook.create_lun(iqn, name, plugin))
    for initiator in initiators:
        machine.do(phrasebook.create_acl(iqn, initiator))
    machine.do(phrasebook.save_target())
    stores = machine.ask(questions.target()).stores
    if iqn not in {lun.iqn for store in stores for lun in store.luns}:
        raise BackendFailed(f"{iqn} is not served on {machine.name}", host=machine.name)


def _portals(machine: Host, iqn: str, before: TargetFacts) -> None:
    """Listen where the other targets listen; a portal on all addresses would collide with them."""
    now = machine.ask(questions.target())
    if now.portals.get(f"{iqn}/tpgt_1"):
        return
    for portal in sorted({portal for portals in before.portals.values() for portal in portals}):
        address, _, port = portal.rpartition(":")
        machine.do(phrasebook.create_portal(iqn, address.strip("[]"), int(port)))
