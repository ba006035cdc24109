"""Record what real tools answer to the phrasebook, on the lab: python -m tests.recorded.record."""

import json
import shlex
import time
from pathlib import Path
from typing import Any

from extendctl.size import GIB, MIB
from tests.lab.lab import Lab
from tests.lab.volumes import LUKS_KEYS
from tests.recorded import phrase_of

HERE = Path(__file__).parent
VERSIONS = (
    "lvm version; resize2fs 2>&1 | head -1; xfs_growfs -V; btrfs --version; "
    "losetup --version; stat --version | head -1; sudo --version | head -1; uname -r; "
    "targetcli --version 2>&1"
)


def main() -> None:
    """Start a lab of its own, ask it everything, and write the samples beside this file."""
    lab = Lab.ensure()
    try:
        lab.reset()
        keep("lab-questions", lab, looks(lab))
        keep("lab-refusals", lab, refusals(lab))
        keep("lab-growth", lab, growth(lab))
        lab.reset()
        wait_for_disks(lab)
        keep("lab-deeds", lab, deeds(lab))
    finally:
        lab.stop()


def keep(name: str, lab: Lab, samples: list[dict[str, Any]]) -> None:
    """One file of samples, with the versions of what was asked."""
    versions = lab.run("silo", VERSIONS, check=False).stdout.splitlines()
    document = {"system": "Debian 12", "versions": versions, "samples": samples}
    (HERE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"{name}: {len(samples)} samples")


def put(lab: Lab, machine: str, phrase: str, *words: Any) -> dict[str, Any]:
    """One phrase, said as root; what came of it."""
    said = phrase_of(phrase)(*words)
    line = f"LC_ALL=C {shlex.join(said.argv)}"
    if said.stdin:
        line = f"{line} <<'END_OF_INPUT'\n{said.stdin.decode()}END_OF_INPUT"
    done = lab.run(machine, line, check=False)
    return {
        "machine": machine,
        "phrase": phrase,
        "words": list(words),
        "argv": list(said.argv),
        "status": done.returncode,
        "stdout": done.stdout.splitlines(keepends=True),
        "stderr": done.stderr.splitlines(keepends=True),
    }


MAP, CRYPT = "/dev/mapper/mpatha", "/dev/mapper/tallcrypt"
TOWER: tuple[tuple[Any, ...], ...] = (
    ("web1", "paths"),
    ("web1", "node_records", "iqn.2026-11.com.example:tallvol"),
    ("web1", "partition_table", MAP),
    ("web1", "mapping", "tallcrypt"),
    ("web1", "physical_volumes"),
    ("web1", "segments", "vgtall"),
    ("web1", "signature", f"{MAP}-part1"),
    ("web1", "page_size"),
)
"""Questions about what stands on tallvol: a map, a partition, LUKS, a volume group."""


def looks(lab: Lab) -> list[dict[str, Any]]:
    """Every question, on machines where all is well."""
    mounts = {name: _mounts(lab, name) for name in lab.names}
    asked = [(machine, "facts") for machine in lab.names]
    rows: list[tuple[Any, ...]] = [*asked, ("silo", "target")]
    rows += [("silo", "logical_volumes", group) for group in ("vg0", "vgfull")]
    rows += [("silo", "volume_group", group) for group in ("vg0", "vgfull")]
    for machine, found in mounts.items():
        for device, point, kind in found:
            phrase = {"ext4": ("ext4", device), "xfs": ("xfs", point), "btrfs": ("btrfs", point)}
            rows += [(machine, *phrase[kind]), (machine, "signature", device)]
            rows += [(machine, "fullness", point)]
    rows += [("silo", "file_size", "/var/lib/extendctl/volumes/filevol")]
    rows += [("silo", "directory", "/var/lib/extendctl/volumes")]
    rows += [("silo", "filesystem_space", "/var/lib/extendctl/volumes")]
    rows += [("silo", "version", tool) for tool in ("lvs", "targetcli", "lvextend", "sudo")]
    rows += [("web1", "sysfs", "/sys/block/sda/device/wwid", "/sys/block/sda/device/state")]
    rows += [("web1", "version", tool) for tool in ("resize2fs", "xfs_growfs", "btrfs", "tee")]
    rows += [("silo", "physical_volumes"), ("silo", "segments", "vg0"), *TOWER]
    return [put(lab, *row) for row in rows]


def wait_for_disks(lab: Lab) -> None:
    """Let the sessions come back: a disk that is away answers every deed with ENXIO."""
    read = "for d in /dev/sd?; do dd if=$d of=/dev/null count=1 iflag=direct 2>&1 || exit 1; done"
    for machine in ("web1", "web2"):
        for _ in range(30):
            if lab.run(machine, read, check=False).returncode == 0:
                break
            time.sleep(2)


