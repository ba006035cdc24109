"""What simulated machines remember, as plain data that one JSON document holds."""

from typing import Any

from pydantic import BaseModel, ConfigDict

MIB, GIB = 1 << 20, 1 << 30


class Thing(BaseModel):
    """All things in a world: no unknown fields, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class Device(Thing):
    """A block device. `size` is what the kernel of this machine believes, in bytes.

    `lun` (`silo/iblock_0/vol1`) or `file` is where its capacity comes from when it is read again;
    `content` names what is written on it, the same name on all machines that share it.
    """

    dev: str
    size: int
    ro: bool = False
    wwid: str | None = None
    state: str | None = None
    lun: str | None = None
    portal: str = ""  # that its session goes to, if not the target's first
    dm_name: str | None = None
    dm_uuid: str | None = None
    slaves: list[str] = []
    parent: str | None = None
    partition: int | None = None
    start: int | None = None
    file: str | None = None
    sizelimit: int = 0
    offset: int = 0
    content: str | None = None
    cached: list[list[int]] | None = None  # the table, as it was read while somebody has it open


class Content(Thing):
    """A filesystem, or another signature, with its geometry. `blocks` of `block_size` bytes."""

    type: str
    uuid: str = "494c3588-f253-40ac-aebe-246885a7e597"
    block_size: int = 4096
    blocks: int = 0
    group_blocks: int = 32768  # ext4: blocks per group; xfs: agsize
    inode_blocks: int = 512
    reserved_gdt: int = 1024
    state: str = "clean"
    errors: int = 0  # of ext4: how many the kernel has counted
    inconsistent: bool = False  # of ext4: there is more to mend than e2fsck -p does
    checked: bool = False  # by e2fsck, since it was mounted last
    features: str = (
        "has_journal ext_attr resize_inode dir_index filetype needs_recovery extent 64bit flex_bg "
        "sparse_super large_file huge_file dir_nlink extra_isize metadata_csum"
    )
    devid: int = 1
    writable: bool = True  # of btrfs: False of a seed
    busy: str = "none"  # of btrfs: its exclusive operation
    used: int = 92274688
    label: str = ""
    version: str = ""  # blkid's, of what stands there
    table: list[list[int]] = []  # of gpt and dos: number, start and size in sectors of 512 bytes
    offset: int = 0  # of a LUKS header, in bytes
    key_file: str | None = None  # the one that opens it
    keyring: bool = False  # where its volume key is
    detached: bool = False  # the header is in a file elsewhere
    reencrypting: bool = False  # a new volume key is being written in
    suspended: bool = False  # by luksSuspend

    @property
    def size(self) -> int:
        """Bytes that it spans."""
        return self.blocks * self.block_size


class Mount(Thing):
    """A mounted filesystem. `source` is the name that it was mounted by, if not the usual one."""

    device: str
    point: str
    source: str | None = None
    read_only: bool = False
    root: str = "/"


class LogicalVolume(Thing):
    """A logical volume in its group. `needs` extents a stripe or a leg."""

    uuid: str
    size: int
    segtype: str = "linear"
    stripes: int = 1
    segments: int = 1
    pool: str = ""
    origin_of: str = ""  # the thick snapshot that stands on it
    data_percent: float | None = None
    metadata_percent: float | None = None
    device: str | None = None  # the kernel's name while it is active
    suspended: bool = False
    elsewhere: bool = False  # on another physical volume than the group's first
    hidden: str = ""  # lv_attr's first letter of what LVM keeps for itself
    letter: str = ""  # lv_attr's first letter where nothing else tells it: s for a thick snapshot
    opened: bool = True  # while it is active: somebody has its device open
    resting: bool = False  # left out of activation: lv_attr's last letter is k
    locked: bool = False  # pvmove is at work: lv_attr's third letter is a capital
    health: str = "-"  # lv_attr's ninth letter


class Group(Thing):
    """A volume group. `size` in bytes, all of it in extents."""

    uuid: str
    size: int
    extent: int = 4 * MIB
    attr: str = "wz--n-"
    device: str = "vdb"  # the kernel's name of its one physical volume
    pv_attr: str = "a--"  # and what pvs says of that
    volumes: dict[str, LogicalVolume] = {}
    archives: list[str] = []  # what LVM keeps of it as it was, before each change

    def keep(self, name: str) -> None:
        """What every command of LVM does before it changes a group."""
        number = len(self.archives)
        self.archives.append(f"{name}_{number:05}-{1804289383 + number}.vg")

    @property
    def free(self) -> int:
        """Bytes that no logical volume has taken."""
        thick = (one for one in self.volumes.values() if one.segtype != "thin" and not one.hidden)
        return self.size - sum(one.size * copies(one) for one in thick)


def copies(volume: LogicalVolume) -> int:
    """How often each byte of it takes space."""
    return volume.stripes if volume.segtype in {"raid1", "mirror"} else 1


class Store(Thing):
    """A LIO storage object. `declared` is the size of one that stands on a file."""

    serial: str
    path: str
    enabled: bool = True
    declared: int | None = None


class Target(Thing):
    """An iSCSI target with one portal group."""

    enabled: bool = True
    portals: list[str] = []
    acls: list[str] = []
    luns: dict[int, str] = {}


class TgtLun(Thing):
    """A LUN of the tgt daemon. `size` is what its device had when it was opened."""

    path: str
    size: int
    backing: str = "rdwr"
    online: bool = True
    locked: bool = False
    opened: int = 0  # how often anew


class TgtTarget(Thing):
    """A target of the tgt daemon, and who is logged in."""

    luns: dict[int, TgtLun] = {}
    initiators: list[str] = ["iqn.2026-11.com.example:web1"]


class Namespace(Thing):
    """A namespace of the kernel's NVMe target."""

    path: str
    uuid: str
    enabled: bool = True


