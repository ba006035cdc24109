"""Every command that this program may ever run as root.

This one file is what a reviewer and a sudoers file need. Arguments are argv words, validated here
at the latest; sizes are absolute bytes; nothing relative and nothing smaller ever goes out.
"""

import re
from ipaddress import ip_address

from extendctl import block_readings, readings, tgt_readings, told
from extendctl.host import Deed, Question
from extendctl.size import Size

# Questions -----------------------------------------------------------------------------------


def logical_volumes(group: str) -> Question[dict[str, readings.LogicalVolume]]:
    """All logical volumes of a volume group, with its own figures."""
    return Question(
        ("lvs", *_REPORT, "-a", "-o", readings.LVS_COLUMNS, told.lvm(group, "volume group")),
        readings.logical_volumes,
        root=True,
    )


def volume_group(group: str) -> Question[dict[str, readings.VolumeGroup]]:
    """A volume group's own figures, also when nothing is in it."""
    return Question(
        ("vgs", *_REPORT, "-o", readings.VGS_COLUMNS, told.lvm(group, "volume group")),
        readings.volume_groups,
        root=True,
    )


_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix")


def ext4(device: str) -> Question[readings.Ext4]:
    """An ext2/3/4 superblock.

    Exit status 152 is a checksum that does not match, as it may be while the kernel is writing;
    not every version of e2fsprogs looks again by itself.
    """
    words = ("dumpe2fs", "-h", _node(device))
    return Question(words, readings.ext4, root=True, again=frozenset({152}))


def xfs(mountpoint: str) -> Question[readings.Xfs]:
    """A mounted xfs's geometry. It is what xfs_info(8) runs, which is a script for the shell."""
    words = ("xfs_spaceman", "-p", "xfs_info", "-c", "info", _mountpoint(mountpoint))
    return Question(words, readings.xfs, root=True)


def btrfs(mountpoint: str) -> Question[dict[str, tuple[int, Size]]]:
    """A mounted btrfs's devices: path to (devid, bytes)."""
    return Question(
        ("btrfs", "filesystem", "show", "--raw", _mountpoint(mountpoint)),
        readings.btrfs_devices,
        root=True,
    )


def signature(device: str) -> Question[dict[str, str]]:
    """What stands on a device that is not in use, by its superblocks."""
    return Question(
        ("blkid", "-p", "-o", "export", _node(device)),
        readings.blkid,
        root=True,
        accept=frozenset({0, 2, 8}),
    )


def physical_volumes() -> Question[dict[str, block_readings.PhysicalVolume]]:
    """All physical volumes that a machine sees, by device path."""
    words = ("pvs", *_REPORT, "-o", block_readings.PVS_COLUMNS)
    return Question(words, block_readings.physical_volumes, root=True)


def segments(group: str) -> Question[dict[str, block_readings.Placed]]:
    """A volume group's logical volumes with the devices that they lie on."""
    columns, group = block_readings.PLACED_COLUMNS, told.lvm(group, "volume group")
    words = ("lvs", *_REPORT, "-a", "-o", columns, group)
    return Question(words, block_readings.placed, root=True)


def partition_table(disk: str) -> Question[block_readings.Table]:
    """The partition table as it is on the disk."""
    return Question(("sfdisk", "--json", _node(disk)), block_readings.partition_table, root=True)


def mapping(name: str) -> Question[block_readings.CryptMapping]:
    """An open dm-crypt mapping."""
    return Question(("cryptsetup", "status", _mapping(name)), block_readings.mapping, root=True)


def key_fits(key_file: str, device: str) -> Question[int]:
    """Whether a key file on the machine opens a LUKS device; nothing is mapped."""
    key = ("--key-file", told.path(key_file, "a key file"))
    words = ("cryptsetup", "open", "--test-passphrase", "--batch-mode", *key, _node(device))
    return Question(words, readings.status, root=True, accept=frozenset(range(124)))


def paths() -> Question[dict[str, tuple[str, str, str]]]:
    """Multipathd's view of all paths: device to (dm state, checker state, device state)."""
    return Question(
        ("multipathd", "show", "paths", "raw", "format", "%d %t %T %o"),
        block_readings.path_states,
        root=True,
    )


def node_records(iqn: str) -> Question[tuple[block_readings.NodeRecord, ...]]:
    """What open-iscsi's node database has of a target."""
    return Question(
        ("iscsiadm", "-m", "node", "-T", told.iqn(iqn), "-o", "show"),
        block_readings.node_records,
        root=True,
        accept=frozenset({0, 21}),  # 21: no records
    )