def _mounts(lab: Lab, machine: str) -> list[tuple[str, ...]]:
    done = lab.run(machine, "findmnt -rno SOURCE,TARGET,FSTYPE -t ext4,xfs,btrfs")
    rows = (line.split() for line in done.stdout.splitlines())
    return [tuple(row) for row in rows if row[1] != "/"]


def refusals(lab: Lab) -> list[dict[str, Any]]:
    """Questions and deeds that are refused, and touch nothing."""
    rows: list[tuple[Any, ...]] = [
        ("silo", "logical_volumes", "nope"),
        ("silo", "volume_group", "nope"),
        ("silo", "extend_lv", "vg0", "freevol", 256 * MIB),
        ("silo", "extend_lv", "vg0", "freevol", 100 * MIB),
        ("silo", "extend_lv", "vg0", "freevol", 900 * GIB),
        ("silo", "extend_lv", "vg0", "nope", GIB),
        ("silo", "extend_lv", "nope", "nope", GIB),
        ("silo", "extend_lv", "vgfull", "fullvol", GIB),
        ("silo", "create_lv", "vg0", "freevol", GIB, None),
        ("silo", "create_lv", "vg0", "huge", 900 * GIB, None),
        ("silo", "create_target", "iqn.2026-11.com.example:ext4vol"),
        ("silo", "create_backstore", "ext4vol", "/dev/vg0/ext4vol"),
        ("silo", "create_lun", "iqn.2026-11.com.example:ext4vol", "ext4vol"),
        ("silo", "grow_xfs", "/root"),
        ("silo", "grow_btrfs", 1, "/root"),
        ("silo", "grow_ext4", "/dev/vg0/freevol"),
        ("silo", "ext4", "/dev/vg0/freevol"),
        ("silo", "xfs", "/root"),
        ("silo", "btrfs", "/root"),
        ("silo", "signature", "/dev/vg0/freevol"),
        ("silo", "file_size", "/nope"),
        ("silo", "directory", "/nope"),
        ("silo", "refresh_loop", "loop77"),
        ("web1", "rescan_path", "sdzz"),
        ("web1", "sysfs", "/sys/block/sdzz/size", "/sys/block/sda/size"),
    ]
    return [put(lab, *row) for row in rows] + _unprivileged(lab)


def _unprivileged(lab: Lab) -> list[dict[str, Any]]:
    """What sudo says to those who may not, in the words that the program sends."""
    samples = []
    for user in ("nosudo", "pwsudo", "ops"):
        for words in ("sudo -n -l lvs", "sudo -n lvs --version", "lvs vg0", "sudo -n nope"):
            done = lab.run("silo", f"su {user} -s /bin/sh -c {shlex.quote(words)}", check=False)
            samples.append(
                {
                    "machine": "silo",
                    "user": user,
                    "argv": words.split(),
                    "status": done.returncode,
                    "stdout": done.stdout.splitlines(keepends=True),
                    "stderr": done.stderr.splitlines(keepends=True),
                }
            )
    return samples


def deeds(lab: Lab) -> list[dict[str, Any]]:
    """An extension, deed for deed, and each deed once more when there is nothing left to do."""
    rows: list[tuple[Any, ...]] = [
        ("silo", "extend_lv", "vg0", "ext4vol", 612 * MIB),
        ("silo", "extend_lv", "vg0", "xfsvol", 612 * MIB),
        ("silo", "extend_lv", "vg0", "btrfsvol", 612 * MIB),
        ("silo", "extend_lv", "vg0", "tallvol", 1124 * MIB),
        ("silo", "target"),
    ]
    for machine in ("web1", "web2"):
        listed = lab.run(machine, "cd /sys/block; for d in sd*; do echo $d; done").stdout
        rows += [(machine, "rescan_path", device) for device in listed.split()]
        for device, point, kind in _mounts(lab, machine):
            deed = {
                "ext4": ("grow_ext4", device),
                "xfs": ("grow_xfs", point),
                "btrfs": ("grow_btrfs", 1, point),
            }[kind]
            look = {"ext4": ("ext4", device), "xfs": ("xfs", point), "btrfs": ("btrfs", point)}
            rows += [(machine, *deed), (machine, *deed), (machine, *look[kind])]
    rows += [*_twice(RISE), *TOWER]
    rows += [("silo", "create_lv", "vg0", "newvol", 32 * MIB, None)]
    rows += [("silo", "create_backstore", "newvol", "/dev/vg0/newvol")]
    rows += [("silo", "create_target", "iqn.2026-11.com.example:newvol")]
    rows += [("silo", "target")]
    rows += [("silo", "create_portal", "iqn.2026-11.com.example:newvol", "10.10.1.1", 3260)]
    rows += [("silo", "create_lun", "iqn.2026-11.com.example:newvol", "newvol")]
    iqn = "iqn.2026-11.com.example:newvol"
    rows += [("silo", "create_acl", iqn, "iqn.2026-11.com.example:web9"), ("silo", "save_target")]
    return [put(lab, *row) for row in rows]


