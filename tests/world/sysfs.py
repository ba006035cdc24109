"""What stands in the files of /sys and configfs, and cat to read them."""

import re

from tests.world import lio, nvme, session
from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Device, Machine

CONFIGFS = "/sys/kernel/config/target/core/"


def attributes(device: Device) -> dict[str, str]:
    """A block device's files under /sys/class/block, in the order in which the probe reads."""
    nvme_ = "/nvmet/" in (device.lun or "")
    every: dict[str, str | None] = {
        "ro": str(int(device.ro)),
        "partition": None if device.partition is None else str(device.partition),
        "start": None if device.start is None else str(device.start),
        "queue/logical_block_size": None if device.partition else "512",
        "dm/name": device.dm_name,
        "dm/uuid": device.dm_uuid,
        "device/wwid": None if nvme_ else device.wwid,
        "wwid": device.wwid if nvme_ else None,
        "device/state": device.state,
        "loop/backing_file": device.file,
        "loop/sizelimit": None if device.file is None else str(device.sizelimit),
        "loop/offset": None if device.file is None else str(device.offset),
    }
    return {key: value for key, value in every.items() if value is not None}


def read(machine: Machine, path: str) -> str | None:
    """The line in a file; None when there is no such file."""
    if path.startswith(CONFIGFS):
        return _configfs(machine, path.removeprefix(CONFIGFS))
    if path.startswith((nvme.CONFIGFS, "/sys/class/nvme/", "/sys/devices/")):
        of_session = path.startswith("/sys/devices/")
        return session.read(machine, path) if of_session else nvme.read(machine, path)
    if match := re.fullmatch(r"/sys/dev/block/(\d+:\d+)/(.+)", path):
        devices = [one for one in machine.devices.values() if one.dev == match[1]]
    elif match := re.fullmatch(r"/sys/(?:block|class/block)/([^/]+)/(.+)", path):
        devices = [machine.devices[match[1]]] if match[1] in machine.devices else []
    else:
        raise AssertionError(f"no simulated file {path}")
    if not devices:
        return None
    if match[2] == "size":
        return str(devices[0].size // 512)
    return devices[0].dev if match[2] == "dev" else attributes(devices[0]).get(match[2])


def _configfs(machine: Machine, path: str) -> str | None:
    if path.endswith("/info"):
        return "\n".join(lio.info(machine, path.removesuffix("/info")))
    store, _, key = path.partition("/wwn/")
    if key != "vpd_unit_serial":
        raise AssertionError(f"no simulated file {CONFIGFS}{path}")
    found = machine.stores.get(store)
    return None if found is None else f"T10 VPD Unit Serial Number: {found.serial}"


def cat(call: Call) -> Answer:
    """The files in order; a missing one is told, and the others are read all the same."""
    out, err = "", ""
    for path in call.argv[1:]:
        line = lio.saved(call.machine, path) if path in lio.PLACES else read(call.machine, path)
        if line is None:
            err += said(f"cat: {path}: No such file or directory")
        else:
            out += said(line)
    return Answer(1 if err else 0, out, err)


TOOLS = {"cat": Tool(cat, root=False, version="cat (GNU coreutils) 9.1\n")}
