"""The table of volumes that a fresh lab holds; a line here is all that one more takes."""

from dataclasses import dataclass

from tests.lab.recipe import IQN

VOLUME_DIRECTORY = "/var/lib/extendctl/volumes"
THIN_POOL = ("vg0", "pool", "1536M")


@dataclass(frozen=True)
class Volume:
    """One volume on silo: where it lives, who gets it, and what stands on it.

    `stack` has what lies between device and filesystem, lowest first: gpt, luks:NAME, lvm:VG/LV.
    """

    name: str
    size: str
    group: str = "vg0"
    kind: str = "thick"  # thick, thin, file
    exports: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (machine, portals)
    stack: tuple[str, ...] = ()
    filesystem: str | None = None

    @property
    def iqn(self) -> str:
        """The name of its iSCSI target."""
        return f"{IQN}:{self.name}"

    @property
    def portals(self) -> tuple[str, ...]:
        """Every address that its target listens on."""
        return tuple(dict.fromkeys(p for _, portals in self.exports for p in portals))

    @property
    def mountpoint(self) -> str:
        """Where its filesystem is mounted, if it has one."""
        return f"/srv/{self.name}"

    @property
    def user(self) -> str:
        """The machine on which its content is made: the first one it is exported to, else silo."""
        return self.exports[0][0] if self.exports else "silo"


VOLUMES = (
    Volume("ext4vol", "512M", exports=(("web1", ("10.10.1.1",)),), filesystem="ext4"),
    Volume("xfsvol", "512M", exports=(("web1", ("10.10.1.1",)),), filesystem="xfs"),
    Volume(
        "btrfsvol", "512M", kind="thin", exports=(("web2", ("10.10.3.1",)),), filesystem="btrfs"
    ),
    Volume("rawvol", "256M", exports=(("web1", ("10.10.1.1",)), ("web2", ("10.10.3.1",)))),
    Volume("freevol", "256M"),
    Volume("localvol", "512M", filesystem="ext4"),
    Volume("filevol", "512M", kind="file", filesystem="xfs"),
    Volume(
        "tallvol",
        "1G",
        exports=(("web1", ("10.10.1.1", "10.10.2.1")),),
        stack=("gpt", "luks:tallcrypt", "lvm:vgtall/data"),
        filesystem="ext4",
    ),
    # The smaller machine room: a volume group without a single extent to spare.
    Volume("fullvol", "300M", group="vgfull"),
)

# The mapping's key file, on the machine that opens it.
LUKS_KEYS = {"tallcrypt": "/root/tallvol.key"}


def mounted_on(machine: str) -> tuple[Volume, ...]:
    """The volumes whose filesystem is mounted on this machine."""
    return tuple(v for v in VOLUMES if v.filesystem and v.user == machine)


def exported_to(machine: str) -> tuple[tuple[Volume, tuple[str, ...]], ...]:
    """Each volume that this machine logs in to, with the portals that it uses."""
    return tuple((v, portals) for v in VOLUMES for name, portals in v.exports if name == machine)
