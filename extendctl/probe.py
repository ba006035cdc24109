"""Read what the probing script found out about a machine, as frozen data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from extendctl import figures
from extendctl.mounts import Mount, unescape
from extendctl.mounts import mounts as read_mounts
from extendctl.size import LARGEST, Size


@dataclass(frozen=True, slots=True)
class Block:
    """A block device as sysfs shows it. `size` in bytes, `wwid` as the kernel writes it."""

    name: str
    dev: str
    size: Size
    read_only: bool = False
    partition: int | None = None
    start: int | None = None  # sectors of 512 bytes
    dm_name: str | None = None
    dm_uuid: str | None = None
    wwid: str | None = None
    state: str | None = None
    backing_file: str | None = None
    sector: Size = 512  # bytes of a logical block
    size_limit: Size = 0
    offset: Size = 0
    children: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    slaves: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The node in /dev; a mapping's by its name, which outlives its number."""
        if self.dm_name:
            return f"/dev/mapper/{self.dm_name}"
        return f"/dev/{self.name.replace('!', '/')}"


@dataclass(frozen=True, slots=True)
class Swap:
    """A line of /proc/swaps, in bytes; the page with its header is not counted there."""

    path: str
    size: Size
    used: Size
    priority: int


@dataclass(frozen=True, slots=True)
class Session:
    """A device's iSCSI session: the target and the portal that it is logged in to.

    `place` is the device's directory, `/sys/devices/.../session6/target7:0:0/7:0:0:1`.
    """

    block: str
    iqn: str
    address: str
    port: str
    place: str = ""

    @property
    def lun(self) -> int:
        """The number by which the target knows it; -1 when it was not told."""
        number = re.search(r":([0-9]{1,9})$", self.place)
        return -1 if number is None else int(number[1])


