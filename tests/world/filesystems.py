"""resize2fs, xfs_growfs, btrfs and their questions, with the words and rules of Debian 12."""

from tests.world.answer import Answer, Call, Tool, said
from tests.world.partition import TABLES
from tests.world.state import Content, Device, Mount

E2FS = "1.47.0 (5-Feb-2023)"
CAP_SYS_RESOURCE = 1 << 24


def dumpe2fs(call: Call) -> Answer:
    """`dumpe2fs -h DEV`."""
    match call.argv[1:]:
        case ("-h", path):
            content = _ext(call, path, "dumpe2fs")
            if isinstance(content, Answer):
                return content
            return Answer(0, _superblock(content), f"dumpe2fs {E2FS}\n")
    raise call.unknown()


def _ext(call: Call, path: str, tool: str) -> Content | Answer:
    """The ext2/3/4 on a device, or what e2fsprogs say when there is none."""
    name = call.machine.device_at(path)
    content = None if name is None else call.state.content(call.name, name)
    if content is not None and content.type.startswith("ext"):
        return content
    reason = "No such file or directory" if name is None else "Bad magic number in super-block"
    status = 1 if tool == "resize2fs" else (2 if name is None else 19)
    words = f"{tool} {E2FS}", f"{tool}: {reason} while trying to open {path}"
    return Answer(status, said("Couldn't find valid filesystem superblock."), said(*words))


