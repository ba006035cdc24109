"""Stacks of every kind on web1, built in a running lab on silo's second volume group."""

from dataclasses import dataclass

from tests.lab.lab import Lab
from tests.lab.program import Program
from tests.lab.recipe import IQN, MACHINES
from tests.lab.volumes import LUKS_KEYS

PORTALS = ("10.10.1.1", "10.10.2.1")
KEYS = {"crypt1": "/root/tall.key", "crypt2": "/root/tall.key", "cryptlv": "/root/tall.key"}

PRELUDE = """set -eu
export LC_ALL=C
wait_for() {
    for _ in $(seq 300); do [ -e "$1" ] && return; sleep 0.2; done
    echo "no $1" >&2; exit 1
}
path() { echo /dev/disk/by-path/ip-$2:3260-iscsi-IQN:$1-lun-0; }
table() { printf "label: $2\\n,\\n" | sfdisk -q $1; udevadm settle; }
luks() {  # device, mapping, type
    quick="--pbkdf pbkdf2 --pbkdf-force-iterations 1000"
    cryptsetup luksFormat -q --type $3 $quick $1 /root/tall.key
    cryptsetup open --key-file /root/tall.key $1 $2
}
group() { vgcreate -q $2 $1 2>/dev/null; }
volume() { lvcreate -q -y -Wn -L $2 -n ${1#*/} ${1%/*}; }  # group/volume, size
made() {  # device, type, mount point
    case $2 in
    ext4) mkfs.ext4 -q -F -E nodiscard $1;;
    *) mkfs.$2 -q -f -K $1;;
    esac
    mkdir -p "$3"; mount $1 "$3"
}
""".replace("IQN", IQN)


NEAR = "/var/lib/near"
"""Where web1 keeps the files of its own volumes."""


@dataclass(frozen=True)
class Tall:
    """A volume, what is built over its `$dev` on web1, and the layers that this makes there.

    `near` is a file on web1 under a loop device; `sector` the LUN's block size in bytes.
    """

    name: str
    build: str
    layers: tuple[str, ...]
    mountpoint: str | None = None
    portals: int = 1
    sector: int = 512
    near: bool = False

    @property
    def backend(self) -> str:
        """The backend that has it, by the name in the configuration."""
        return "near" if self.near else "second"


TALL = (
    Tall(
        "lukslv",
        "group $dev vgll; volume vgll/data 320M; luks /dev/vgll/data cryptlv luks2\n"
        "made /dev/mapper/cryptlv xfs /srv/lukslv",
        ("path", "pv", "guest-lv", "luks", "xfs"),
        "/srv/lukslv",
    ),
    Tall(
        "lvluks",
        "luks $dev crypt2 luks2; group /dev/mapper/crypt2 vg-two; volume vg-two/the-data 200M\n"
        "made /dev/vg-two/the-data ext4 /srv/lvluks",
        ("path", "luks", "pv", "guest-lv", "ext4"),
        "/srv/lvluks",
    ),
    Tall(
        "mbrvol",
        "table $dev dos; made $dev-part1 ext4 /srv/mbrvol",
        ("path", "partition", "ext4"),
        "/srv/mbrvol",
    ),
    Tall(
        "gptxfs",
        "table $dev gpt; made $dev-part1 xfs '/srv/with space'\n"
        "mkdir -p /srv/bound '/srv/with space/in'; mount --bind '/srv/with space/in' /srv/bound",
        ("path", "partition", "xfs"),
        "/srv/with space",
    ),
    Tall(
        "gptbtrfs",
        "table $dev gpt; made $dev-part1 btrfs /srv/gptbtrfs",
        ("path", "partition", "btrfs"),
        "/srv/gptbtrfs",
    ),
    Tall(
        "luks1vol",
        "luks $dev crypt1 luks1; made /dev/mapper/crypt1 ext4 /srv/luks1vol",
        ("path", "luks", "ext4"),
        "/srv/luks1vol",
    ),
    Tall(
        "plainvol",
        "head -c 64 /dev/urandom > /root/plain.key\n"
        "cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 "
        "--key-file /root/plain.key $dev plain\n"
        "made /dev/mapper/plain ext4 /srv/plainvol",
        ("path", "luks", "ext4"),
        "/srv/plainvol",
    ),
    Tall(
        "swapvol",
        "mkswap -q -L 'my swap' $dev; swapon -p 7 $dev",
        ("path", "swap"),
    ),
    Tall(
        "freevg",
        "group $dev vgfree; volume vgfree/data 200M; made /dev/vgfree/data ext4 /srv/freevg",
        ("path", "pv", "guest-lv", "ext4"),
        "/srv/freevg",
    ),
    Tall(
        "twolvs",
        "group $dev vgtwo; volume vgtwo/one 100M; volume vgtwo/two 100M\n"
        "made /dev/vgtwo/one ext4 /srv/twolvs",
        ("path", "pv"),
    ),
    Tall(
        "aliasvol",
        "made $dev ext4 /srv/aliasvol",
        ("path", "multipath", "ext4"),
        "/srv/aliasvol",
        portals=2,
    ),
    Tall(
        "fourk",
        "table $dev gpt; made $dev-part1 xfs /srv/fourk",
        ("path", "partition", "xfs"),
        "/srv/fourk",
        sector=4096,
    ),
    Tall(
        "loopgpt",
        "table $dev gpt; made ${dev}p1 ext4 /srv/loopgpt",
        ("file", "loop", "partition", "ext4"),
        "/srv/loopgpt",
        near=True,
    ),
    Tall(
        "loopmbr",
        "table $dev dos; made ${dev}p1 btrfs /srv/loopmbr",
        ("file", "loop", "partition", "btrfs"),
        "/srv/loopmbr",
        near=True,
    ),
    Tall("btrtwo", "made $dev btrfs /srv/btrtwo", ("path", "btrfs"), "/srv/btrtwo"),
    Tall("btrmore", "btrfs -q device add -f -K $dev /srv/btrtwo", ("path", "btrfs")),
    Tall("offline", "mkfs.ext4 -q -F -E nodiscard $dev", ("path", "ext4")),
)


