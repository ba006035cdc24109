"""Read what the storage tools print, as frozen data; recorded outputs test them all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from extendctl import figures
from extendctl.size import LARGEST, Size, round_down
from extendctl.transport import Result


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """A row of lvs(8). Sizes in bytes; percentages of a thin pool or None.

    `unit` is what the volume grows by: an extent in each stripe.
    """

    name: str
    uuid: str
    size: Size
    attr: str
    segtype: str
    stripes: int
    pool: str
    data_percent: float | None
    metadata_percent: float | None
    dev: str  # major:minor, "-1:-1" when inactive
    dm_uuid: str
    group: "VolumeGroup"
    hidden: bool = False  # lvs shows it in brackets: LVM keeps it for itself

    @property
    def unit(self) -> Size:
        """Bytes by which it can grow: extents times stripes."""
        return self.group.extent * (self.stripes if self.segtype == "striped" else 1)

    @property
    def thin(self) -> bool:
        """True when its space comes from a thin pool."""
        return bool(self.pool) and self.segtype == "thin"

    @property
    def thick_origin(self) -> bool:
        """True when thick snapshots stand on it (lvs(8), lv_attr 1: (o)rigin, (O) merging)."""
        return self.attr[:1] in {"o", "O"}


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """What vgs(8) tells of a volume group. Sizes in bytes."""

    name: str
    uuid: str
    size: Size
    free: Size
    extent: Size
    attr: str


_LV_FIELDS = (
    "lv_name", "lv_uuid", "lv_size", "lv_attr", "segtype", "stripes", "pool_lv", "data_percent",
    "metadata_percent", "lv_kernel_major", "lv_kernel_minor",
)  # fmt: skip
_VG_FIELDS = ("vg_name", "vg_uuid", "vg_size", "vg_free", "vg_extent_size", "vg_attr")
LVS_COLUMNS = ",".join((*_LV_FIELDS, *_VG_FIELDS))
VGS_COLUMNS = ",".join(_VG_FIELDS)


def logical_volumes(result: Result) -> dict[str, LogicalVolume]:
    """`lvs --reportformat json` with LVS_COLUMNS, by name; of several segments the last counts."""
    rows = figures.report(result.stdout, "lv")
    return {row["lv_name"].strip("[]"): _logical_volume(row) for row in rows}


def volume_groups(result: Result) -> dict[str, VolumeGroup]:
    """`vgs --reportformat json` with VGS_COLUMNS, by name."""
    rows = figures.report(result.stdout, "vg")
    return {row["vg_name"]: _volume_group(row) for row in rows}


def _logical_volume(row: Mapping[str, str]) -> LogicalVolume:
    group = _volume_group(row)
    uuid = row["lv_uuid"]
    return LogicalVolume(
        name=row["lv_name"].strip("[]"),
        uuid=uuid,
        size=_bytes(row, "lv_size"),
        attr=row["lv_attr"],
        segtype=row["segtype"],
        stripes=max(1, figures.number(row["stripes"] or 1, "stripes")),
        pool=row["pool_lv"].strip("[]"),
        data_percent=figures.percent(row["data_percent"], "data_percent"),
        metadata_percent=figures.percent(row["metadata_percent"], "metadata_percent"),
        dev=f"{row['lv_kernel_major']}:{row['lv_kernel_minor']}",
        dm_uuid="LVM-" + (group.uuid + uuid).replace("-", ""),
        group=group,
        hidden=row["lv_name"].startswith("["),
    )


def _volume_group(row: Mapping[str, str]) -> VolumeGroup:
    return VolumeGroup(
        name=row["vg_name"],
        uuid=row["vg_uuid"],
        size=_bytes(row, "vg_size"),
        free=_bytes(row, "vg_free"),
        extent=_bytes(row, "vg_extent_size", 1),
        attr=row["vg_attr"],
    )


def _bytes(row: Mapping[str, str], column: str, least: Size = 0) -> Size:
    return figures.number(row[column].removesuffix("B"), column, least)


_SPARE = 50  # blocks that resize2fs wants in a last group beyond its tables


@dataclass(frozen=True, slots=True)
class Ext4:
    """An ext2, ext3 or ext4 superblock as dumpe2fs(8) prints it; sizes in blocks unless said."""

    blocks: int
    block_size: int  # bytes
    first_block: int
    blocks_per_group: int
    inode_blocks_per_group: int
    reserved_gdt: int
    descriptor_size: int  # bytes
    state: str
    features: frozenset[str] = field(default_factory=frozenset)
    errors: int = 0  # that the kernel has counted since e2fsck last mended it

    @property
    def size(self) -> Size:
        """Bytes that the filesystem spans."""
        return self.blocks * self.block_size

    @property
    def limit(self) -> Size | None:
        """Bytes that it can span at most where blocks are counted in 32 bits; else None."""
        return None if "64bit" in self.features else self.block_size << 32

    def reachable(self, below: Size) -> Size:
        """The bytes that it can span on a device of `below` bytes.

        Whole blocks in whole pages (resize2fs, main.c), and without a last group that could hold
        its own tables and little else (e2fsprogs, resize2fs.c, adjust_new_size; the kernel's own
        bound in ext4_resize_fs lies below it).
        """
        page = max(4096, self.block_size)
        blocks = round_down(below, page) // self.block_size
        group, rest = divmod(blocks - self.first_block, self.blocks_per_group)
        if group > 0 and 0 < rest < self._tables(group) + _SPARE:
            blocks -= rest
        return blocks * self.block_size

    def _tables(self, group: int) -> int:
        overhead = 2 + self.inode_blocks_per_group
        if self._has_super(group):
            per_block = self.block_size // self.descriptor_size
            overhead += 1 + -(-(group + 1) // per_block) + self.reserved_gdt
        return overhead

    def _has_super(self, group: int) -> bool:
        if group == 0 or "sparse_super" not in self.features:
            return True
        return group == 1 or any(_is_power(group, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1


def ext4(result: Result) -> Ext4:
    """`dumpe2fs -h`."""
    values = dict(re.findall(r"^([A-Z][^:\n]*):[ \t]*(.*)$", result.stdout, re.MULTILINE))

    def count(name: str, least: int = 0, most: int = LARGEST) -> int:
        return figures.number(values[name], name, least, most)

    block_size = count("Block size", 1024)
    return Ext4(
        blocks=count("Block count", most=LARGEST // block_size),
        block_size=block_size,
        first_block=count("First block"),
        blocks_per_group=count("Blocks per group", 1),
        inode_blocks_per_group=count("Inode blocks per group"),
        reserved_gdt=count("Reserved GDT blocks") if "Reserved GDT blocks" in values else 0,
        descriptor_size=(
            count("Group descriptor size", 1, block_size)
            if "Group descriptor size" in values
            else 32
        ),
        state=values["Filesystem state"].strip(),
        features=frozenset(values.get("Filesystem features", "").split()),
        errors=count("FS Error count") if "FS Error count" in values else 0,
    )


@dataclass(frozen=True, slots=True)
class Xfs:
    """The data section's geometry, in blocks of `block_size` bytes, and the device it is on."""

    device: str
    block_size: int
    blocks: int
    group_blocks: int

    @property
    def size(self) -> Size:
        """Bytes of the data section."""
        return self.block_size * self.blocks

    def reachable(self, below: Size) -> Size:
        """The bytes it can span on a device of `below` bytes.

        A last allocation group of less than 64 blocks is left out (XFS_MIN_AG_BLOCKS).
        """
        blocks = below // self.block_size
        rest = blocks % self.group_blocks
        return (blocks - rest if rest < 64 else blocks) * self.block_size


