"""LVM on the volume: the physical volume, and the one logical volume that takes its gain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook
from extendctl.block_readings import PhysicalVolume, Placed
from extendctl.compute.site import OnHost, Site
from extendctl.errors import Refused
from extendctl.probe import Block
from extendctl.size import Size, human, round_down
from extendctl.stack import Layer, Obstacle, Skipped

_GROWN = frozenset({"linear", "striped"})


@dataclass(frozen=True)
class PvLayer(OnHost):
    """A physical volume, known by its LVM UUID."""

    device: str
    uuid: str

    kind = "pv"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/pv/{self.uuid}"

    @property
    def name(self) -> str:
        return self.device

    def row(self) -> PhysicalVolume:
        """What pvs says of it. Refused when another has taken its place."""
        row = physical_volume(self.machine.ask(phrasebook.physical_volumes()), self.device)
        if row is None or row.uuid != self.uuid:
            message = f"{self.device} on {self.host} is no longer the physical volume {self.uuid}"
            raise Refused((self.no(message, "run the command again"),))
        return row

    def measure(self) -> Size:
        return self.row().size

    def room(self, below: Size) -> Size:
        return self.row().reachable(below)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.resize_pv(self.device))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = self.hindered(phrasebook.resize_pv(self.device))
        row = self.row()
        flaws = {2: ("x", "exported"), 3: ("p", "partial: a physical volume is missing")}
        flaws |= {0: ("r", "read-only")}
        for place, (letter, words) in flaws.items():
            if row.group_attr[place : place + 1] == letter:
                message = f"the volume group {row.group} on {self.host} is {words}"
                found.append(self.no(message, "mend it first"))
        if row.group_attr[5:6] in {"c", "s"}:
            message = f"the volume group {row.group} on {self.host} is shared between hosts"
            found.append(self.no(message, "extend it with the cluster's own tools"))
        return found


@dataclass(frozen=True)
class GuestLvLayer(OnHost):
    """A logical volume in the host's volume group.

    It grows by what its physical volume gains, so that space left free on purpose stays free; with
    `fill` it takes all that is free.
    """

    group: str
    volume: str
    uuid: str
    pv: PvLayer
    fill: bool

    kind = "guest-lv"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/guest-lv/{self.uuid}"

    @property
    def name(self) -> str:
        return f"{self.group}/{self.volume}"

    def row(self) -> Placed:
        """What lvs says of it. Refused when another has taken its name."""
        row = self.machine.ask(phrasebook.segments(self.group)).get(self.volume)
        if row is None or row.uuid != self.uuid:
            message = f"{self.name} on {self.host} is no longer the logical volume {self.uuid}"
            raise Refused((self.no(message, "run the command again"),))
        return row

    def measure(self) -> Size:
        return self.row().size

    def room(self, below: Size) -> Size:
        row, pv = self.row(), self.pv.row()
        gain = max(0, below - pv.size) + (pv.group_free if self.fill else 0)
        return row.size + round_down(gain, pv.extent * row.stripes)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.extend_lv(self.group, self.volume, to))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = self.hindered(phrasebook.extend_lv(self.group, self.volume, to))
        row = self.row()
        if row.attr[:1] in {"o", "O"}:
            message = f"{self.name} on {self.host} has a thick snapshot, and is active"
            found.append(self.no(message, "remove the snapshot first"))
        return found


def physical_volume(rows: dict[str, PhysicalVolume], path: str) -> PhysicalVolume | None:
    """The row of a device, which pvs names as it likes best."""
    return rows.get(path)


def on_device(site: Site, block: Block) -> Iterator[Layer | Skipped]:
    """The physical volume on a device and the logical volume that grows with it."""
    rows = site.machine.ask(phrasebook.physical_volumes())
    row = next((one for one in rows.values() if site.facts.by_path(one.name) == block), None)
    if row is None:
        yield site.skipped("pv", block.path, f"LVM does not know a volume on {block.path}")
        return
    pv = PvLayer(site.machine, site.anchor, row.name, row.uuid)
    yield pv
    if row.group:
        yield from _volume(site, pv, row)


def _volume(site: Site, pv: PvLayer, row: PhysicalVolume) -> Iterator[Layer | Skipped]:
    rows = site.machine.ask(phrasebook.segments(row.group)).values()
    on_it = [one for one in rows if row.name in one.devices]
    wanted = site.options.grow_lv
    chosen = [one for one in on_it if wanted in {None, f"{row.group}/{one.name}"}]
    if len(chosen) != 1:
        names = ", ".join(f"{row.group}/{one.name}" for one in on_it) or "none"
        why = f"its logical volumes are {names}: say which one grows with --grow-lv"
        free = f"{human(row.group_free)} are free in {row.group}"
        yield site.skipped("guest-lv", row.group, f"growth stops at {pv.device}: {why}; {free}")
        return
    volume = chosen[0]
    if volume.segtype not in _GROWN:
        reason = f"{volume.segtype} is not grown here; the space is free in {row.group}"
        yield site.skipped("guest-lv", f"{row.group}/{volume.name}", reason)
        return
    yield GuestLvLayer(
        site.machine, site.anchor, row.group, volume.name, volume.uuid, pv, site.options.fill
    )
