"""What this program cannot grow, by blkid's word for it; the device beneath still grows."""

import re
from dataclasses import dataclass

from extendctl.probe import Block


@dataclass(frozen=True, slots=True)
class Foreign:
    """What it is called, and what its own tools want to be told when its device has grown.

    A command stands here only where the manual of its tool has it: bcache has none, and what VMFS
    is told is told on another machine.
    """

    name: str
    then: str = ""


# Metadata at the end of a device are not found any more once that end is elsewhere. While an array
# runs, mdadm moves them by what it writes into md/dev-*/size (drivers/md/md.c,
# super_90_rdev_size_change and super_1_rdev_size_change); of a stopped one nobody can.
FOREIGN = {
    "zfs_member": Foreign(
        "ZFS", "zpool online -e POOL DEVICE, with the device as `zpool status` names it"
    ),
    "linux_raid_member": Foreign(
        "a software RAID",
        "mdadm --grow ARRAY --size=max, once all its devices have grown, and before it is "
        "stopped: metadata at a device's end (0.90, 1.0) are not found at the next start",
    ),
    "bcache": Foreign("bcache"),
    "drbd": Foreign(
        "DRBD",
        "drbdadm resize RESOURCE, once its device has grown on all nodes: this moves internal "
        "metadata to the new end",
    ),
    "ceph_bluestore": Foreign(
        "an OSD of Ceph",
        "ceph-bluestore-tool bluefs-bdev-expand --path /var/lib/ceph/osd/CLUSTER-ID, "
        "with the OSD stopped",
    ),
    "VMFS_volume_member": Foreign("VMFS"),
    "VMFS": Foreign("VMFS"),
    "oracleasm": Foreign(
        "a disk of Oracle ASM", "ALTER DISKGROUP NAME RESIZE ALL, in the ASM instance"
    ),
    "vdo": Foreign("VDO", "vdo growPhysical --name=NAME"),
}

_RUNNING = {r"md[0-9_]": "linux_raid_member", "bcache[0-9]": "bcache", "drbd[0-9]": "drbd"}
"""What the kernel calls the devices that it makes of them."""


def named(kind: str, path: str) -> str:
    """That it stands on a device and is left alone, and what to do about it."""
    return f"{FOREIGN[kind].name} on {path} cannot be grown by this program{_then(kind)}"


def lost_by_growth(kind: str, version: str) -> bool:
    """Whether one that does not run would not be found once the end of its device is elsewhere.

    `version` is blkid's, of a RAID's metadata; blkid knows DRBD by its internal metadata alone,
    which stand at the end (libblkid/src/superblocks/linux_raid.c and drbd.c).
    """
    at_the_end = version == "1.0" or version.startswith("0.90")
    return kind == "drbd" or (kind == "linux_raid_member" and at_the_end)


def warning(kind: str, path: str) -> tuple[str, str]:
    """The obstacle of one for which `lost_by_growth`, and the way around it."""
    message = (
        f"{FOREIGN[kind].name} on {path} has its metadata at the end of the device, and does not "
        "run: it would not be found any more once the device has grown"
    )
    start = {"drbd": "drbdadm up RESOURCE", "linux_raid_member": f"mdadm -I {path}"}[kind]
    hint = f"start it first ({start}), then extend, then: {FOREIGN[kind].then}"
    return message, f"{hint}; if it runs on another host, detach the volume from this one"


def holding(above: Block, path: str) -> str:
    """The same of what is at work on a device, and shows by what the kernel has made of it."""
    kinds = (kind for name, kind in _RUNNING.items() if re.match(name, above.name))
    kind = "vdo" if (above.dm_uuid or "").startswith("VDO-") else next(kinds, "")
    return f"it holds {path}, and cannot be grown by this program{_then(kind)}"


def _then(kind: str) -> str:
    then = FOREIGN[kind].then if kind in FOREIGN else ""
    return f"; when the device has grown: {then}" if then else ""