def xfs(result: Result) -> Xfs:
    """`xfs_spaceman -p xfs_info -c info MOUNTPOINT`."""
    data = re.search(r"^data\s+=.*bsize=(\d+)\s+blocks=(\d+)", result.stdout, re.MULTILINE)
    group = re.search(r"agsize=(\d+) blks", result.stdout)
    device = re.search(r"^meta-data=(\S+)", result.stdout, re.MULTILINE)
    if data is None or group is None or device is None:
        raise ValueError("no data section in what xfs_spaceman printed")
    block_size = figures.number(data[1], "bsize", 1)
    return Xfs(
        device[1],
        block_size,
        figures.number(data[2], "blocks", most=LARGEST // block_size),
        figures.number(group[1], "agsize", 1),
    )


def btrfs_devices(result: Result) -> dict[str, tuple[int, Size]]:
    """`btrfs filesystem show --raw MOUNTPOINT`: device path to (devid, bytes)."""
    rows = re.findall(r"devid\s+(\d+) size (\d+) used \d+ path (.+)$", result.stdout, re.MULTILINE)
    if not rows:
        raise ValueError("no devid in what btrfs printed")
    return {
        path.strip(): (figures.number(devid, "devid"), figures.number(size, "size"))
        for devid, size, path in rows
    }


def blkid(result: Result) -> dict[str, str]:
    r"""`blkid -p -o export DEV`: TYPE, PTTYPE and the like; empty when there is nothing known.

    blkid(8) exits 2 for an empty device and 8 for one with contradicting signatures. It writes a
    backslash before whatever a shell would not take as it is: `LABEL=my\ swap`.
    """
    if result.status == 8:
        return {"TYPE": "ambivalent"}
    pairs = [line.partition("=") for line in result.stdout.splitlines()]
    return {key: re.sub(r"\\(.)", r"\1", value) for key, equals, value in pairs if equals}


def saved_sizes(result: Result) -> dict[str, Size]:
    """LIO's saveconfig.json, or several after another: fileio backstores' bytes by name."""
    found = {}
    for saved in figures.documents(result.stdout):
        for one in figures.rows(figures.section(saved).get("storage_objects", [])):
            store = figures.section(one)
            if store.get("plugin") == "fileio" and store.get("size"):
                found[str(store["name"])] = figures.number(store["size"], "size")
    return found


def file_size(result: Result) -> tuple[Size, str]:
    r"""`stat --format '%s\n%F'`: a file's bytes and its type."""
    size, kind = result.stdout.splitlines()
    return figures.number(size, "a file's size"), kind.strip()


def filesystem_space(result: Result) -> tuple[Size, int, int]:
    r"""`stat --file-system --format '%S\n%b\n%a'`: bytes of a block, blocks, free blocks."""
    block, total, free = result.stdout.split()
    size = figures.number(block, "a block's size", 1)
    most = LARGEST // size
    blocks = figures.number(total, "blocks", most=most)
    return size, blocks, figures.number(free, "free blocks", most=most)


def fullness(result: Result) -> tuple[Size, Size]:
    r"""`stat --file-system --format '%S\n%b\n%f\n%a'`: bytes in use, and left to ordinary users.

    Root's own reserve is in neither, as df(1) counts: what they have is what a writer may use.
    """
    block, *counts = result.stdout.split()
    size = figures.number(block, "a block's size", 1)
    most = LARGEST // size
    total, free, left = (figures.number(one, "blocks", most=most) for one in counts)
    if not left <= free <= total:
        raise ValueError(f"of {total} blocks {free} are free, {left} of them to all")
    return (total - free) * size, left * size


def page_size(result: Result) -> Size:
    """`getconf PAGESIZE`, in bytes."""
    return figures.number(result.stdout.strip(), "the size of a page", 512)


def lines(result: Result) -> tuple[str, ...]:
    """The lines, without surrounding space."""
    return tuple(line.strip() for line in result.stdout.splitlines())


def count(result: Result) -> int:
    """One whole number."""
    return figures.number(result.stdout.strip(), "a count")


def files(result: Result) -> dict[str, Size]:
    """`size name`, each ended by a NUL, which no name can contain: bytes by name."""
    rows = (row.partition(" ") for row in result.stdout.split("\0") if row)
    return {name: figures.number(size, "a file's size") for size, _, name in rows}


def status(result: Result) -> int:
    """Only the exit status."""
    return result.status
