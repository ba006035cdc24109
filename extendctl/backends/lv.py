"""A logical volume as the lowest layer, thick or thin."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import lvm_archive, names, phrasebook, questions
from extendctl.ability import hindrances
from extendctl.backends import Source, served
from extendctl.backends.served import Where
from extendctl.errors import Fault, Refused, not_found
from extendctl.host import Host
from extendctl.model import Identity, PoolUsage
from extendctl.readings import LogicalVolume, VolumeGroup
from extendctl.size import Size, human, round_up
from extendctl.stack import Obstacle

FULL = 100.0  # percent
_WITHIN = {"linear", "striped"}  # segment types that lie in their volume group with all their bytes
_COPIES = {"raid1", "mirror"}  # segment types that take their size once per leg
_GROWN = {"linear", "striped", "thin", *_COPIES}
_POOLS = {"thin-pool", "vdo-pool", "cache-pool"}
_SICK = {"F": "has failed", "M": "has read-only metadata"}  # lvs(8), lv_attr 9
_OWN = "tTdDeiIlp"  # lvs(8), lv_attr 1: pools, their data and metadata, legs, logs, pvmove


@dataclass(frozen=True)
class LvLayer:
    """A logical volume `group/volume`, known by its LVM UUID."""

    machine: Host
    group: str
    volume: str
    uuid: str

    kind = "lv"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.host}/lv/{self.uuid}"

    @property
    def host(self) -> str:
        return self.machine.name

    @property
    def name(self) -> str:
        return f"{self.group}/{self.volume}"

    def row(self) -> LogicalVolume:
        """What lvs says of it. Refused when it is gone, or another has taken its name."""
        row = look(self.machine, self.group, self.volume)
        if row.uuid != self.uuid:
            raise Refused((replaced(self.name, self.host, self.uuid, row.uuid),))
        if row.size > row.group.size and row.segtype in _WITHIN and row.attr[:1] == "-":
            message = f"is {row.size} bytes as lvs says, and its volume group {row.group.size}"
            raise Refused((self._no(message, f"look at `lvs` and `vgs` on {self.host}"),))
        return row

    def measure(self) -> Size:
        return self.row().size

    def room(self, below: Size) -> Size:
        return round_up(below, self.row().unit)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.extend_lv(self.group, self.volume, to))
        lvm_archive.look_again(self.machine, phrasebook.logical_volumes(self.group))

    def archive(self) -> str | None:
        return lvm_archive.coming(self.machine, self.group)

    def archived(self, expected: str) -> str | None:
        return lvm_archive.came(self.machine, expected)

    def pool(self) -> PoolUsage | None:
        self.machine.forget()
        row = self.row()
        return pool_usage(row, look(self.machine, self.group, row.pool)) if row.thin else None

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        row = self.row()
        rounded = round_up(to, row.unit)
        deed = phrasebook.extend_lv(self.group, self.volume, rounded)
        return [
            *hindrances(self.machine, deed),
            *group_obstacles(row.group, self.host),
            *self._state(row),
            *(self._thin(row) if row.thin else self._thick(row, rounded)),
        ]

    def _state(self, row: LogicalVolume) -> list[Obstacle]:
        found = []
        if row.thick_origin:
            found.append(self._no(
                "has a thick snapshot, and LVM resizes the origin of one only while it is inactive",
                "remove the snapshot, or use a thin volume, whose snapshots do not matter",
            ))  # fmt: skip
        if row.attr[4:5] in {"s", "S"}:
            found.append(self._no("is suspended", f"find out why; `dmsetup resume` on {self.host}"))
        if row.attr[2:3].isupper():
            found.append(self._no("is locked: pvmove is at work on it", "wait for its end"))
        if row.segtype not in _GROWN:
            found.append(self._no(f"is of the type {row.segtype}, which is not grown here", ""))
        return found

    def _thick(self, row: LogicalVolume, to: Size) -> list[Obstacle]:
        needed = (to - row.size) * copies(row)
        if needed <= row.group.free:
            return []
        return [Fault(
            "no-space",
            f"the volume group {self.group} on {self.host} has {human(row.group.free)} "
            f"({row.group.free} bytes) free and {human(needed)} ({needed} bytes) are needed",
            f"add a physical volume to {self.group}, or choose a smaller size",
            self.host,
        )]  # fmt: skip

    def _thin(self, row: LogicalVolume) -> list[Obstacle]:
        pool = look(self.machine, self.group, row.pool)
        name = f"the thin pool {self.group}/{row.pool} on {self.host}"
        found = []
        if pool.attr[8:9] in _SICK:
            words = f"{name} {_SICK[pool.attr[8:9]]}"
            found.append(Fault("obstacle", words, "repair it: lvmthin(7)", self.host))
        for what, percent in (("data", pool.data_percent), ("metadata", pool.metadata_percent)):
            if percent is not None and percent >= FULL:
                found.append(Fault(
                    "no-space",
                    f"{name} is full: {what} {percent:g}%",
                    f"grow the pool first: lvextend {self.group}/{row.pool}",
                    self.host,
                ))  # fmt: skip
        return found

    def _no(self, message: str, hint: str) -> Obstacle:
        return Fault("obstacle", f"{self.name} on {self.host} {message}", hint, self.host)


def copies(row: LogicalVolume) -> int:
    """How often a byte of it takes space in its volume group."""
    return row.stripes if row.segtype in _COPIES else 1


def listed(machine: Host, group: str, pool: str | None) -> list[tuple[Source, Where]]:
    """The logical volumes of a group, or of a thin pool; none that LVM keeps for itself."""
    facts = machine.ask(questions.facts())
    blocks = {one.dm_uuid: one for one in facts.blocks.values()}
    found = []
    for row in machine.ask(phrasebook.logical_volumes(group)).values():
        own = row.hidden or row.segtype in _POOLS or row.attr[:1] in _OWN
        if own or pool not in {None, row.pool}:
            continue
        block = blocks.get(row.dm_uuid)
        known = Identity("dm-uuid", row.dm_uuid)
        closed, faults = row.attr[5:6] != "o", _unfit(row, machine.name)
        source = Source(row.name, f"lv:{row.uuid}", row.size, known, closed, faults)
        used = block is not None and facts.in_use(block)
        found.append((source, Where(*served.spot(row, block), used)))
    return found


def _unfit(row: LogicalVolume, host: str) -> tuple[Fault, ...]:
    """Why a logical volume is not one that could be grown for somebody."""
    why = []
    if row.attr[:1] in {"s", "S"}:
        why.append(("is a thick snapshot of another volume", ""))
    elif row.segtype not in _GROWN:
        why.append((f"is of the type {row.segtype}, which is not grown here", ""))
    if row.attr[9:10] == "k":
        hint = f"`lvchange --setactivationskip n {row.group.name}/{row.name}` makes it a volume"
        why.append(("is left out of activation, as LVM does with thin snapshots", hint))
    name = f"{row.group.name}/{row.name} on {host}"
    return tuple(Fault("obstacle", f"{name} {words}", hint, host) for words, hint in why)


def look(machine: Host, group: str, volume: str) -> LogicalVolume:
    """A logical volume's row. Refused (`not-found`) when there is none of that name."""
    row = machine.ask(phrasebook.logical_volumes(group)).get(volume)
    if row is None:
        raise not_found(
            f"there is no logical volume {group}/{volume} on {machine.name}",
            f"`lvs {group}` on {machine.name} lists what there is",
        )
    return row