@dataclass(frozen=True, slots=True)
class Controller:
    """An NVMe controller: its subsystem, its state, and its path to each namespace by WWID."""

    name: str
    nqn: str
    state: str
    paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pool:
    """What the kernel shows of a btrfs: what it is busy with, and members it does not write to."""

    busy: str = ""
    sealed: frozenset[int] = frozenset()  # by devid


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the probe found on a machine."""

    kernel: str = ""
    machine_id: str = ""
    boot_id: str = ""
    uid: int = -1
    bounding: int = 0
    tools: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[str, Block] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    available: Size = 0  # memory that could be had without swapping
    swaps: tuple[Swap, ...] = ()
    resting: Mapping[str, int] = field(default_factory=dict)  # UUID of swap space: its priority
    sessions: tuple["Session", ...] = ()
    controllers: tuple["Controller", ...] = ()
    btrfs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # uuid: device names
    live: frozenset[str] = frozenset()  # devices with a filesystem that some namespace has mounted
    pools: Mapping[str, Pool] = field(default_factory=dict)  # of btrfs, by uuid
    aliases: Mapping[str, str] = field(default_factory=dict)  # a path in /dev: device name
    sudo: tuple[str, ...] = ()  # what `sudo -n -l` lists, line by line

    def by_path(self, path: str) -> Block | None:
        """The device behind a path in /dev, also /dev/mapper/NAME and /dev/VG/LV."""
        name = self.aliases.get(path) or path.removeprefix("/dev/")
        if name.startswith("mapper/"):
            return self._mapping(name.removeprefix("mapper/"))
        if name.count("/") == 1:
            group, volume = (part.replace("-", "--") for part in name.split("/"))
            return self._mapping(f"{group}-{volume}") or self.blocks.get(name.replace("/", "!"))
        return self.blocks.get(name)

    def _mapping(self, name: str) -> Block | None:
        return next((one for one in self.blocks.values() if one.dm_name == name), None)

    def mounts_of(self, block: Block) -> tuple[Mount, ...]:
        """Where the filesystem on a device is mounted; btrfs shows an anonymous device number."""
        pools = [names for names in self.btrfs.values() if block.name in names]
        members = {name for names in pools for name in names}
        return tuple(
            one
            for one in self.mounts
            if one.dev == block.dev or (one.fstype == "btrfs" and self._in(one.source, members))
        )

    def _in(self, source: str, members: set[str]) -> bool:
        block = self.by_path(source)
        return block is not None and block.name in members

    def pool_of(self, block: Block) -> Pool:
        """The btrfs of which a device is a member."""
        found = (uuid for uuid, names in self.btrfs.items() if block.name in names)
        return self.pools.get(next(found, ""), Pool())

    def swap_on(self, block: Block) -> Swap | None:
        """The swap space on a device, when it is in use."""
        found = ((one, self.by_path(one.path)) for one in self.swaps)
        return next((one for one, on in found if on is not None and on.dev == block.dev), None)

    def in_use(self, block: Block) -> bool:
        """True when something stands on a device, or on a partition of it, for the kernel."""
        parts = (self.blocks[name] for name in block.children if name in self.blocks)
        return any(self._held(one) for one in (block, *parts))

    def mounted_elsewhere(self, block: Block) -> bool:
        """True when its filesystem is mounted where this login does not see it: in a container."""
        live = block.name in self.live or any(block.name in names for names in self.btrfs.values())
        return live and not self.mounts_of(block)

    def _held(self, block: Block) -> bool:
        found = self.mounts_of(block) or self.swap_on(block) or self.mounted_elsewhere(block)
        return bool(block.holders or found)


def host_facts(text: str) -> HostFacts:
    """Read what HOST_SCRIPT printed. Raises Garbled when its end is missing."""
    facts: dict[str, list[list[str]]] = {}
    for key, *values in figures.fields(text):
        facts.setdefault(key, []).append(values)
    return HostFacts(
        kernel=_one(facts, "kernel"),
        machine_id=_one(facts, "machine-id"),
        boot_id=_one(facts, "boot-id"),
        uid=_number(_one(facts, "uid"), -1),
        bounding=_bits(_one(facts, "bounding")),
        tools={row[0]: row[1] for row in facts.get("tool", ()) if len(row) > 1},
        blocks=_blocks(facts),
        mounts=tuple(read_mounts(["\t".join(row) for row in facts.get("mount", ())])),
        available=_number(_one(facts, "available"), 0) * 1024,
        swaps=tuple(_swaps(facts.get("swap", ()))),
        resting={row[0]: _priority(row[1]) for row in facts.get("resting", ()) if len(row) > 1},
        sessions=tuple(Session(*row[:5]) for row in facts.get("session", ()) if len(row) > 3),
        controllers=tuple(_controllers(facts)),
        btrfs=_grouped(facts.get("btrfs", ())),
        live=frozenset(row[0] for row in facts.get("live", ()) if row),
        pools=_pools(facts),
        aliases={row[0]: row[1] for row in facts.get("alias", ()) if len(row) > 1},
        sudo=tuple("\t".join(row) for row in facts.get("sudo-line", ())),
    )


def _one(facts: Mapping[str, list[list[str]]], key: str) -> str:
    rows = facts.get(key)
    return rows[0][0] if rows and rows[0] else ""


def _grouped(rows: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for key, value in (row[:2] for row in rows if len(row) > 1):
        groups.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in groups.items()}


def _blocks(facts: Mapping[str, list[list[str]]]) -> dict[str, Block]:
    def values(key: str) -> dict[str, str]:
        return {row[0]: row[1] for row in facts.get(key, ()) if len(row) > 1}

    attributes = {key: values(key) for key in _ATTRIBUTES}
    children, holders, slaves = (
        _grouped(facts.get(key, ())) for key in ("child", "holder", "slave")
    )
    found = {}
    for row in facts.get("block", ()):
        if len(row) < 3 or not row[2].isdigit():
            continue
        name, dev, sectors = row[:3]
        got = {key: attributes[key].get(name) for key in _ATTRIBUTES}
        found[name] = Block(
            name=name,
            dev=dev,
            size=figures.sectors(sectors),
            read_only=got["ro"] == "1",
            partition=_number(got["partition"]),
            start=_number(got["start"]),
            dm_name=got["dm/name"],
            dm_uuid=got["dm/uuid"],
            wwid=(got["device/wwid"] or got["wwid"] or "").strip() or None,
            state=got["device/state"],
            backing_file=got["loop/backing_file"],
            sector=_number(got["queue/logical_block_size"]) or 512,
            size_limit=_number(got["loop/sizelimit"]) or 0,
            offset=_number(got["loop/offset"]) or 0,
            children=children.get(name, ()),
            holders=holders.get(name, ()),
            slaves=slaves.get(name, ()),
        )
    return found


_ATTRIBUTES = (
    "ro", "partition", "start", "queue/logical_block_size", "dm/name", "dm/uuid", "device/wwid",
    "wwid", "device/state", "loop/backing_file", "loop/sizelimit", "loop/offset",
)  # fmt: skip


def _controllers(facts: Mapping[str, list[list[str]]]) -> Iterator[Controller]:
    paths: dict[str, dict[str, str]] = {}
    for row in facts.get("namespace", ()):
        if len(row) > 2:
            paths.setdefault(row[0], {})[row[2].strip()] = row[1]
    for name, nqn, state in (row[:3] for row in facts.get("nvme", ()) if len(row) > 2):
        yield Controller(name, nqn, state, paths.get(name, {}))


def _pools(facts: Mapping[str, list[list[str]]]) -> dict[str, Pool]:
    """Older kernels show neither (exclusive_operation: 5.10; devinfo: 5.6)."""
    busy = {row[0]: row[1] for row in facts.get("exclusive", ()) if len(row) > 1}
    rows = [row for row in facts.get("writeable", ()) if len(row) > 2 and row[2] == "0"]
    sealed = _grouped(rows)
    return {
        uuid: Pool(
            busy.get(uuid, "").replace("none", ""),
            frozenset(figures.number(one, "devid") for one in sealed.get(uuid, ())),
        )
        for uuid in busy.keys() | sealed.keys()
    }


def _swaps(rows: Sequence[Sequence[str]]) -> Iterator[Swap]:
    """/proc/swaps: a heading, then path, type, KiB, KiB in use and priority to a line."""
    for row in rows[1:]:
        words = "\t".join(row).split()
        if len(words) > 4 and words[2].isdigit() and words[3].isdigit():
            size, used = (figures.number(word, "swap", most=_KIBS) * 1024 for word in words[2:4])
            yield Swap(unescape(words[0]), size, used, _priority(words[4]))


def _bits(text: str) -> int:
    """A set of capabilities in hexadecimal digits; none where the kernel shows none."""
    return int(text, 16) if re.fullmatch(r"[0-9a-f]{1,16}", text) else 0


_KIBS = LARGEST // 1024


def _priority(text: str) -> int:
    """Of swap space; those below zero are the kernel's own choice (swapon(8))."""
    number = figures.number(text.removeprefix("-"), "a priority", most=1 << 31)
    return -number if text.startswith("-") else number


@overload
def _number(text: str | None) -> int | None: ...
@overload
def _number(text: str | None, default: int) -> int: ...
def _number(text: str | None, default: int | None = None) -> int | None:
    """A number, where the kernel shows one."""
    return figures.number(text, "a number") if text and text.isdigit() else default
