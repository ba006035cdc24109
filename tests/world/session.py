"""The iSCSI sessions that a host's disks stand on, and their place below /sys/devices."""

import re
from collections.abc import Iterator

from tests.world.state import Device, Machine, State


def sessions(state: State, name: str, device: Device) -> Iterator[tuple[str, ...]]:
    """The rows that the probe prints for an iSCSI disk: IQN, address, port, place."""
    silo, _, store = (device.lun or "").partition("/")
    if store.startswith("tgt/"):
        iqn, _, lun = store.removeprefix("tgt/").rpartition(",")
        yield (name, iqn, "10.10.1.10", "3261", place(device, int(lun)))
        return
    for iqn, target in state.machines[silo].targets.items() if silo else ():
        for number, one in target.luns.items():
            if one == store:
                address, _, port = (device.portal or target.portals[0]).rpartition(":")
                yield (name, iqn, address, port, place(device, number))


def place(device: Device, lun: int) -> str:
    """The directory of a SCSI device; a session of its own for each."""
    host = int(device.dev.partition(":")[2]) // 16
    return f"/sys/devices/platform/host{host}/session{host}/target{host}:0:0/{host}:0:0:{lun}"


def read(machine: Machine, path: str) -> str | None:
    """`.../iscsi_session/sessionN/targetname`; below it `.../block/sdX/size`, and its `dev`."""
    for name, device in machine.devices.items():
        lun = device.lun or ""
        if "/tgt/" not in lun:
            continue
        iqn, _, number = lun.partition("/tgt/")[2].rpartition(",")
        where = place(device, int(number))
        if path == f"{where}/block/{name}/size":
            return str(device.size // 512)
        if path == f"{where}/block/{name}/dev":
            return device.dev
        session = where.partition("/target")[0]
        if re.fullmatch(re.escape(session) + r"/iscsi_session/session\d+/targetname", path):
            return iqn
    return None