def layer(machine: Host, group: str, source: str, identity: str | None) -> LvLayer:
    """The layer of a source, checked against the identity that the state has for it."""
    volume = names.lvm(source.removeprefix(f"{group}/"), "logical volume")
    row = look(machine, group, volume)
    if identity is not None and identity != f"lv:{row.uuid}":
        raise Refused((
            replaced(f"{group}/{volume}", machine.name, identity.removeprefix("lv:"), row.uuid),
        ))  # fmt: skip
    return LvLayer(machine, group, volume, row.uuid)


def replaced(name: str, host: str, known: str, found: str) -> Fault:
    """The refusal of a logical volume that only has the name of the one that was taken in."""
    return Fault(
        "obstacle",
        f"{name} on {host} is not the logical volume that was taken in: "
        f"its UUID is {found}, it was {known}",
        "find out who re-created it; to manage the new one, remove the volume and import it again",
        host,
    )


def group_obstacles(group: VolumeGroup, host: str) -> list[Obstacle]:
    """What in a volume group stands against any change of it (vgs(8), vg_attr)."""
    said = {
        0: ("r", "is read-only"),
        2: ("x", "is exported"),
        3: ("p", "is partial: a physical volume is missing"),
        5: ("c", "is clustered, which needs a lock manager that is not asked here"),
    }
    found = [
        Fault("obstacle", f"the volume group {group.name} on {host} {words}", "", host)
        for place, (letter, words) in said.items()
        if group.attr[place : place + 1] == letter
    ]
    if group.attr[5:6] == "s":
        message = f"the volume group {group.name} on {host} is shared by lvmlockd"
        found.append(Fault("obstacle", message, "extend it with the cluster's own tools", host))
    if group.attr[1:2] == "-":
        message = f"the volume group {group.name} on {host} may not be resized (vgchange -x y)"
        found.append(Fault("obstacle", message, "", host))
    return found


def usage(machine: Host, group: str, pool: str | None = None) -> PoolUsage:
    """A volume group's space, or that of one thin pool in it."""
    if pool is not None:
        row = look(machine, group, pool)
        used = row.data_percent or 0.0
        return PoolUsage(
            key=row.group.uuid,
            size=row.size,
            free=int(row.size * (FULL - used) / FULL),
            unit=row.group.extent,
            data_percent=row.data_percent,
            metadata_percent=row.metadata_percent,
        )
    found = machine.ask(phrasebook.volume_group(group)).get(group)
    if found is None:
        raise not_found(f"there is no volume group {group} on {machine.name}")
    return PoolUsage(found.uuid, found.size, found.free, found.extent)


def pool_usage(row: LogicalVolume, pool: LogicalVolume | None) -> PoolUsage:
    """The pool that a logical volume takes its space from, from rows already read."""
    if pool is None:
        return PoolUsage(row.group.uuid, row.group.size, row.group.free, row.unit)
    return PoolUsage(
        key=row.group.uuid,
        size=pool.size,
        free=int(pool.size * (FULL - (pool.data_percent or 0.0)) / FULL),
        unit=row.unit,
        data_percent=pool.data_percent,
        metadata_percent=pool.metadata_percent,
    )
