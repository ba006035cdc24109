"""The pieces that worlds are made of: machines, volume groups, LUNs, disks, filesystems."""

from typing import Any

from extendctl.probe_script import TOOLS as PROBED
from tests.world.answer import Call
from tests.world.lio import capacity, serial
from tests.world.lvm import activate, uuid
from tests.world.machine import TOOLS
from tests.world.state import (
    GIB,
    MIB,
    Content,
    Device,
    Group,
    LogicalVolume,
    Machine,
    Mount,
    State,
    Store,
    Target,
)

IQN = "iqn.2026-11.com.example"


def machine(state: State, name: str, user: str = "ops") -> Machine:
    """A Debian 12 machine with its system disk, where `user` may do all through sudo."""
    number = len(state.machines) + 1
    one = Machine(
        machine_id=f"{number:032x}",
        boot_id=f"7017917d-65c7-4de7-8105-{number:012x}",
        tools=sorted({*PROBED, *TOOLS}),
        sudo={user: "all"},
        directories=["/"],
    )
    one.devices["vda"] = Device(dev="254:0", size=8 * GIB)
    one.devices["vda1"] = Device(
        dev="254:1", size=8 * GIB - 2 * MIB, parent="vda", partition=1, start=2048
    )
    state.machines[name] = one
    return one


def group(state: State, where: str, name: str = "vg0", size: int = 110 * GIB) -> Group:
    """A volume group on the disk vdb."""
    one = state.machines[where]
    one.devices.setdefault("vdb", Device(dev="254:16", size=size + 4 * MIB))
    letters = (where + name + "Kx7" * 12).replace("-", "")[:32]
    shape = (letters[:6], *(letters[at : at + 4] for at in range(6, 26, 4)), letters[26:])
    one.groups[name] = Group(uuid="-".join(shape), size=size)
    return one.groups[name]


def volume(
    state: State, where: str, place: str, size: int = 10 * GIB, **more: Any
) -> LogicalVolume:
    """An active logical volume; what is written on it is called `WHERE/PLACE`."""
    group_name, _, name = place.partition("/")
    found = state.machines[where].groups[group_name]
    found.volumes[name] = LogicalVolume.model_validate(
        {"uuid": uuid(found, name), "size": size} | more
    )
    device = activate(Call(state, where, "root", root=True, argv=(), stdin=b""), group_name, name)
    state.machines[where].devices[device].content = f"{where}/{place}"
    return found.volumes[name]


def export(state: State, where: str, place: str) -> str:
    """Serve a logical volume as LUN 0 of a target of its own; gives `WHERE/iblock_N/NAME`."""
    one, name = state.machines[where], place.rpartition("/")[2]
    store = f"iblock_{len(one.stores)}/{name}"
    one.stores[store] = Store(serial=serial(f"{where}{name}"), path=f"/dev/{place}")
    one.targets[f"{IQN}:{name}"] = Target(portals=["10.10.1.10:3260"], luns={0: store})
    return f"{where}/{store}"


def export_file(state: State, where: str, path: str) -> str:
    """Serve a file as LUN 0 of a target of its own, and save that; gives `WHERE/fileio_N/NAME`."""
    one, name = state.machines[where], path.rpartition("/")[2]
    store, size = f"fileio_{len(one.stores)}/{name}", one.files[path]
    one.stores[store] = Store(serial=serial(f"{where}{name}"), path=path, declared=size)
    one.targets[f"{IQN}:{name}"] = Target(portals=["10.10.1.10:3260"], luns={0: store})
    one.saved_sizes[name] = size
    return f"{where}/{store}"


def wwid(state: State, lun: str) -> str:
    """The WWID of a LUN as initiators have it in sysfs."""
    where, _, store = lun.partition("/")
    digits = state.machines[where].stores[store].serial.replace("-", "").lower()
    return f"naa.6001405{digits[:25]}"


def disk(state: State, where: str, lun: str, name: str = "sdb") -> Device:
    """A SCSI disk on an initiator, as large as the LUN is now."""
    silo, _, store = lun.partition("/")
    path = state.machines[silo].stores[store].path
    device = state.machines[silo].device_at(path)
    below = None if device is None else state.machines[silo].devices[device].content
    one = disk_of(state, where, lun, below or f"{silo}{path}", name)
    one.wwid = wwid(state, lun)
    return one


def disk_of(state: State, where: str, lun: str, content: str, name: str = "sdb") -> Device:
    """A SCSI disk without a WWN, of what any target serves."""
    number = 16 * (ord(name[-1]) - ord("a"))
    size = capacity(state, lun)
    assert size is not None, f"{lun} is not served"
    state.machines[where].devices[name] = Device(
        dev=f"8:{number}", size=size, state="running", lun=lun, content=content
    )
    return state.machines[where].devices[name]


def loop(state: State, where: str, file: str, name: str = "loop0", **more: int) -> Device:
    """A loop device over a file."""
    one = state.machines[where]
    device = Device(dev=f"7:{name[4:]}", size=one.files[file], file=file, content=f"{where}{file}")
    one.devices[name] = device.model_copy(update=more)
    return one.devices[name]


def filesystem(state: State, where: str, device: str, type_: str) -> Content:
    """A filesystem that fills its device."""
    found = state.machines[where].devices[device]
    blocks = found.size // 4096
    content = Content(type=type_, blocks=blocks)
    if type_ == "xfs":
        content.group_blocks = blocks // 4
    assert found.content is not None, f"{device} on {where} has no name for its content"
    state.contents[found.content] = content
    return content


def mount(state: State, where: str, device: str, point: str) -> Mount:
    """Mount a device's filesystem; what it writes is in its journal first, if it has one."""
    one = Mount(device=device, point=point)
    content = state.content(where, device)
    if content is not None and "has_journal" in content.features:
        content.features = content.features.replace(" needs_recovery", "") + " needs_recovery"
    state.machines[where].mounts.append(one)
    return one