def saved_sizes() -> Question[dict[str, Size]]:
    """The sizes of fileio backstores in LIO's saved configuration, by name.

    Debian keeps it in the second place; the one that is not there is complained about.
    """
    places = ("/etc/target/saveconfig.json", "/etc/rtslib-fb-target/saveconfig.json")
    return Question(("cat", *places), readings.saved_sizes, root=True, accept=frozenset({0, 1}))


def tgt_targets() -> Question[tuple[tgt_readings.TgtLun, ...]]:
    """All LUNs of the tgt daemon."""
    words = ("tgtadm", "--lld", "iscsi", "--mode", "target", "--op", "show")
    return Question(words, tgt_readings.targets, root=True)


def file_size(path: str) -> Question[tuple[Size, str]]:
    """A file's bytes, and its type such as `regular file`; links are not followed."""
    return Question(
        ("stat", "--format", "%s\n%F", told.path(path, "a file")), readings.file_size, root=True
    )


def file_blocks(path: str) -> Question[int]:
    """How many blocks a file takes: none while nothing was ever written to it."""
    words = ("stat", "--format", "%b", told.path(path, "a file"))
    return Question(words, readings.count, root=True)


def directory(path: str) -> Question[dict[str, Size]]:
    """The regular files directly in a directory: bytes by name."""
    which = ("-maxdepth", "1", "-type", "f", "-printf", "%s %f\\0")
    words = ("find", told.path(path, "a directory"), *which)
    return Question(words, readings.files, root=True)


LVM_ARCHIVE = "/etc/lvm/archive"
"""Where LVM keeps what volume groups were, unless lvm.conf says otherwise; root alone may look."""


def filesystem_space(path: str) -> Question[tuple[Size, int, int]]:
    """Of the filesystem under a path: block size, blocks in all, blocks free to everyone."""
    return Question(
        ("stat", "--file-system", "--format", "%S\n%b\n%a", told.path(path, "a directory")),
        readings.filesystem_space,
        root=True,
    )


def fullness(point: str) -> Question[tuple[Size, Size]]:
    """Of a mounted filesystem: the bytes in use, and those that are left to ordinary users."""
    words = ("stat", "--file-system", "--format", "%S\n%b\n%f\n%a")
    return Question((*words, told.path(point, "a mount point")), readings.fullness, root=True)


# Deeds, all of them as root ------------------------------------------------------------------


def extend_lv(group: str, volume: str, size: Size) -> Deed:
    """Let a logical volume be `size` bytes. Never `-r`: a cut line would stop it half way."""
    target = f"{told.lvm(group, 'volume group')}/{told.lvm(volume, 'logical volume')}"
    return Deed(("lvextend", "--yes", "--size", f"{_size(size)}b", target))


def refresh_lv(group: str, volume: str) -> Deed:
    """Let the kernel have a logical volume as LVM's metadata have it: another host grew it."""
    target = f"{told.lvm(group, 'volume group')}/{told.lvm(volume, 'logical volume')}"
    return Deed(("lvchange", "--refresh", target))


def create_lv(group: str, volume: str, size: Size, pool: str | None) -> Deed:
    """Make a logical volume of at least `size` bytes, thin when a pool is named."""
    group, volume = told.lvm(group, "volume group"), told.lvm(volume, "logical volume")
    if pool is not None:
        thin = ("--name", volume, f"{group}/{told.lvm(pool, 'thin pool')}")
        return Deed(("lvcreate", "--yes", "--thin", "--virtualsize", f"{_size(size)}b", *thin))
    return Deed(("lvcreate", "--yes", "--size", f"{_size(size)}b", "--name", volume, group))


def create_file(path: str) -> Deed:
    """Make an empty file, where there is none (the caller has looked); it cuts nothing off."""
    return Deed(("truncate", "--size=>0", told.path(path, "a file")))


def close_file(path: str) -> Deed:
    """Let nobody but its owner read or write a file: it will hold what belongs to others."""
    return Deed(("chmod", "0600", told.path(path, "a file")))


def create_directory(path: str) -> Deed:
    """Make a directory that only root can enter, with its parents; harmless when it is there."""
    return Deed(("mkdir", "--parents", "--mode", "0700", told.path(path, "a directory")))


def create_backstore(name: str, device: str) -> Deed:
    """A LIO block backstore on a device."""
    name = told.lvm(name, "backstore")
    return _targetcli("/backstores/block", "create", f"name={name}", f"dev={_node(device)}")


