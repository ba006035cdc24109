"""LVM on the volume: the physical volume, and the one logical volume that takes its gain."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from extendctl import lvm_archive, phrasebook, questions
from extendctl.block_readings import PhysicalVolume, Placed
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.host import Question
from extendctl.probe import Block
from extendctl.size import Size, round_down
from extendctl.stack import Obstacle, Skipped

_GROWN = frozenset({"linear", "striped"})
_FLAWS = (  # vgs(8), vg_attr
    (0, "r", "is read-only", "make it writable first"),
    (1, "-", "may not be resized", "allow it: vgchange --resizeable y"),
    (2, "x", "is exported", "import it first: vgimport"),
    (3, "p", "is partial: a physical volume is missing", "mend it first"),
    (5, "c", "is shared between hosts", "extend it with the cluster's own tools"),
    (5, "s", "is shared between hosts", "extend it with the cluster's own tools"),
)


@dataclass(frozen=True)
class PvLayer(OnHost):
    """A physical volume, known by its device and the UUID of its volume group.

    `uuid` is its own, where it is in no group.
    """

    device: str
    dev: str
    group_uuid: str
    uuid: str = ""

    kind = "pv"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/pv/{self.group_uuid or self.uuid}"

    @property
    def name(self) -> str:
        return self.device

    def row(self) -> PhysicalVolume:
        """What pvs says of it. Refused when another has taken its place."""
        row = self.rows().get(self.dev)
        known = self.group_uuid or self.uuid
        if row is None or known not in {row.group_uuid, row.uuid}:
            message = f"{self.device} on {self.host} is no longer the physical volume that it was"
            raise Refused((self.no(message, "run the command again"),))
        return row

    def rows(self) -> dict[str, PhysicalVolume]:
        """All physical volumes of the machine, by device number."""
        return self.machine.ask(phrasebook.physical_volumes())

    def measure(self) -> Size:
        return self.row().size

    def room(self, below: Size) -> Size:
        return self.row().reachable(below)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.resize_pv(self.device))
        lvm_archive.look_again(self.machine, phrasebook.physical_volumes())

    def archive(self) -> str | None:
        group = self.row().group
        return lvm_archive.coming(self.machine, group) if group else None

    def archived(self, expected: str) -> str | None:
        return lvm_archive.came(self.machine, expected)

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        return [*self.hindered(phrasebook.resize_pv(self.device)), *self.flaws()]

    def flaws(self) -> Iterator[Obstacle]:
        """What stands against any change of its volume group, whose metadata are on its device."""
        yield from self.protected(self.dev)
        row = self.row()
        for place, letter, words, hint in _FLAWS:
            if row.group_attr[place : place + 1] == letter:
                yield self.no(f"the volume group {row.group} on {self.host} {words}", hint)


@dataclass(frozen=True)
class GuestLvLayer(OnHost):
    """A logical volume in the host's volume group.

    It grows by what its physical volume gains, so that space left free on purpose stays free; with
    `fill` it takes all that is free. `chosen` means that somebody named it, and so others may
    stand on the physical volume beside it. `block` is its mapping, where it is active.
    """

    group: str
    volume: str
    uuid: str
    pv: PvLayer
    fill: bool
    chosen: bool
    block: Block | None = None

    kind = "guest-lv"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/guest-lv/{self.uuid}"

    @property
    def name(self) -> str:
        return f"{self.group}/{self.volume}"

    def rows(self) -> dict[str, Placed]:
        """All logical volumes of the group."""
        return self.machine.ask(phrasebook.segments(self.group))

    def row(self) -> Placed:
        """What lvs says of it. Refused when another has taken its name."""
        row = self.rows().get(self.volume)
        if row is None or row.uuid != self.uuid:
            message = f"{self.name} on {self.host} is no longer the logical volume {self.uuid}"
            raise Refused((self.no(message, "run the command again"),))
        return row

    def measure(self) -> Size:
        """What both LVM's metadata and the kernel give it: another host may have changed those."""
        if self.block is None:
            return self.row().size
        self.machine.ask_all([phrasebook.segments(self.group), self._kernel(self.block)])
        return min(self.row().size, self._mapped(self.block))

    def _mapped(self, block: Block) -> Size:
        uuid, size = self.machine.ask(self._kernel(block))
        if uuid != block.dm_uuid:
            message = f"{block.name} on {self.host} is no longer the logical volume {self.name}"
            raise Refused((self.no(message, "run the command again"),))
        return int(size)

    def _kernel(self, block: Block) -> Question[tuple[str, ...]]:
        return questions.sysfs(f"/sys/block/{block.name}/dm/uuid", f"/sys/block/{block.name}/size")

    def room(self, below: Size) -> Size:
        row, pv = self.row(), self.pv.row()
        gain = max(0, below - pv.size)
        wanted = gain + (pv.group_free if self.fill else 0)
        if row.stripes > 1:
            wanted = min(wanted, row.stripes * self._each(row.stripes, pv, gain))
        return row.size + round_down(wanted, pv.extent * row.stripes)

    def _each(self, stripes: int, pv: PhysicalVolume, gain: Size) -> Size:
        """What every stripe can take: each needs a physical volume of its own."""
        mates = (one for one in self.pv.rows().values() if one.group_uuid == pv.group_uuid)
        free = sorted((one.free + (gain if one == pv else 0) for one in mates), reverse=True)
        return round_down(free[stripes - 1], pv.extent) if len(free) >= stripes else 0

    def grow(self, to: Size) -> None:
        """Let LVM extend it; where only the kernel lags, let that take over what LVM has."""
        if self.row().size < to:
            self.machine.do(phrasebook.extend_lv(self.group, self.volume, to))
        else:
            self.machine.do(phrasebook.refresh_lv(self.group, self.volume))
        kernel = () if self.block is None else (self._kernel(self.block),)
        lvm_archive.look_again(self.machine, phrasebook.segments(self.group), *kernel)

    def archive(self) -> str | None:
        return lvm_archive.coming(self.machine, self.group)

    def archived(self, expected: str) -> str | None:
        return lvm_archive.came(self.machine, expected)

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        row, pv = self.row(), self.pv.row()
        extends = phrasebook.extend_lv(self.group, self.volume, to)
        lags = row.size >= to
        found = self.hindered(phrasebook.refresh_lv(self.group, self.volume) if lags else extends)
        if pv.reachable(pv.device_size) <= pv.size:
            found += self.pv.flaws()  # it is full, and so nobody asks it
        return [*found, *self._own(row, pv)]

    def _own(self, row: Placed, pv: PhysicalVolume) -> Iterator[Obstacle]:
        if row.attr[:1] in {"o", "O"}:
            message = f"{self.name} on {self.host} has a thick snapshot, and is active"
            yield self.no(message, "remove the snapshot first")
        if row.attr[:1] in {"s", "S"}:
            hint = "it is as large as its origin; name that one, once the snapshot is removed"
            yield self.no(f"{self.name} on {self.host} is a snapshot", hint)
        if row.segtype not in _GROWN:
            hint = "name another with --grow-lv; without it the space stays free in the group"
            yield self.no(f"{self.name} on {self.host} is of the type {row.segtype}", hint)
        if row.attr[4:5] in {"s", "S"}:
            hint = f"find out why; `dmsetup resume` on {self.host}"
            yield self.no(f"{self.name} on {self.host} is suspended", hint)
        if row.attr[2:3].isupper():
            message = f"{self.name} on {self.host} is locked: pvmove is at work on it"
            yield self.no(message, "wait for its end")
        if pv.attr[:1] != "a":
            message = f"nothing may be allocated on the physical volume {pv.name} on {self.host}"
            yield self.no(message, f"allow it: pvchange --allocatable y {pv.name}")

    def ends(self) -> Skipped | None:
        """Nobody has said which grows of it and what was not seen at first: it is not active."""
        on_it = [] if self.chosen else _on(self.pv.row(), self.rows().values())
        names = sorted(f"{self.group}/{one.name}" for one in on_it)
        if len(names) < 2:
            return None
        return undecided(self.host, self.pv.device, self.group, names)


def undecided(host: str, device: str, group: str, names: Sequence[str]) -> Skipped:
    """The mark of a group with several logical volumes on a device, or none: which one grows?"""
    listed = ", ".join(names)
    why = f"on it are {listed}; --grow-lv says which one grows" if listed else "nothing is on it"
    reason = f"growth stops at {device}, and the space is free in {group}: {why}"
    return Skipped(host, "guest-lv", group, reason)


def _on(pv: PhysicalVolume, rows: Iterable[Placed]) -> list[Placed]:
    """The logical volumes that have extents on a physical volume, but for hidden parts."""
    return [one for one in rows if pv.name in one.devices and not one.hidden]
