"""Sites whose volume carries a tower of layers on web1, built from a list of kinds."""

from dataclasses import replace
from itertools import product
from pathlib import Path

from extendctl.config import HostConfig
from tests.world import build
from tests.world.partition import GPT_END
from tests.world.site import ISCSI, POINT, Site
from tests.world.state import MIB, Content, Device, State
from tests.world.swap import PAGE
from tests.world.volume_group import START
from tests.world.world import World

KEY = "/root/crypt.key"
LEFT = 512 * MIB  # what a volume group here keeps free on purpose
TOPS = ("ext4", "xfs", "btrfs", "swap")
BOTTOMS: tuple[tuple[str, ...], ...] = ((), ("multipath",))
TABLES: tuple[tuple[str, ...], ...] = ((), ("gpt",), ("dos",))
MIDDLES: tuple[tuple[str, ...], ...] = (
    (),
    ("luks",),
    ("luks1",),
    ("lvm",),
    ("luks", "lvm"),
    ("lvm", "luks"),
    ("lvm", "luks1", "lvm"),
)
MATRIX = [
    (*bottom, *table, *middle, top)
    for bottom, table, middle, top in product(BOTTOMS, TABLES, MIDDLES, TOPS)
]
"""Every tower that makes sense, lowest kind first."""


class Tower(Site):
    """A site whose hosts know the key of every mapping."""

    def configs(self) -> dict[str, HostConfig]:
        keys = {f"crypt{number}": KEY for number in range(4)}
        return {name: replace(one, luks_keys=keys) for name, one in super().configs().items()}


def tower(*kinds: str, path: Path | None = None) -> Tower:
    """A volume of 10 GiB with these kinds on it, lowest first."""
    state = State()
    build.machine(state, "silo")
    build.group(state, "silo")
    build.volume(state, "silo", "vg0/vol1")
    lun = build.export(state, "silo", "vg0/vol1")
    build.machine(state, "web1")
    build.disk(state, "web1", lun)
    device = "sdb"
    for number, kind in enumerate(kinds):
        if kind in TOPS:
            device = _top(kind, state, device)
        else:
            device = _ADD[kind](state, lun, device, number)
    return Tower(World(path, state), ISCSI, "vol1", ("web1",))


def _mapping(state: State, below: str, name: str, uuid: str, size: int, number: int) -> str:
    kernel = f"dm-{20 + number}"
    state.machines["web1"].devices[kernel] = Device(
        dev=f"253:{20 + number}",
        size=size,
        dm_name=name,
        dm_uuid=uuid,
        slaves=[below],
        content=f"web1/{name}",
    )
    return kernel


def _write(state: State, device: str, content: Content) -> int:
    """Put a signature on a device; gives the device's size."""
    one = state.machines["web1"].devices[device]
    one.content = one.content or f"web1/{device}"
    state.contents[one.content] = content
    return one.size


def _multipath(state: State, lun: str, device: str, number: int) -> str:
    build.disk(state, "web1", lun, "sdc")
    one = state.machines["web1"].devices[device]
    map_ = _mapping(state, device, "mpatha", f"mpath-3{(one.wwid or '')[4:]}", one.size, number)
    devices = state.machines["web1"].devices
    devices[map_].slaves, devices[map_].content = ["sdb", "sdc"], "web1/mpatha"
    return map_


def _partitioned(label: str, state: State, device: str, number: int) -> str:
    end = GPT_END if label == "gpt" else 0
    disk = state.machines["web1"].devices[device]
    sectors = disk.size // 512 - 2048 - end
    _write(state, device, Content(type=label, table=[[1, 2048, sectors]]))
    if disk.dm_uuid:
        uuid = f"part1-{disk.dm_uuid}"
        return _mapping(state, device, f"{disk.dm_name}-part1", uuid, sectors * 512, number)
    state.machines["web1"].devices[f"{device}1"] = Device(
        dev="8:17", size=sectors * 512, parent=device, partition=1, start=2048,
        content=f"web1/{device}1",
    )  # fmt: skip
    return f"{device}1"


def _gpt(state: State, lun: str, device: str, number: int) -> str:
    return _partitioned("gpt", state, device, number)


def _dos(state: State, lun: str, device: str, number: int) -> str:
    return _partitioned("dos", state, device, number)


def _luks(state: State, lun: str, device: str, number: int) -> str:
    return _encrypted(state, device, number, keyring=True)


def _luks1(state: State, lun: str, device: str, number: int) -> str:
    return _encrypted(state, device, number, keyring=False)


def _encrypted(state: State, device: str, number: int, *, keyring: bool) -> str:
    offset = 16 * MIB if keyring else 2 * MIB
    header = Content(type="crypto_LUKS", offset=offset, key_file=KEY, keyring=keyring)
    size = _write(state, device, header) - offset
    uuid = f"CRYPT-LUKS{2 if keyring else 1}-{number:032x}-crypt{number}"
    return _mapping(state, device, f"crypt{number}", uuid, size, number)


def _lvm(state: State, lun: str, device: str, number: int) -> str:
    size = _write(state, device, Content(type="LVM2_member"))
    name = f"{number}-vg"
    group = build.group(state, "web1", name)
    group.device, group.size = device, (size - START) // (4 * MIB) * (4 * MIB)
    build.volume(state, "web1", f"{name}/data", group.size - LEFT)
    kernel = group.volumes["data"].device
    assert kernel is not None
    return kernel


def _top(kind: str, state: State, device: str) -> str:
    one = state.machines["web1"].devices[device]
    one.content = one.content or f"web1/{device}"
    if kind == "swap":
        blocks = one.size // PAGE
        state.contents[one.content] = Content(type="swap", blocks=blocks, label="my swap")
        state.machines["web1"].swapped[device] = [(blocks - 1) * PAGE, 0, 5]
    else:
        build.filesystem(state, "web1", device, kind)
        build.mount(state, "web1", device, POINT)
    return device


_ADD = {
    "multipath": _multipath,
    "gpt": _gpt,
    "dos": _dos,
    "luks": _luks,
    "luks1": _luks1,
    "lvm": _lvm,
}