def build(lab: Lab, stacks: tuple[Tall, ...] = TALL, size: str = "360M") -> None:
    """Makes volumes of this size on silo, serves them, and builds their stacks on web1."""
    served = tuple(one for one in stacks if not one.near)
    lab.run("silo", _serve(served, size), timeout=300)
    lab.run("web1", "\n".join([PRELUDE, *_login(served)]), timeout=300)
    lab.run("web1", "\n".join([PRELUDE, *_stand(stacks, size)]), timeout=500)


def configure(ready: Program) -> Program:
    """The same program with two backends more, and the key of every mapping."""
    backend = "driver: iscsi, target: lio, host: silo, volume_group: vg1"
    near = f"driver: file, host: web1, directory: {NEAR}"
    lines = [
        f"  {name}: {{{what}, capabilities: [in-use-extend]}}"
        for name, what in (("second", backend), ("near", near))
    ]
    ready.edit("backends:\n", "\n".join(["backends:", *lines, ""]))
    return ready.edit(f"{{{_keys(LUKS_KEYS)}}}", f"{{{_keys(LUKS_KEYS | KEYS)}}}")


def _keys(files: dict[str, str]) -> str:
    return ", ".join(f"{mapping}: {file}" for mapping, file in files.items())


def _serve(stacks: tuple[Tall, ...], size: str) -> str:
    initiator = next(spec.initiator for spec in MACHINES if spec.name == "web1")
    lines = ["set -e", *(f"lvcreate -q -y -Wn -L {size} -n {one.name} vg1" for one in stacks)]
    lines += ["targetcli <<'END'"]
    lines += ["set global auto_add_default_portal=false auto_save_on_exit=false"]
    for one in stacks:
        tpg = f"/iscsi/{IQN}:{one.name}/tpg1"
        lines += [
            f"/backstores/block create name={one.name} dev=/dev/vg1/{one.name}",
            f"/backstores/block/{one.name} set attribute block_size={one.sector}",
            f"/iscsi create {IQN}:{one.name}",
            f"{tpg}/luns create /backstores/block/{one.name}",
            f"{tpg}/acls create {initiator}",
            *(f"{tpg}/portals create {portal} 3260" for portal in PORTALS[: one.portals]),
        ]
    return "\n".join([*lines, "saveconfig", "exit", "END", "rm -rf /root/.targetcli"])


def _login(stacks: tuple[Tall, ...]) -> list[str]:
    """Sessions, and an alias for the map of the one that has two paths."""
    lines = ["[ -e /root/tall.key ] || (umask 077; head -c 64 /dev/urandom > /root/tall.key)"]
    for one in stacks:
        for portal in PORTALS[: one.portals]:
            node = f"iscsiadm -m node -T {IQN}:{one.name} -p {portal}"
            lines += [f"{node} -o new >/dev/null", f"{node} --login >/dev/null"]
            lines += [f"wait_for $(path {one.name} {portal})"]
        if one.portals > 1:
            alias = f"wwid $wwid\\n  alias {one.name}1"
            text = f"multipaths {{\\n multipath {{\\n  {alias}\\n }}\\n}}\\n"
            lines += [f"wwid=$(/lib/udev/scsi_id -g -u $(path {one.name} {PORTALS[0]}))"]
            lines += [f'printf "{text}" >> /etc/multipath.conf']
    if any(one.portals > 1 for one in stacks):
        lines += ["multipathd reconfigure >/dev/null"]
    return [*lines, "udevadm settle"]


def _stand(stacks: tuple[Tall, ...], size: str) -> list[str]:
    lines = []
    for one in stacks:
        if one.near:
            file = f"{NEAR}/{one.name}"
            lines += [f"mkdir -p -m 700 {NEAR}; truncate -s {size} {file}"]
            lines += [f"dev=$(losetup -P --find --show {file})"]
        elif one.portals > 1:
            lines += [f"dev=/dev/mapper/{one.name}1", "wait_for $dev"]
        else:
            lines += [f"dev=$(path {one.name} {PORTALS[0]})"]
        lines += one.build.splitlines()
    return [*lines, "udevadm settle"]
