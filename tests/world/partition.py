"""sfdisk, partx and udev's kpartx rule: a table on a disk, and what the kernel made of it."""

import json
import re

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Content

UTIL_LINUX = "from util-linux 2.38.1\n"
GPT_END = 33  # sectors of the backup
TABLES = frozenset({"gpt", "dos", "sun"})


def sfdisk(call: Call) -> Answer:
    """`sfdisk --json DISK`, and writing one partition's size."""
    match call.argv[1:]:
        case ("--json", path):
            return _show(call, path)
        case ("--no-reread", "--no-tell-kernel", "--wipe", "never", "--wipe-partitions", "never",
              "-N", number, path):  # fmt: skip
            return _write(call, path, int(number), int(call.stdin.decode().strip(" ,\n")))
    raise call.unknown()


def table(call: Call, path: str) -> tuple[str, Content] | None:
    """The disk and the table on it."""
    name = call.machine.device_at(path)
    content = None if name is None else call.state.content(call.name, name)
    found = name is not None and content is not None and content.type in TABLES
    return (name, content) if found and name and content else None


def rows(call: Call, name: str, content: Content) -> list[list[int]]:
    """The table as this machine reads it: from its page cache, while somebody has the disk open.

    The last to close a block device drops what was read of it (block/bdev.c, blkdev_put_whole).
    """
    device = call.machine.devices[name]
    if not _open(call, name):
        return content.table
    device.cached = device.cached or [list(row) for row in content.table]
    return device.cached


def _open(call: Call, disk: str) -> bool:
    devices = call.machine.devices
    on_disk = {disk, *(name for name, one in devices.items() if one.parent == disk)}
    mounted = {mount.device for mount in call.machine.mounts} | set(call.machine.swapped)
    held = {slave for one in devices.values() for slave in one.slaves}
    return bool(on_disk & (mounted | held))


def _show(call: Call, path: str) -> Answer:
    found = table(call, path)
    if found is None:
        words = f"sfdisk: {path}: does not contain a recognized partition table"
        return Answer(1, "", said(words))
    parts = [
        {"node": _node(call, path, number), "start": start, "size": size}
        for number, start, size in rows(call, *found)
    ]
    body = {"label": found[1].type, "device": path, "sectorsize": 512, "partitions": parts}
    return Answer(0, json.dumps({"partitiontable": body}))


def _node(call: Call, path: str, number: int) -> str:
    """What libfdisk calls a partition: in /dev/mapper by what is there (fdisk_partname)."""
    if not path.startswith("/dev/mapper/"):
        return f"{path}{'p' if path[-1].isdigit() else ''}{number}"
    names = (f"{path}{number}", f"{path}p{number}")
    return next((one for one in names if call.machine.device_at(one)), f"{path}-part{number}")


def _write(call: Call, path: str, number: int, sectors: int) -> Answer:
    found = table(call, path)
    if found is None:
        return Answer(1, "", said(f"sfdisk: cannot open {path}"))
    name, content = found
    end = call.machine.devices[name].size // 512 - (GPT_END if content.type == "gpt" else 0)
    row = next(one for one in content.table if one[0] == number)
    behind = [one[1] for one in content.table if one[1] > row[1]]
    if row[1] + sectors > min([end, *behind]):
        return Answer(1, "", said("Failed to add #1 partition: Numerical result out of range"))
    row[2] = sectors
    call.machine.devices[name].cached = None
    return Answer(0, said("The partition table has been altered."))


def partx(call: Call) -> Answer:
    """`partx --update --nr N DISK`: the kernel takes over what the table says."""
    match call.argv[1:]:
        case ("--update", "--nr", number, path):
            found = table(call, path)
            if found is not None:
                _take_over(call, found[0], found[1], int(number))
            return Answer(0 if found else 1)
    raise call.unknown()


def blockdev(call: Call) -> Answer:
    """`blockdev --flushbufs DISK`: what was read of it before is forgotten."""
    match call.argv[1:]:
        case ("--flushbufs", path):
            disk = call.machine.device_at(path)
            if disk is None:
                return Answer(
                    1, "", said(f"blockdev: cannot open {path}: No such file or directory")
                )
            call.machine.devices[disk].cached = None
            return Answer()
    raise call.unknown()


def settle(call: Call) -> Answer:
    """`udevadm settle`: by then udev has grown the partitions of multipath maps."""
    for name, device in list(call.machine.devices.items()):
        if call.machine.udev_grows and (device.dm_uuid or "").startswith("mpath-"):
            _remap(call, name)
    return Answer()


def _remap(call: Call, disk: str) -> None:
    content = call.state.content(call.name, disk)
    if content is None:
        return
    for number, _, _ in rows(call, disk, content):
        _take_over(call, disk, content, number)


def _take_over(call: Call, disk: str, content: Content, number: int) -> None:
    size = next(size for one, _, size in rows(call, disk, content) if one == number)
    for device in call.machine.devices.values():
        kernel = device.parent == disk and device.partition == number
        mapped = disk in device.slaves and (device.dm_uuid or "").startswith(f"part{number}-")
        if kernel or mapped:
            device.size = size * 512


def kpartx(call: Call) -> Answer:
    """`kpartx -u -p DELIMITER MAP`: another delimiter than the one in use renames the mapping."""
    match call.argv[1:]:
        case ("-u", "-p", delimiter, path):
            disk = call.machine.device_at(path)
            if disk is None:
                return Answer(1, "", said(f"failed to stat() {path}"))
            _remap(call, disk)
            whole = call.machine.devices[disk].dm_name or disk
            for device in call.machine.devices.values():
                found = re.match(r"part(\d+)-", device.dm_uuid or "")
                if found is not None and disk in device.slaves:
                    device.dm_name = f"{whole}{delimiter}{found[1]}"
            return Answer()
    raise call.unknown()


TOOLS = {
    "sfdisk": Tool(sfdisk, deed=True, version=said("sfdisk " + UTIL_LINUX)),
    "partx": Tool(partx, deed=True, version=said("partx " + UTIL_LINUX)),
    "blockdev": Tool(blockdev, deed=True, version=said("blockdev " + UTIL_LINUX)),
    "udevadm": Tool(settle, deed=True, version="252\n"),
    "kpartx": Tool(kpartx, deed=True),
}
