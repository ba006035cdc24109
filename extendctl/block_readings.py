"""Read what the tools of a host's block layers print, from sfdisk to multipathd."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from extendctl import figures
from extendctl.errors import quoted
from extendctl.size import LARGEST, Size
from extendctl.transport import Result

PVS_COLUMNS = (
    "pv_name,pv_uuid,pv_major,pv_minor,pv_size,pv_free,pv_attr,dev_size,pe_start,pv_mda_count,"
    "pv_mda_size,vg_name,vg_uuid,vg_extent_size,vg_free,vg_attr"
)
PLACED_COLUMNS = "lv_name,lv_uuid,lv_size,lv_attr,segtype,stripes,pool_lv,devices"


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A row of pvs(8). Sizes in bytes; `group` is empty when it is in no volume group."""

    name: str
    uuid: str
    dev: str
    size: Size
    free: Size
    attr: str
    device_size: Size
    start: Size
    reserve: Size  # a second metadata area at its end
    group: str
    group_uuid: str
    extent: Size
    group_free: Size
    group_attr: str

    def reachable(self, below: Size) -> Size:
        """Bytes in whole extents on a device of `below` bytes."""
        return max(0, below - self.start - self.reserve) // self.extent * self.extent


@dataclass(frozen=True, slots=True)
class Placed:
    """A logical volume and the devices that it has extents on."""

    name: str
    uuid: str
    size: Size
    attr: str
    segtype: str
    stripes: int
    pool: str
    devices: frozenset[str]
    hidden: bool  # a part of another volume, which lvs writes in brackets


@dataclass(frozen=True, slots=True)
class LvmMapping:
    """What device mapper's name and UUID tell of a mapping that LVM has made.

    `layer` is LVM's suffix for what is not a volume that anybody uses: tpool, tdata, real, cow.
    """

    group: str
    group_uuid: str
    volume: str
    uuid: str
    layer: str = ""

    @property
    def whole(self) -> str:
        """`group/volume`."""
        return f"{self.group}/{self.volume}"

    @property
    def owner(self) -> str:
        """The same of the volume that a hidden part belongs to: `vg/tp` of `vg/tp_tdata`."""
        return f"{self.group}/{owner(self.volume)}"

    @property
    def hidden(self) -> bool:
        """True for a part of a volume; an origin and a snapshot are volumes in two layers."""
        if self.layer:
            return self.layer not in {"real", "cow"}
        return bool(_RESERVED.search(self.volume))


_RESERVED = re.compile(
    r"_([ct](data|meta)|corig|wcorig|cpool|cvol|mimage|mlog|rimage|rmeta|vdata|vorigin|imeta|iorig)"
    r"(_\d+)?$|^pvmove\d+$|_pmspare$"
)  # lvm2, lib/misc/lvm-string.c: names that nobody else may give


def owner(volume: str) -> str:
    """The name of the logical volume that one of LVM's own parts belongs to; else its own."""
    return _RESERVED.sub("", volume) or volume