def create_fileio(name: str, path: str) -> Deed:
    """A LIO fileio backstore on a file that is there; writes are not held back."""
    store = ("/backstores/fileio", "create", f"name={told.lvm(name, 'backstore')}")
    return _targetcli(*store, f"file_or_dev={told.path(path, 'a file')}", "write_back=false")


def create_target(iqn: str) -> Deed:
    """An iSCSI target with one portal group."""
    return _targetcli("/iscsi", "create", told.iqn(iqn))


def create_portal(iqn: str, address: str, port: int) -> Deed:
    """An address at which a target listens, as another target's portal has it."""
    if not _is_address(address):
        raise told.strange(address, "an IP address")
    place = f"/iscsi/{told.iqn(iqn)}/tpg1/portals"
    return _targetcli(place, "create", str(ip_address(address)), str(int(port)))


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text).packed)
    except ValueError:
        return False


def create_lun(iqn: str, backstore: str, plugin: str = "block") -> Deed:
    """A backstore as a target's next LUN; `plugin` is `block` or `fileio`."""
    store = f"/backstores/{plugin}/{told.lvm(backstore, 'backstore')}"
    return _targetcli(f"/iscsi/{told.iqn(iqn)}/tpg1/luns", "create", store)


def create_acl(iqn: str, initiator: str) -> Deed:
    """An initiator's right to a target and its LUNs."""
    return _targetcli(f"/iscsi/{told.iqn(iqn)}/tpg1/acls", "create", told.iqn(initiator))


def save_target() -> Deed:
    """Keep the running configuration of the target, all of it, over a restart."""
    return _targetcli("saveconfig")


def _targetcli(*words: str) -> Deed:
    return Deed(("targetcli", *words))


def resize_fileio(store: str, size: Size) -> Deed:
    """Tell a fileio backstore, `fileio_0/NAME`, its size while it serves."""
    if not re.fullmatch(r"fileio_[0-9]+/[A-Za-z0-9_.:+-]+", store):
        raise told.strange(store, "a fileio backstore")
    control = f"/sys/kernel/config/target/core/{store}/control"
    return Deed(("tee", control), stdin=f"fd_dev_size={_size(size)}\n".encode())


def reopen_tgt(target: int, lun: int, device: str) -> Deed:
    """Let tgtd open a LUN's device anew: offline and path in one request, or it is refused."""
    lun_of = ("--tid", str(int(target)), "--lun", str(int(lun)))
    path = f"online=0,path={_node(device)}"
    words = ("tgtadm", "--lld", "iscsi", "--mode", "logicalunit", "--op", "update", *lun_of)
    return Deed((*words, "--params", path))


def extend_file(path: str, size: Size) -> Deed:
    """Let a file be at least `size` bytes; truncate(1)'s `>` can never make it smaller."""
    return Deed(("truncate", "--no-create", f"--size=>{_size(size)}", told.path(path, "a file")))


def rescan_path(device: str) -> Deed:
    """Let the kernel read a SCSI device's capacity again."""
    return Deed(("tee", f"/sys/block/{told.device(device)}/device/rescan"), stdin=b"1\n")


def rescan_controller(controller: str) -> Deed:
    """Let an NVMe controller identify its namespaces again."""
    return Deed(("nvme", "ns-rescan", f"/dev/{told.device(controller)}"))


def refresh_loop(device: str) -> Deed:
    """Let a loop device take its file's size."""
    return Deed(("losetup", "--set-capacity", f"/dev/{told.device(device)}"))


def resize_map(name: str) -> Deed:
    """Let a multipath map take its paths' size. `ok` may be hollow, all else is a no."""
    return Deed(("multipathd", "resize", "map", _mapping(name)), expects="ok")


def write_partition(disk: str, number: int, sectors: int) -> Deed:
    """Let a partition have so many of the disk's sectors, in the table; the kernel is told apart.

    An empty start keeps the start. A GPT's backup is moved to the end of the disk on the way. The
    number is written out, because newer versions of sfdisk let `+` end on a MiB.
    """
    quiet = ("--wipe", "never", "--wipe-partitions", "never")
    words = ("sfdisk", "--no-reread", "--no-tell-kernel", *quiet, "-N", str(int(number)))
    return Deed((*words, _node(disk)), stdin=f", {_size(sectors)}\n".encode())


