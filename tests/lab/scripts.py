"""Turns the table of volumes into the shell scripts that provision the running machines."""

import shlex

from tests.lab.recipe import MACHINES
from tests.lab.volumes import (
    LUKS_KEYS,
    THIN_POOL,
    VOLUME_DIRECTORY,
    VOLUMES,
    Volume,
    exported_to,
    mounted_on,
)

_PRELUDE = """set -eux
export LC_ALL=C
wait_for() {
    for _ in $(seq 300); do [ -e "$1" ] && return; sleep 0.2; done
    echo "no $1" >&2; exit 1
}
"""

_GROUPS = """
pvcreate -q /dev/disk/by-id/virtio-lab-vdb
vgcreate -q vg0 /dev/disk/by-id/virtio-lab-vdb
printf 'label: gpt\\nsize=7680M\\nsize=304M\\n' | sfdisk -q /dev/disk/by-id/virtio-lab-vdc
udevadm settle
vgcreate -q vg1 /dev/vdc1
vgcreate -q vgfull /dev/vdc2
"""

_NODES = (
    # Seen: records made by `-o new` do not all take their start-up mode from iscsid.conf.
    "iscsiadm -m node -o update -n node.startup -v automatic",
    # An emulated machine may have to wait seconds for its turn; the default of 5 s takes that for a
    # dead target, and then a busy computer makes errors that no test has asked for.
    "iscsiadm -m node -o update -n node.conn[0].timeo.noop_out_timeout -v 15",
    "sed -i 's/^\\(node.conn.*noop_out_timeout\\) = .*/\\1 = 15/' /etc/iscsi/iscsid.conf",
    "iscsiadm -m node --loginall=all",
)

# For the same reason: systemd's default is 90 s for a device to appear at boot.
_WAIT = "x-systemd.device-timeout=300"

_MKFS = {
    "ext4": "mkfs.ext4 -q -F -E nodiscard -L {label}",
    "xfs": "mkfs.xfs -q -f -K -L {label}",
    "btrfs": "mkfs.btrfs -q -f -K -L {label}",
}


def silo_script() -> str:
    """Makes volume groups, volumes, targets, and the filesystems that silo mounts itself."""
    pool_group, pool, pool_size = THIN_POOL
    lines = [
        _PRELUDE,
        _GROUPS,
        f"lvcreate -q -y --type thin-pool -L {pool_size} -n {pool} {pool_group}",
    ]
    lines += [_create(v) for v in VOLUMES]
    lines += ["targetcli <<'END'", *_target_lines(), "END"]
    # targetcli keeps its preferences here; whoever uses it next finds Debian's defaults.
    lines += ["rm -rf /root/.targetcli"]
    for volume in mounted_on("silo"):
        where = (
            f"{VOLUME_DIRECTORY}/{volume.name}"
            if volume.kind == "file"
            else f"/dev/{volume.group}/{volume.name}"
        )
        lines += [f"dev={where}", *_content(volume, net=False)]
    return "\n".join([*lines, "systemctl daemon-reload", ""])


def host_script(machine: str) -> str:
    """Logs a host in to its targets, then builds and mounts what stands on them."""
    lines = [_PRELUDE]
    for volume, portals in exported_to(machine):
        lines += [f"iscsiadm -m node -o new -T {volume.iqn} -p {portal}" for portal in portals]
    lines += [*_NODES, "udevadm settle"]
    for volume, portals in exported_to(machine):
        lines += [
            f"dev=/dev/disk/by-path/ip-{p}:3260-iscsi-{volume.iqn}-lun-0; wait_for $dev"
            for p in portals
        ]
        if len(portals) > 1:
            lines += _multipath()
        if volume.user == machine and volume.filesystem:
            lines += _content(volume, net=True)
    return "\n".join([*lines, "systemctl daemon-reload", ""])