@dataclass(frozen=True, slots=True)
class Partition:
    """A line of a partition table, in sectors of the disk."""

    node: str
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first sector after it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Table:
    """A partition table; `label` is `gpt` or `dos`, `sector` in bytes."""

    label: str
    sector: int
    length: int
    partitions: tuple[Partition, ...]

    def limit(self, disk: Size) -> int:
        """The first sector that no partition can have, on a disk of `disk` bytes.

        GPT keeps its backup at the end: a header and the entries of 128 bytes. MBR counts sectors
        in 32 bits.
        """
        sectors = disk // self.sector
        if self.label == "gpt":
            return sectors - 1 - -(-self.length * 128 // self.sector)
        return min(sectors, 1 << 32)


@dataclass(frozen=True, slots=True)
class CryptMapping:
    """What `cryptsetup status` tells of a mapping; `offset` and `sector` in bytes."""

    type: str
    device: str
    offset: Size
    sector: Size
    key_location: str
    integrity: bool
    suspended: bool = False
    reencryption: str = ""  # `in-progress`, where its key is being exchanged

    @property
    def needs_key(self) -> bool:
        """True when its volume key is in the kernel's keyring, where cryptsetup cannot read it."""
        return self.type == "LUKS2" and self.key_location == "keyring"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A portal of a target in open-iscsi's database."""

    address: str
    port: str
    startup: str


def lvm_mapping(name: str | None, uuid: str | None) -> LvmMapping | None:
    """Device mapper's `group-volume` and `LVM-...` of a mapping; None when it is not LVM's.

    A hyphen in a name is doubled; both UUIDs are written without theirs (libdm-deptree, lvm2).
    """
    match = re.fullmatch(r"LVM-(\w{32})(\w{32})(?:-(\w+))?", uuid or "")
    if match is None:
        return None
    parts = [""]
    for piece in re.findall(r"--|-|[^-]+", name or ""):
        if piece == "-":
            parts.append("")
        else:
            parts[-1] += "-" if piece == "--" else piece
    if len(parts) < 2:
        return None
    group_uuid, volume_uuid = (_hyphenated(match[number]) for number in (1, 2))
    return LvmMapping(parts[0], group_uuid, parts[1], volume_uuid, match[3] or "")


def _hyphenated(uuid: str) -> str:
    inner = (uuid[at : at + 4] for at in range(6, 26, 4))
    return "-".join((uuid[:6], *inner, uuid[26:]))


def physical_volumes(result: Result) -> dict[str, PhysicalVolume]:
    """`pvs --reportformat json` with PVS_COLUMNS, by device number; -1:-1 of a missing one."""
    found = {}
    for row in figures.report(result.stdout, "pv"):
        mda = _count(row, "pv_mda_size")
        dev = f"{row['pv_major']}:{row['pv_minor']}"
        found[dev] = PhysicalVolume(
            name=row["pv_name"],
            uuid=row["pv_uuid"],
            dev=dev,
            size=figures.number(row["pv_size"], "pv_size"),
            free=_count(row, "pv_free"),
            attr=row["pv_attr"],
            device_size=figures.number(row["dev_size"], "dev_size"),
            start=_count(row, "pe_start"),
            reserve=mda if _count(row, "pv_mda_count") > 1 else 0,
            group=row["vg_name"],
            group_uuid=row["vg_uuid"],
            extent=_count(row, "vg_extent_size") or 1,
            group_free=_count(row, "vg_free"),
            group_attr=row["vg_attr"],
        )
    return found


def placed(result: Result) -> dict[str, Placed]:
    """`lvs --reportformat json` with PLACED_COLUMNS; a row for each segment, joined by name."""
    found: dict[str, Placed] = {}
    for row in figures.report(result.stdout, "lv"):
        name = row["lv_name"].strip("[]")
        devices = {part.partition("(")[0] for part in row["devices"].split(",") if part}
        if name in found:
            devices |= found[name].devices
        found[name] = Placed(
            name=name,
            uuid=row["lv_uuid"],
            size=figures.number(row["lv_size"], "lv_size"),
            attr=row["lv_attr"],
            segtype=row["segtype"],
            stripes=max(1, _count(row, "stripes")),
            pool=row["pool_lv"],
            devices=frozenset(devices),
            hidden=row["lv_name"].startswith("["),
        )
    return found


def _count(row: Mapping[str, str], column: str) -> int:
    """A number that LVM leaves out where there is none."""
    return figures.number(row[column] or 0, column)


def partition_table(result: Result) -> Table:
    """`sfdisk --json DISK`."""
    table = figures.table(figures.document(result.stdout), "partitiontable")
    sector = figures.number(table.get("sectorsize", 512), "sectorsize", 512, 1 << 20)
    most = LARGEST // sector

    def partition(row: Mapping[str, object]) -> Partition:
        start = figures.number(row["start"], "start", most=most)
        return Partition(str(row["node"]), start, figures.number(row["size"], "size", 0, most))

    return Table(
        label=str(table["label"]),
        sector=sector,
        length=figures.number(table.get("table-length", 128), "table-length", 0, 1 << 20),
        partitions=tuple(
            partition(figures.section(row)) for row in figures.rows(table.get("partitions", []))
        ),
    )


def mapping(result: Result) -> CryptMapping:
    """`cryptsetup status NAME`."""
    values = dict(re.findall(r"^[ \t]+([a-z][a-z ]*):[ \t]+(.*)$", result.stdout, re.MULTILINE))
    sectors = re.match(r"(\d+)(?: sectors| \[512-byte units\])?", values["offset"])
    if sectors is None:
        raise ValueError(f"no offset in {quoted(values['offset'])}")
    return CryptMapping(
        type=values["type"].strip(),
        device=values["device"].strip(),
        offset=figures.sectors(sectors[1], "offset"),
        sector=figures.number(values.get("sector size", "512").split()[0], "sector size", 512),
        key_location=values.get("key location", "dm-crypt").strip(),
        integrity="integrity" in values,
        suspended="(suspended)" in values.get("mode", ""),
        reencryption=values.get("reencryption", "").strip(),
    )


def path_states(result: Result) -> dict[str, tuple[str, str, str]]:
    """`multipathd show paths raw format "%d %t %T %o"`: device to its three states.

    A checker's may have two words: `i/o timeout`.
    """
    rows = (line.split() for line in result.stdout.splitlines())
    return {row[0]: (row[1], " ".join(row[2:-1]), row[-1]) for row in rows if len(row) > 3}


def node_records(result: Result) -> tuple[NodeRecord, ...]:
    """`iscsiadm -m node -T IQN -o show`: one record after another, each begun by a comment."""
    found = []
    for record in re.split(r"^# BEGIN RECORD.*$", result.stdout, flags=re.MULTILINE):
        values = dict(re.findall(r"^(\S+) = (.*)$", record, re.MULTILINE))
        if "node.conn[0].address" in values:
            found.append(
                NodeRecord(
                    values["node.conn[0].address"],
                    values.get("node.conn[0].port", "3260"),
                    values.get("node.startup", "manual"),
                )
            )
    return tuple(found)
