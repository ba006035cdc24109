"""Says of what the lab's machines are made: packages, machines, cards, disks, users."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROVISION = HERE / "provision"

PACKAGES = (
    "linux-image-amd64", "systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2",
    "openssh-server", "sudo", "python3",
    "lvm2", "thin-provisioning-tools", "cryptsetup", "multipath-tools", "kpartx",
    "targetcli-fb", "open-iscsi", "tgt", "nvme-cli", "sg3-utils",
    "parted", "cloud-guest-utils", "gdisk", "fdisk",
    "xfsprogs", "btrfs-progs", "e2fsprogs", "fio",
)  # fmt: skip

# Left out while unpacking: nothing in an emulated machine reads it, and it is half of the image.
EXCLUDED = (
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
    "/lib/modules/*/kernel/sound/*",
    *(f"/lib/modules/*/kernel/drivers/{kind}/*"
      for kind in ("gpu", "media", "net/wireless", "net/ethernet", "iio", "infiniband/hw")),
)  # fmt: skip

# All that the kernel needs in order to reach its root disk; Debian's default is 30 MB more.
INITRD_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")

KERNEL_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 ipv6.disable=1 mitigations=off apparmor=0 "
    # An emulated CPU that waits for its turn is neither locked up nor stalled.
    "nowatchdog rcupdate.rcu_cpu_stall_suppress=1"
)

IQN = "iqn.2026-11.com.example"
USERS = ("root", "ops", "nosudo", "pwsudo")
ROOT_DISK_SIZE = "4G"


@dataclass(frozen=True)
class Disk:
    """An extra disk of a machine; its serial names it under /dev/disk/by-id."""

    name: str
    size: str

    @property
    def serial(self) -> str:
        """What udev makes virtio-SERIAL of."""
        return f"lab-{self.name}"


@dataclass(frozen=True)
class Card:
    """A network card on one of the iSCSI networks 10.10.N.0/24."""

    network: int
    host: int

    @property
    def address(self) -> str:
        """The IP address of this end of the link."""
        return f"10.10.{self.network}.{self.host}"

    @property
    def mac(self) -> str:
        """Unique within the lab, and the same on every start."""
        return f"52:54:00:10:{self.network:02x}:{self.host:02x}"


@dataclass(frozen=True)
class MachineSpec:
    """One virtual machine."""

    name: str
    memory: int
    cards: tuple[Card, ...]
    disks: tuple[Disk, ...] = ()

    @property
    def mac(self) -> str:
        """Of the card that ssh comes in through; these networks are apart, so all may share it."""
        return "52:54:00:10:00:0f"

    @property
    def initiator(self) -> str:
        """The iSCSI initiator name."""
        return f"{IQN}:{self.name}"

    @property
    def machine_id(self) -> str:
        """Static, so that a restored machine and a rebooted one are the same to systemd."""
        return hashlib.md5(f"extendctl lab {self.name}".encode(), usedforsecurity=False).hexdigest()


SILO = MachineSpec(
    "silo", 1024, (Card(1, 1), Card(2, 1), Card(3, 1)), (Disk("vdb", "8G"), Disk("vdc", "8G"))
)
WEB1 = MachineSpec("web1", 640, (Card(1, 11), Card(2, 11)))
WEB2 = MachineSpec("web2", 512, (Card(3, 12),))
MACHINES = (SILO, WEB1, WEB2)


def identity_files(spec: MachineSpec) -> dict[str, str]:
    """The files in which one machine differs from the others, but for its ssh host key."""
    lines = [f"{spec.mac} 10.0.2.15/24 1500"]
    # Large frames: each emulated packet costs, and iSCSI moves a lot of them.
    lines += [f"{card.mac} {card.address}/24 9000" for card in spec.cards]
    return {
        "etc/hostname": f"{spec.name}\n",
        "etc/machine-id": f"{spec.machine_id}\n",
        "etc/iscsi/initiatorname.iscsi": f"InitiatorName={spec.initiator}\n",
        "etc/lab-network": "".join(f"{line}\n" for line in lines),
    }