def tell_partition(disk: str, number: int) -> Deed:
    """Let the kernel take one partition's size from the table, in use or not (BLKPG)."""
    return Deed(("partx", "--update", "--nr", str(int(number)), _node(disk)))


def drop_cache(disk: str) -> Deed:
    """Let the kernel forget what it has read of a device (BLKFLSBUF): another host has written."""
    return Deed(("blockdev", "--flushbufs", _node(disk)))


def settle() -> Deed:
    """Wait for udev, whose kpartx rule grows the partitions of a multipath map."""
    return Deed(("udevadm", "settle", "--timeout=30"))


def remap_partitions(disk: str, delimiter: str) -> Deed:
    """Let the partitions of a multipath map take their sizes from the table.

    The delimiter is the one in use, or kpartx renames the mapping under what is mounted on it.
    """
    if not delimiter.isalnum() and delimiter not in {"-part", "_part", "p", ""}:
        raise told.strange(delimiter, "a delimiter of partitions")
    return Deed(("kpartx", "-u", "-p", delimiter, _node(disk)))


def resize_luks(name: str, key_file: str | None) -> Deed:
    """Let a dm-crypt mapping fill its device; the key never leaves its file on the machine."""
    key = () if key_file is None else ("--key-file", told.path(key_file, "a key file"))
    return Deed(("cryptsetup", "resize", "--batch-mode", *key, _mapping(name)))


def resize_pv(device: str) -> Deed:
    """Let a physical volume fill its device."""
    return Deed(("pvresize", "--yes", _node(device)))


def rest_swap(uuid: str, priority: int | None) -> Deed:
    """Note, until the next boot, that swap space is switched off only for a while.

    Whoever comes after a cut line finds it there and switches it on again. None takes it back.
    """
    if not _UUID.fullmatch(uuid):
        raise told.strange(uuid, "a UUID")
    note = b"" if priority is None else b"%d\n" % priority
    return Deed(("tee", f"/run/extendctl-swap-{uuid}"), stdin=note)


_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


def stop_swap(device: str) -> Deed:
    """Take what is in swap space back into memory."""
    return Deed(("swapoff", _node(device)), seconds=_HOURS)


def make_swap(device: str, uuid: str, label: str) -> Deed:
    """Let swap space that is not in use fill its device, under the names that it had."""
    if not _UUID.fullmatch(uuid) or not label.isprintable():
        raise told.strange(f"{uuid} {label}", f"what the swap space on {_node(device)} is called")
    named = (f"--label={label}",) if label else ()  # in one word, as it may begin with a dash
    return Deed(("mkswap", "--uuid", uuid, *named, _node(device)))


def start_swap(device: str, priority: int) -> Deed:
    """Take swap space into use; a priority below zero is one that the kernel chose."""
    chosen = ("--priority", str(int(priority))) if priority >= 0 else ()
    return Deed(("swapon", *chosen, _node(device)))


def check_ext4(device: str) -> Deed:
    """Check an unmounted ext2/3/4, and mend what can be mended without asking."""
    return Deed(("e2fsck", "-f", "-p", _node(device)), seconds=_HOURS)


def grow_idle_ext4(device: str) -> Deed:
    """Let an unmounted ext2/3/4 fill its device. It may move blocks and must not be cut short."""
    return Deed(("resize2fs", _node(device)), seconds=_HOURS)


_HOURS = 24 * 3600.0


def grow_ext4(device: str) -> Deed:
    """Let an ext2/3/4 fill its device."""
    return Deed(("resize2fs", _node(device)))


def grow_xfs(mountpoint: str) -> Deed:
    """Let a mounted xfs fill its device (never -D: a smaller number would shrink)."""
    return Deed(("xfs_growfs", "-d", _mountpoint(mountpoint)))


def grow_btrfs(devid: int, mountpoint: str) -> Deed:
    """Let one device of a mounted btrfs be filled; plain `max` would mean devid 1."""
    return Deed(("btrfs", "filesystem", "resize", f"{int(devid)}:max", _mountpoint(mountpoint)))


def _size(size: Size) -> int:
    if size <= 0:
        raise told.strange(str(size), "a size that something could be given")
    return size


def _mapping(name: str) -> str:
    if "/" in name or name.startswith("-") or not name.isprintable() or name in {"", ".", ".."}:
        raise told.strange(name, "the name of a mapping")
    return name


def _node(device: str) -> str:
    if not told.path(device, "a device").startswith("/dev/"):
        raise told.strange(device, "a device under /dev")
    return device


def _mountpoint(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise told.strange(path, "a mount point")
    return path