RISE: tuple[tuple[Any, ...], ...] = (
    ("web1", "resize_map", "mpatha"),
    ("web1", "write_partition", MAP, 1, 1122 * MIB // 512),  # a MiB before it, and one behind
    ("web1", "settle"),
    ("web1", "remap_partitions", MAP, "-part"),
    ("web1", "resize_luks", "tallcrypt", LUKS_KEYS["tallcrypt"]),
    ("web1", "resize_pv", CRYPT),
    ("web1", "extend_lv", "vgtall", "data", 1040 * MIB),
    ("web1", "grow_ext4", "/dev/mapper/vgtall-data"),
)
"""What lets all that stands on tallvol follow it, by 100 MiB."""


def _twice(rows: tuple[tuple[Any, ...], ...]) -> list[tuple[Any, ...]]:
    return [row for row in rows for _ in range(2)]


GROWN = (  # filesystem, how it is made, bytes before, bytes after
    ("ext4", "mkfs.ext4 -q", 10 * GIB, 10372 * MIB),
    ("ext4", "mkfs.ext4 -q", GIB, 3 * GIB - 2_010_624 // 4096 * 4096 - 4096),
    # To the block: the last group is left out up to 563 blocks, 692 with a superblock, and so on.
    *(("ext4", "mkfs.ext4 -q", GIB, (16 * 32768 + rest) * 4096) for rest in (1, 515, 563, 564)),
    *(("ext4", "mkfs.ext4 -q", GIB, (27 * 32768 + rest) * 4096) for rest in (564, 644, 692, 693)),
    *(("ext4", "mkfs.ext4 -q", GIB, (729 * 32768 + rest) * 4096) for rest in (655, 692, 704)),
    *(("ext4", "mkfs.ext4 -q", 10 * GIB, (81 * 32768 + rest) * 4096) for rest in (1590, 1591)),
    *(("ext4", "mkfs.ext4 -q -i 4096", GIB, (16 * 32768 + rest) * 4096) for rest in (2099, 2100)),
    ("ext4", "mkfs.ext4 -q -b 1024", 100 * MIB, 301 * MIB),
    ("ext4", "mkfs.ext4 -q -b 1024", 100 * MIB, 328 * MIB + 512),
    ("ext4", "mkfs.ext4 -q -i 4096", GIB, 2 * GIB + 8 * MIB),
    ("ext4", "mkfs.ext4 -q -O ^64bit", GIB, 2 * GIB + 3 * MIB),
    ("ext4", "mkfs.ext4 -q -O ^flex_bg", GIB, 2 * GIB + MIB),
    ("ext4", "mkfs.ext3 -q", GIB, 2 * GIB + MIB),
    ("xfs", "mkfs.xfs -q", 512 * MIB, GIB),
    *(("xfs", "mkfs.xfs -q", 512 * MIB, GIB + rest * 4096) for rest in (1, 63, 64, 65)),
    ("xfs", "mkfs.xfs -q", 512 * MIB, 513 * MIB + 512),
    ("xfs", "mkfs.xfs -q -b size=1024", 512 * MIB, 700 * MIB + 512),
    ("btrfs", "mkfs.btrfs -q", 512 * MIB, GIB + 512),
    ("btrfs", "mkfs.btrfs -q", 512 * MIB, 512 * MIB + 4096),
)  # fmt: skip


def growth(lab: Lab) -> list[dict[str, Any]]:
    """Filesystems on loop devices that grow online: geometry before, device, geometry after."""
    return [_grown(lab, *row) for row in GROWN]


def _grown(lab: Lab, kind: str, make: str, before: int, after: int) -> dict[str, Any]:
    point, file = "/mnt/growth", "/var/growth.img"
    lines = (
        f"mkdir -p {point}; rm -f {file}; truncate -s {before} {file}",
        f"{make} {file}; modprobe -q loop; L=$(losetup -f --show {file})",
        f"mount $L {point}; echo $L",
    )
    device = lab.run("silo", "; ".join(lines)).stdout.split()[-1]
    looks = {"ext4": ("ext4", device), "xfs": ("xfs", point), "btrfs": ("btrfs", point)}
    look: tuple[Any, ...] = looks[kind]
    deed: tuple[Any, ...] = {
        "ext4": ("grow_ext4", device),
        "xfs": ("grow_xfs", point),
        "btrfs": ("grow_btrfs", 1, point),
    }[kind]
    first = put(lab, "silo", *look)
    lab.run("silo", f"truncate -s {after} {file}; losetup -c {device}")
    acted = put(lab, "silo", *deed)
    second = put(lab, "silo", *look)
    lab.run("silo", f"umount {point}; losetup -d {device}; rm -f {file}")
    print(f"{make}: {before} -> {after}: exit {acted['status']}")
    return {"made": make, "bytes": after, "before": first, "deed": acted, "after": second}


if __name__ == "__main__":
    main()
