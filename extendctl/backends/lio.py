"""The Linux kernel's target: a LUN as a layer, and how one is made.

LIO follows the block device beneath a backstore by itself and tells nobody: the served size is
that of the device it has open (target_core_iblock.c, iblock_get_blocks), hosts must rescan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from extendctl import names, phrasebook, questions
from extendctl.ability import hindrances
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


@dataclass(frozen=True)
class Offer:
    """A LUN as it is to be: LUN 0 of a target of its own, over a device or a file, for whom.

    `plugin` is targetcli's: `block` or `fileio`.
    """

    name: str
    plugin: str
    path: str
    initiators: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, plugin: str, path: str, initiators: Sequence[str]) -> "Offer":
        """The offer, its names looked at. Raises Usage."""
        names.lvm(name, "backstore")
        offer = cls(name, plugin, path, tuple(names.iqn(one) for one in initiators))
        names.iqn(offer.iqn)
        return offer

    @property
    def iqn(self) -> str:
        """The target."""
        return f"{IQN_PREFIX}:{self.name.lower().replace('_', '-').replace('+', '-')}"

    @property
    def group(self) -> str:
        """Its portal group."""
        return f"{self.iqn}/tpgt_1"

    @property
    def deed(self) -> Deed:
        """What makes the backstore."""
        if self.plugin == "block":
            return phrasebook.create_backstore(self.name, self.path)
        return phrasebook.create_fileio(self.name, self.path)

    def made(self, facts: TargetFacts) -> Backstore | None:
        """The backstore, when it is there as it is to be."""
        kind = {"block": "iblock"}.get(self.plugin, self.plugin)
        return next(
            (
                one
                for one in facts.stores
                if (one.plugin, one.name, one.udev_path) == (kind, self.name, self.path)
            ),
            None,
        )


def hindered(machine: Host, offer: Offer) -> list[Fault]:
    """Why an offer could not be made; what an earlier try has made of it is no reason."""
    facts = machine.ask(questions.target())
    mine, host = offer.made(facts), machine.name
    found = [*hindrances(machine, offer.deed), *hindrances(machine, phrasebook.save_target())]
    for one in facts.stores:
        if one == mine:
            continue
        if one.name == offer.name or one.udev_path == offer.path:
            message = f"there is a backstore {one.id} on {host} already, over {one.udev_path}"
            found.append(Fault("obstacle", message, "choose another name", host))
        if any(lun.iqn == offer.iqn for lun in one.luns):
            message = f"there is a target {offer.iqn} on {host} already, which serves {one.name}"
            found.append(Fault("obstacle", message, "choose another name", host))
    return found


def export(machine: Host, offer: Offer) -> None:
    """Make what is missing of an offer, and keep it over a restart.

    Raises BackendFailed when the second look does not find it served.
    """
    before = machine.ask(questions.target())
    mine = offer.made(before)
    if mine is None:
        machine.do(offer.deed)
    if offer.group not in before.groups:
        machine.do(phrasebook.create_target(offer.iqn))
    _portals(machine, offer, before)
    if mine is None or offer.iqn not in {lun.iqn for lun in mine.luns}:
        machine.do(phrasebook.create_lun(offer.iqn, offer.name, offer.plugin))
    for initiator in offer.initiators:
        if initiator not in before.acls.get(offer.group, ()):
            machine.do(phrasebook.create_acl(offer.iqn, initiator))
    machine.do(phrasebook.save_target())
    store = offer.made(machine.ask(questions.target()))
    if store is None or offer.iqn not in {lun.iqn for lun in store.luns}:
        raise BackendFailed(f"{offer.iqn} is not served on {machine.name}", host=machine.name)


def _portals(machine: Host, offer: Offer, before: TargetFacts) -> None:
    """Listen where the other targets listen; a portal on all addresses would collide with them."""
    now = machine.ask(questions.target()).portals.get(offer.group, ())
    if any(portal.startswith(("0.0.0.0:", "[::0]:", "[::]:")) for portal in now):
        return
    others = {
        portal
        for group, portals in before.portals.items()
        if group != offer.group
        for portal in portals
    }
    for portal in sorted(others - set(now)):
        address, _, port = portal.rpartition(":")
        machine.do(phrasebook.create_portal(offer.iqn, address.strip("[]"), int(port)))
