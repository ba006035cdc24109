"""What happens to machines between two commands: devices renamed, replaced, gone, filled up."""

from tests.world.lio import capacity, serial
from tests.world.lvm import uuid
from tests.world.state import Content, Device, State
from tests.world.swap import PAGE


def rename(state: State, machine: str, old: str, new: str) -> None:
    """After a reboot or a new login the same disk has another name."""
    one = state.machines[machine]
    one.devices[new] = one.devices.pop(old)
    for mount in one.mounts:
        mount.device = new if mount.device == old else mount.device
    for other in one.devices.values():
        other.slaves = [new if slave == old else slave for slave in other.slaves]
        other.parent = new if other.parent == old else other.parent
    if old in one.swapped:
        one.swapped[new] = one.swapped.pop(old)
    for group in one.groups.values():
        group.device = new if group.device == old else group.device
        for volume in group.volumes.values():
            volume.device = new if volume.device == old else volume.device


def another_disk(state: State, machine: str, name: str) -> Device:
    """The name has passed to a disk with another WWN."""
    device = state.machines[machine].devices[name]
    device.wwid = "naa.6001405" + "f" * 25
    device.lun, device.content = None, None
    return device


def another_volume(state: State, machine: str, place: str) -> None:
    """The logical volume was removed and another one made of the same name."""
    group, _, name = place.partition("/")
    found = state.machines[machine].groups[group]
    found.volumes[name].uuid = uuid(found, f"{name}again")
    device = found.volumes[name].device
    if device is not None:
        dm_uuid = "LVM-" + (found.uuid + found.volumes[name].uuid).replace("-", "")
        state.machines[machine].devices[device].dm_uuid = dm_uuid


def another_backstore(state: State, machine: str, store: str) -> None:
    """The backstore was made anew, with another serial."""
    state.machines[machine].stores[store].serial = serial(f"{store}again")


def another_file(state: State, machine: str, loop: str, file: str) -> None:
    """The loop device was set up over another file."""
    one = state.machines[machine]
    one.files[file] = one.files.get(file, 1 << 30)
    one.devices[loop].file = file


def another_mount(state: State, machine: str, point: str, device: str) -> None:
    """Something else is mounted there now."""
    one = state.machines[machine]
    one.devices[device] = Device(dev="8:240", size=1 << 30, content=f"{machine}/{device}")
    state.contents[f"{machine}/{device}"] = Content(type="xfs", blocks=1 << 18, group_blocks=65536)
    for mount in one.mounts:
        mount.device = device if mount.point == point else mount.device


def unmount(state: State, machine: str) -> None:
    """All that was mounted there has been unmounted, and nothing is left to recover."""
    for mount in state.machines[machine].mounts:
        content = state.content(machine, mount.device)
        if content is not None:
            content.features = content.features.replace(" needs_recovery", "")
    state.machines[machine].mounts.clear()


def offline(state: State, machine: str, device: str, said: str = "offline") -> None:
    """The path is down."""
    state.machines[machine].devices[device].state = said


def snapshot(state: State, machine: str, place: str) -> None:
    """A thick snapshot stands on the volume."""
    group, _, name = place.partition("/")
    state.machines[machine].groups[group].volumes[name].origin_of = f"{name}snap"


def leave_free(state: State, machine: str, group: str, size: int) -> None:
    """Take all but `size` bytes of a volume group away."""
    found = state.machines[machine].groups[group]
    found.size -= found.free - size


def without(state: State, machine: str, tool: str) -> None:
    """A tool is not installed."""
    state.machines[machine].tools.remove(tool)


def unprivileged(state: State, machine: str, user: str = "ops") -> None:
    """Sudo asks for a password."""
    state.machines[machine].sudo[user] = "password"


def reboot(state: State, machine: str) -> None:
    """It has started anew: every size is read again from what is beneath, and /run is empty."""
    one = state.machines[machine]
    one.boot_id = f"{one.boot_id[:-12]}{int(one.boot_id[-12:], 16) + 0x1000:012x}"
    one.uptime = 30.0
    one.resting = {}
    for name, device in one.devices.items():
        device.cached = None
        if device.lun is not None:
            device.size = capacity(state, device.lun) or device.size
        elif device.file is not None:
            device.size = one.files[device.file]
        elif (device.dm_uuid or "").startswith("mpath-"):
            device.size = min(one.devices[path].size for path in device.slaves)
        elif (device.dm_uuid or "").startswith("CRYPT-"):
            below = one.devices[device.slaves[0]]
            header = state.contents[below.content or ""]
            device.size = below.size - header.offset
        _partitions(state, machine, name)
        content = state.content(machine, name)
        if content is not None and content.type == "swap":
            one.swapped.setdefault(name, [(content.blocks - 1) * PAGE, 0, 5])


def _partitions(state: State, machine: str, disk: str) -> None:
    """The kernel takes a disk's partitions from its table."""
    content = state.content(machine, disk)
    devices = state.machines[machine].devices
    for number, _, sectors in content.table if content is not None else ():
        for part in devices.values():
            of_disk = part.parent == disk and part.partition == number
            of_map = disk in part.slaves and (part.dm_uuid or "").startswith(f"part{number}-")
            if of_disk or of_map:
                part.size = sectors * 512