class Controller(Thing):
    """An NVMe controller of a host. `size` is that of its path to the namespace `lun`."""

    nqn: str
    lun: str
    size: int
    state: str = "live"


class Space(Thing):
    """A filesystem beneath directories: block size, blocks, blocks free."""

    block: int = 4096
    blocks: int = 26214400
    free: int = 20000000


class Machine(Thing):
    """One simulated machine.

    `sudo` by user: `all`, `password`, `expired`, the tools that are allowed, or `asks TOOL ...`
    where all is allowed, and a later rule wants a password for these tools.
    """

    machine_id: str
    boot_id: str
    uptime: float = 86400.5  # seconds
    kernel: str = "6.1.0-38-amd64"
    bounding: int = 0x1FFFFFFFFFF
    tools: list[str]
    sudo: dict[str, str | list[str]] = {}
    devices: dict[str, Device] = {}
    mounts: list[Mount] = []
    unseen: set[str] = set()  # devices that a container has mounted
    swaps: list[str] = []
    swapped: dict[str, list[int]] = {}  # device: bytes as /proc/swaps has them, in use, priority
    resting: dict[str, str] = {}  # notes under /run
    available: int = 4 * GIB
    nodes: dict[str, list[tuple[str, str, str]]] = {}  # IQN: address, port, startup of its portals
    udev_grows: bool = True  # its kpartx rule is there: partitions of maps follow the table
    groups: dict[str, Group] = {}
    stores: dict[str, Store] = {}
    targets: dict[str, Target] = {}
    saved: int = 0  # how often targetcli saved
    saved_sizes: dict[str, int] = {}  # of fileio backstores
    tgt: dict[str, TgtTarget] = {}
    namespaces: dict[str, Namespace] = {}  # by NQN,NUMBER
    controllers: dict[str, Controller] = {}
    files: dict[str, int] = {}
    modes: dict[str, str] = {}  # of files that were made
    directories: list[str] = []
    spaces: dict[str, Space] = {"/": Space()}

    def device_at(self, path: str) -> str | None:
        """The kernel's name of what a path in /dev is."""
        name = path.removeprefix("/dev/")
        if name.startswith("mapper/"):
            return self._mapping(name.removeprefix("mapper/"))
        if name.count("/") == 1:
            return self._mapping("-".join(part.replace("-", "--") for part in name.split("/")))
        return name if name in self.devices else None

    def _mapping(self, name: str) -> str | None:
        return next((key for key, one in self.devices.items() if one.dm_name == name), None)

    def node(self, device: str) -> str:
        """The path by which tools name a device."""
        mapped = self.devices[device].dm_name
        return f"/dev/mapper/{mapped}" if mapped else f"/dev/{device}"

    def mounted(self, point: str) -> Mount | None:
        """What is mounted at a directory, over all else that is."""
        return next((one for one in reversed(self.mounts) if one.point == point.rstrip("/")), None)

    def named(self, mount: Mount) -> str:
        """What xfs' tools call the device at a mount point: that of the first line with it."""
        return self.node(next(one for one in self.mounts if one.point == mount.point).device)


class Fault(Thing):
    """What goes wrong. Of the matching commands the first `skip` go well, then `times` do not.

    `kind` is `cut`, `die`, `lie` or `slow`; `tool` and `only` (`deed` or `question`) narrow it.
    """

    kind: str
    machine: str
    tool: str | None = None
    only: str | None = None
    skip: int = 0
    times: int | None = None
    when: str = "before"  # of a cut: before, after, unsent
    acts: bool = False
    status: int | None = 0
    out: str = ""
    err: str = ""
    seconds: float = 0.0


class Entry(Thing):
    """A command in the log. `status` is None when its answer was lost."""

    machine: str
    user: str
    argv: tuple[str, ...]
    status: int | None
    kind: str  # deed or question
    stdin: str = ""
    acted: bool = True


class State(Thing):
    """The whole world."""

    machines: dict[str, Machine] = {}
    contents: dict[str, Content] = {}
    down: dict[str, str] = {}  # machine: what ssh says
    faults: list[Fault] = []
    calls: dict[str, int] = {}
    log: list[Entry] = []

    def content(self, machine: str, device: str) -> Content | None:
        """What is written on a device."""
        name = self.machines[machine].devices[device].content
        return None if name is None else self.contents.get(name)

    def document(self) -> dict[str, Any]:
        """The world as plain data."""
        return self.model_dump(mode="json")