def _create(volume: Volume) -> str:
    """The command that makes the volume itself."""
    if volume.kind == "file":
        return f"truncate -s {volume.size} {VOLUME_DIRECTORY}/{volume.name}"
    if volume.kind == "thin":
        where = f"-V {volume.size} --thinpool {THIN_POOL[1]}"
    else:
        where = f"-L {volume.size}"
    return f"lvcreate -q -y {where} -n {volume.name} {volume.group}"


def _target_lines() -> list[str]:
    """One targetcli session for all targets: starting it costs three emulated seconds."""
    initiators = {spec.name: spec.initiator for spec in MACHINES}
    lines = ["set global auto_add_default_portal=false auto_save_on_exit=false"]
    for volume in (v for v in VOLUMES if v.exports):
        tpg = f"/iscsi/{volume.iqn}/tpg1"
        lines += [
            f"/backstores/block create name={volume.name} dev=/dev/{volume.group}/{volume.name}",
            f"/iscsi create {volume.iqn}",
            f"{tpg}/luns create /backstores/block/{volume.name}",
            *(f"{tpg}/acls create {initiators[machine]}" for machine, _ in volume.exports),
            *(f"{tpg}/portals create {portal} 3260" for portal in volume.portals),
        ]
    return [*lines, "saveconfig", "exit"]


def _multipath() -> list[str]:
    """Waits for the map over the path in $dev, and goes on with the map."""
    return [
        "sd=$(basename $(readlink -f $dev))",
        "for _ in $(seq 100); do",
        'dm=$(ls /sys/block/$sd/holders); [ -n "$dm" ] && break; sleep 0.3',
        "done",
        "dev=/dev/mapper/$(cat /sys/block/$dm/dm/name); wait_for $dev",
    ]


def _content(volume: Volume, *, net: bool) -> list[str]:
    """Builds the layers over $dev, the filesystem and its mount, now and after a reboot."""
    lines = [line for layer in volume.stack for line in _layer(layer)]
    options = f"nofail,{_WAIT}{',_netdev' if net else ''}{',loop' if volume.kind == 'file' else ''}"
    source = "$dev" if volume.kind == "file" else f"LABEL={volume.name}"
    assert volume.filesystem
    return [
        *lines,
        f"{_MKFS[volume.filesystem].format(label=volume.name)} $dev",
        f"mkdir -p {volume.mountpoint}",
        f'echo "{source} {volume.mountpoint} {volume.filesystem} {options} 0 0" >> /etc/fstab',
        "udevadm settle",
        f"mount {volume.mountpoint}",
    ]


def _layer(layer: str) -> list[str]:
    """Builds one layer over $dev and leaves its device in $dev."""
    kind, _, name = layer.partition(":")
    if kind == "gpt":
        return [
            "printf 'label: gpt\\n,\\n' | sfdisk -q $dev",
            "udevadm settle",
            "dev=$dev-part1; wait_for $dev",
        ]
    if kind == "luks":
        key = shlex.quote(LUKS_KEYS[name])
        return [
            f"(umask 077; head -c 64 /dev/urandom > {key})",
            # The default key derivation wants a gigabyte of memory and many emulated seconds.
            "kdf='--pbkdf pbkdf2 --pbkdf-force-iterations 1000'",
            f"cryptsetup luksFormat -q --type luks2 $kdf $dev {key}",
            f"cryptsetup open --key-file {key} $dev {name}",
            "uuid=$(cryptsetup luksUUID $dev)",
            f'echo "{name} UUID=$uuid {key} luks,_netdev,nofail,{_WAIT}" >> /etc/crypttab',
            # Without it nothing opens a mapping on the network at boot.
            "systemctl enable -q remote-cryptsetup.target",
            f"dev=/dev/mapper/{name}",
        ]
    group, _, lv = name.partition("/")
    return [
        f"vgcreate -q {group} $dev",
        # 64 MiB stay free on purpose: growing the volume must not take them.
        f"free=$(vgs --noheadings --nosuffix --units m -o vg_free {group})",
        "free=$(echo ${free%.*})",
        f"lvcreate -q -y -L $((free - 64))m -n {lv} {group}",
        f"dev=/dev/{group}/{lv}",
    ]