def _superblock(one: Content) -> str:
    groups = -(-one.blocks // one.group_blocks)
    rows = {
        "Filesystem volume name": "<none>",
        "Filesystem UUID": one.uuid,
        "Filesystem magic number": "0xEF53",
        "Filesystem revision #": "1 (dynamic)",
        "Filesystem features": one.features,
        "Filesystem flags": "signed_directory_hash ",
        "Filesystem state": one.state,
        "Errors behavior": "Continue",
        "Inode count": str(groups * one.inode_blocks * one.block_size // 256),
        "Block count": str(one.blocks),
        "Reserved block count": str(one.blocks // 20),
        "First block": "0" if one.block_size > 1024 else "1",
        "Block size": str(one.block_size),
        "Fragment size": str(one.block_size),
        "Group descriptor size": "64",
        "Reserved GDT blocks": str(one.reserved_gdt),
        "Blocks per group": str(one.group_blocks),
        "Inodes per group": str(one.inode_blocks * one.block_size // 256),
        "Inode blocks per group": str(one.inode_blocks),
        "Last mount time": "Sun Nov 22 23:48:45 2026",
        "Journal features": "journal_64bit journal_checksum_v3",
    }
    if "64bit" not in one.features.split():
        del rows["Group descriptor size"]
    if one.errors:
        rows["FS Error count"] = str(one.errors)
    return "".join(f"{key + ':':<26}{value}\n" for key, value in rows.items()) + "\n"


def resize2fs(call: Call) -> Answer:
    """`resize2fs DEV`: the whole device, online when it is mounted."""
    match call.argv[1:]:
        case (path,):
            return _resize2fs(call, path)
    raise call.unknown()


def _resize2fs(call: Call, path: str) -> Answer:
    banner = f"resize2fs {E2FS}\n"
    content, name = _ext(call, path, "resize2fs"), call.machine.device_at(path)
    if isinstance(content, Answer) or name is None:
        return content if isinstance(content, Answer) else Answer(1)
    mounts = [one for one in call.machine.mounts if one.device == name]
    if not mounts and not content.checked:
        return Answer(1, "", banner + said(f"Please run 'e2fsck -f {path}' first.", ""))
    blocks = taken(content, whole_pages(call.machine.devices[name].size, content))
    if blocks <= content.blocks:
        words = f"The filesystem is already {content.blocks} (4k) blocks long.  Nothing to do!"
        return Answer(0, said(words, ""), banner)
    if not mounts and "bigalloc" in content.features:
        words = "Resizing bigalloc file systems has not been fully tested.  Proceed at"
        forced = "your own risk!  Use the force option if you want to go ahead anyway."
        return Answer(1, "", banner + said("", words, forced, ""))
    refusal = _refusal(call, content, mounts) if mounts else None
    if refusal:
        return Answer(1, _online(path, mounts), banner + said(f"resize2fs: {refusal}"))
    return _grow_ext4(content, path, mounts, blocks, banner)


def _online(path: str, mounts: list[Mount]) -> str:
    if not mounts:
        return ""
    mount = mounts[0]
    words = f"Filesystem at {path} is mounted on {mount.point}; on-line resizing required"
    return said(words, "old_desc_blocks = 2, new_desc_blocks = 3")


def _refusal(call: Call, content: Content, mounts: list[Mount]) -> str | None:
    if mounts[0].read_only:  # whichever comes first in /proc/mounts (e2fsprogs, ismounted.c)
        return "Read-only file system While checking for on-line resizing support"
    if "errors" in content.state or not call.machine.bounding & CAP_SYS_RESOURCE:
        return "Permission denied to resize filesystem"
    return None


def whole_pages(size: int, content: Content) -> int:
    """Blocks of a device, in whole pages (resize2fs, main.c)."""
    return size // 4096 * 4096 // content.block_size


def _grow_ext4(
    content: Content, path: str, mounts: list[Mount], blocks: int, banner: str
) -> Answer:
    before = _tables(content, content.blocks)
    content.blocks = max(content.blocks, taken(content, blocks))
    new_tables = _tables(content, content.blocks) - before
    content.reserved_gdt = max(0, content.reserved_gdt - new_tables)
    words = f"The filesystem on {path} is now {content.blocks} (4k) blocks long."
    return Answer(0, _online(path, mounts) + said(words, ""), banner)


def e2fsck(call: Call) -> Answer:
    """`e2fsck -f -p DEV`, of what nothing has open; exit 4 is what it does not mend unasked."""
    match call.argv[1:]:
        case ("-f", "-p", path):
            content, name = _ext(call, path, "e2fsck"), call.machine.device_at(path)
            if isinstance(content, Answer):
                return Answer(8, content.out, content.err)
            if any(one.device == name for one in call.machine.mounts):
                words = f"{path} is mounted.", "e2fsck: Cannot continue, aborting."
                return Answer(8, "", said(*words, "", ""))
            if content.inconsistent:
                content.state = "clean with errors"
                manually = f"{path}: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY."
                return Answer(4, said(manually, "\t(i.e., without -a or -p options)"))
            content.checked, content.state, content.errors = True, "clean", 0
            content.features = content.features.replace(" needs_recovery", "")
            files = "11/655360 files (0.0% non-contiguous)"
            return Answer(0, said(f"{path}: {files}, 66753/{content.blocks} blocks"))
    raise call.unknown()


def _tables(content: Content, blocks: int) -> int:
    """Blocks that the group descriptors of a filesystem of that size fill."""
    groups = -(-blocks // content.group_blocks)
    return -(-groups // (content.block_size // (64 if "64bit" in content.features.split() else 32)))


def taken(content: Content, blocks: int) -> int:
    """What resize2fs makes of a size: it leaves out a last group that is little but its own tables.

    e2fsprogs 1.47, resize/main.c, adjust_new_size, and measured to the block: two bitmaps, the
    inode table, where there is a copy of the superblock that and the descriptors, and 50 to spare.
    """
    group, rest = divmod(blocks - (0 if content.block_size > 1024 else 1), content.group_blocks)
    overhead = 2 + content.inode_blocks
    if _has_super(group, content):
        overhead += 1 + _tables(content, blocks) + content.reserved_gdt
    return blocks - rest if group and 0 < rest < overhead + 50 else blocks


def _has_super(group: int, content: Content) -> bool:
    if "sparse_super" not in content.features.split() or group < 2:
        return True
    return any(group == base**power for base in (3, 5, 7) for power in range(1, 24))


def xfs_spaceman(call: Call) -> Answer:
    """`xfs_spaceman -p xfs_info -c info MOUNTPOINT`."""
    match call.argv[1:]:
        case ("-p", "xfs_info", "-c", "info", point):
            found = _mounted(call, point, "xfs")
            if found is None:
                return Answer(1, "", said(f"{point}: Not on a mounted XFS filesystem."))
            return Answer(0, _geometry(call, *found))
    raise call.unknown()


def _mounted(call: Call, point: str, type_: str) -> tuple[Mount, Content] | None:
    mount = call.machine.mounted(point)
    content = None if mount is None else call.state.content(call.name, mount.device)
    return (mount, content) if mount and content and content.type == type_ else None


def _geometry(call: Call, mount: Mount, one: Content) -> str:
    node, groups = call.machine.named(mount), -(-one.blocks // one.group_blocks)
    blocks = f"bsize={one.block_size:<6} blocks={one.blocks}"
    return said(
        f"meta-data={node:<22} isize=512    agcount={groups}, agsize={one.group_blocks} blks",
        "         =                       sectsz=512   attr=2, projid32bit=1",
        "         =                       crc=1        finobt=1, sparse=1, rmapbt=0",
        "         =                       reflink=1    bigtime=1 inobtcount=1 nrext64=0",
        f"data     =                       {blocks}, imaxpct=25",
        "         =                       sunit=0      swidth=0 blks",
        "naming   =version 2              bsize=4096   ascii-ci=0, ftype=1",
        "log      =internal log           bsize=4096   blocks=16384, version=2",
        "         =                       sectsz=512   sunit=0 blks, lazy-count=1",
        "realtime =none                   extsz=4096   blocks=0, rtextents=0",
    )


def xfs_growfs(call: Call) -> Answer:
    """`xfs_growfs -d MOUNTPOINT`: the whole device."""
    match call.argv[1:]:
        case ("-d", point):
            return _xfs_growfs(call, point)
    raise call.unknown()


def _xfs_growfs(call: Call, point: str) -> Answer:
    found = _mounted(call, point, "xfs")
    if found is None:
        return Answer(1, "", said(f"xfs_growfs: {point} is not a mounted XFS filesystem"))
    mount, content = found
    shown = _geometry(call, mount, content)
    blocks = call.machine.devices[mount.device].size // content.block_size
    if blocks == content.blocks:
        return Answer(0, said("data size unchanged, skipping") + shown)
    if mount.read_only:
        words = "xfs_growfs: XFS_IOC_FSGROWFSDATA xfsctl failed: Read-only file system"
        return Answer(1, shown, said(words))
    before, rest = content.blocks, blocks % content.group_blocks
    content.blocks = max(before, blocks - rest if rest < 64 else blocks)
    return Answer(0, shown + said(f"data blocks changed from {before} to {blocks}"))


def btrfs(call: Call) -> Answer:
    """`btrfs filesystem show --raw MNT` and `btrfs filesystem resize DEVID:max MNT`."""
    match call.argv[1:]:
        case ("filesystem", "show", "--raw", point):
            return _show(call, point)
        case ("filesystem", "resize", size, point) if size.endswith(":max"):
            return _btrfs_resize(call, int(size.removesuffix(":max")), point)
    raise call.unknown()


def _members(call: Call, fsid: str) -> list[tuple[str, Device, Content]]:
    found = []
    for name, device in call.machine.devices.items():
        content = call.state.content(call.name, name)
        if content is not None and content.type == "btrfs" and content.uuid == fsid:
            found.append((name, device, content))
    return sorted(found, key=lambda one: one[2].devid)


def _show(call: Call, point: str) -> Answer:
    found = _mounted(call, point, "btrfs")
    if found is None:
        return Answer(1, "", said(f"ERROR: not a valid btrfs filesystem: {point}"))
    members = _members(call, found[1].uuid)
    rows = (
        f"\tdevid {one.devid:>4} size {one.size} used {one.used} path {call.machine.node(name)}"
        for name, _, one in members
    )
    head = f"\tTotal devices {len(members)} FS bytes used 147456"
    return Answer(0, said(f"Label: none  uuid: {found[1].uuid}", head, *rows, ""))


def _btrfs_resize(call: Call, devid: int, point: str) -> Answer:
    found = _mounted(call, point, "btrfs")
    if found is None:
        return Answer(1, "", said(f"ERROR: not a btrfs filesystem: {point}"))
    member = [one for one in _members(call, found[1].uuid) if one[2].devid == devid]
    if not member:
        lines = (
            f"ERROR: cannot find devid: {devid}",
            f"ERROR: unable to resize '{point}': No such device",
        )
        return Answer(1, "", said(*lines))
    name, device, content = member[0]
    shown = said(
        f"Resize device id {devid} ({call.machine.node(name)}) "
        f"from {content.size / (1 << 20):.2f}MiB to max"
    )
    if found[0].read_only:
        return Answer(1, shown, said(f"ERROR: unable to resize '{point}': Read-only file system"))
    if content.busy != "none":
        busy = f"another exclusive operation '{content.busy}' in progress"
        return Answer(1, "", said(f"ERROR: unable to start resize, {busy}"))
    if not content.writable:
        words = f"ERROR: unable to resize '{point}': Operation not permitted"
        return Answer(1, shown, said(words))
    content.blocks = device.size // content.block_size
    return Answer(0, shown)


def blkid(call: Call) -> Answer:
    """`blkid -p -o export DEV`: exit 2 for nothing there, 8 for contradicting signatures."""
    match call.argv[1:]:
        case ("-p", "-o", "export", path):
            name = call.machine.device_at(path)
            content = None if name is None else call.state.content(call.name, name)
            if content is None:
                return Answer(2)
            if content.type == "ambivalent":
                return Answer(
                    8, "", f"blkid: {path}: ambivalent result (probably more filesystems)\n"
                )
            key = "PTTYPE" if content.type in TABLES else "TYPE"
            uuid = [f"UUID={content.uuid}"] if content.uuid else []
            lines = [f"DEVNAME={path}", *uuid, f"{key}={content.type}"]
            if content.label:
                lines.append(f"LABEL={_printed(content.label)}")
            if content.version:
                lines.append(f"VERSION={content.version}")
            return Answer(0, said(*lines))
    raise call.unknown()


def _printed(label: str) -> str:
    """A value as blkid 2.38 prints it with `-o export`, where the language is C."""
    shown = ""
    for byte in label.encode():
        shown += "M-" if byte > 0x7F else ""
        sign = chr(byte & 0x7F)
        shown += f"^{chr(ord(sign) ^ 0x40)}" if not sign.isprintable() else ""
        shown += "" if not sign.isprintable() else f"\\{sign}" if sign in " \\\"'$`<>" else sign
    return shown


TOOLS = {
    "dumpe2fs": Tool(dumpe2fs, version=f"dumpe2fs {E2FS}\n"),
    "resize2fs": Tool(resize2fs, deed=True, version=f"resize2fs {E2FS}\n"),
    "xfs_spaceman": Tool(xfs_spaceman, version="xfs_spaceman version 6.1.0\n"),
    "e2fsck": Tool(e2fsck, deed=True, version=f"e2fsck {E2FS}\n"),
    "xfs_growfs": Tool(xfs_growfs, deed=True, version="xfs_growfs version 6.1.0\n"),
    "btrfs": Tool(btrfs, deed=True, version="btrfs-progs v6.2\n"),
    "blkid": Tool(blkid, version="blkid from util-linux 2.38.1\n"),
}
