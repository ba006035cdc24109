"""What happens to machines between two commands: devices renamed, replaced, gone, filled up."""

from tests.world.lio import serial
from tests.world.lvm import uuid
from tests.world.state import Content, Device, State


def rename(state: State, machine: str, old: str, new: str) -> None:
    """After a reboot or a new login the same disk has another name."""
    one = state.machines[machine]
    one.devices[new] = one.devices.pop(old)
    for mount in one.mounts:
        mount.device = new if mount.device == old else mount.device
    for other in one.devices.values():
        other.slaves = [new if slave == old else slave for slave in other.slaves]
        other.parent = new if other.parent == old else other.parent


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
