"""Ready-made sites: a volume, the machines it lives and is used on, and how to see its layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extendctl.backends import Backend
from extendctl.backends import build as build_backend
from extendctl.compute.linux import LinuxCompute
from extendctl.config import BackendConfig, Config, HostConfig, PolicyConfig
from extendctl.host import Host, Watcher
from extendctl.model import Capability, GrowOptions
from extendctl.stack import Layer, Stack, Trunk
from tests.world import build, nvme, tgt
from tests.world.state import GIB, State
from tests.world.world import World

POINT = "/srv/vol1"
FILES = "/var/lib/extendctl/volumes"


PLAIN = GrowOptions()


@dataclass(frozen=True)
class Site:
    """A world with one volume in it, of 10 GiB. `users` are the machines that it is attached to."""

    world: World
    backend: BackendConfig
    source: str
    users: tuple[str, ...] = ()
    user: str = "ops"

    @property
    def silo(self) -> str:
        """The machine that the backend is on."""
        return self.backend.host

    def configs(self) -> dict[str, HostConfig]:
        """Every machine as a configured host."""
        return {
            name: HostConfig(name, address=f"192.0.2.{10 + number}", user=self.user)
            for number, name in enumerate(self.world.state.machines)
        }

    def hosts(self, watcher: Watcher | None = None) -> dict[str, Host]:
        """Every machine as the program sees it, with nothing remembered."""
        is_root = self.user == "root"
        return {
            name: Host(config, self.world.line(config), is_root=is_root, watcher=watcher)
            for name, config in self.configs().items()
        }

    def config(self, state: Path | str = "sqlite://") -> Config:
        """The configuration of a program that works on this site."""
        url = f"sqlite:///{state}" if isinstance(state, Path) else state
        waits = {"volume:extend_with_pause": "allow"} if self.backend.target == "tgt" else {}
        policy = PolicyConfig(rules=waits)
        return Config(url, self.configs(), {self.backend.name: self.backend}, policy)

    def driver(self, hosts: dict[str, Host]) -> Backend:
        """The backend's driver."""
        return build_backend(self.backend, hosts[self.silo])

    def trunk(self, hosts: dict[str, Host]) -> Trunk:
        """The backend's layers."""
        return self.driver(hosts).trunk(self.source)

    def branches(self, hosts: dict[str, Host], options: GrowOptions = PLAIN) -> dict[str, Stack]:
        """The layers on each host that it is attached to."""
        identity = self.trunk(hosts).identity
        assert identity is not None, f"{self.source} is served to nobody"
        return {name: LinuxCompute(hosts[name]).stack(identity, options) for name in self.users}

    def layers(self, hosts: dict[str, Host]) -> tuple[Layer, ...]:
        """Trunk and branches in a row."""
        found = [layer for stack in self.branches(hosts).values() for layer in stack.layers]
        return (*self.trunk(hosts).layers, *found)


ISCSI = BackendConfig(
    "san", "iscsi", "silo", frozenset(Capability), target="lio", volume_group="vg0"
)
LVM = BackendConfig("fast", "lvm", "silo", frozenset(Capability), volume_group="vg0")
THIN = BackendConfig(
    "thin", "iscsi", "silo", frozenset(Capability), target="lio", volume_group="vg0", pool="tp0"
)
FILEIO = BackendConfig(
    "nas", "iscsi", "silo", frozenset(Capability), target="lio", directory="/srv/lio"
)
TGT = BackendConfig("old", "iscsi", "silo", frozenset(Capability), target="tgt", volume_group="vg0")
NVMET = BackendConfig(
    "nvm", "iscsi", "silo", frozenset(Capability), target="nvmet", volume_group="vg0"
)
FILE = BackendConfig("files", "file", "here", frozenset(Capability), directory=FILES)


def _silo(state: State, **more: Any) -> str:
    build.machine(state, "silo")
    build.group(state, "silo")
    build.volume(state, "silo", "vg0/vol1", **more)
    return build.export(state, "silo", "vg0/vol1")


def _served(path: Path | None, type_: str | None, *users: str, **more: Any) -> World:
    state = State()
    lun = _silo(state, **more)
    for name in users:
        build.machine(state, name)
        build.disk(state, name, lun)
    if type_ is not None:
        build.filesystem(state, users[0], "sdb", type_)
        build.mount(state, users[0], "sdb", POINT)
    return World(path, state)


def iscsi_ext4(path: Path | None = None) -> Site:
    """An ext4 on web1, over a LUN that silo serves from a logical volume."""
    return Site(_served(path, "ext4", "web1"), ISCSI, "vol1", ("web1",))


def iscsi_xfs(path: Path | None = None) -> Site:
    """The same with xfs."""
    return Site(_served(path, "xfs", "web1"), ISCSI, "vol1", ("web1",))


def iscsi_btrfs_thin(path: Path | None = None) -> Site:
    """A btrfs over a thin logical volume."""
    site = Site(_served(path, "btrfs", "web1"), THIN, "vol1", ("web1",))
    with site.world.change() as state:
        volumes = state.machines["silo"].groups["vg0"].volumes
        pool = build.volume(state, "silo", "vg0/tp0", 50 * GIB, segtype="thin-pool")
        pool.data_percent, pool.metadata_percent = 12.34, 10.94
        volumes["vol1"].segtype, volumes["vol1"].pool = "thin", "tp0"
        volumes["vol1"].data_percent = 61.7
    return site


def iscsi_striped(path: Path | None = None) -> Site:
    """An xfs over a logical volume with three stripes: it grows by 12 MiB at a time."""
    world = _served(
        path, "xfs", "web1", segtype="striped", stripes=3, size=10 * GIB + 8 * (1 << 20)
    )
    return Site(world, ISCSI, "vol1", ("web1",))


def shared(path: Path | None = None) -> Site:
    """A LUN that two hosts see and nothing is written on."""
    return Site(_served(path, None, "web1", "web2"), ISCSI, "vol1", ("web1", "web2"))


def two_paths(path: Path | None = None) -> Site:
    """A LUN that one host sees twice, as sdb and sdc, without multipath and without content."""
    world = _served(path, None, "web1")
    with world.change() as state:
        build.disk(state, "web1", "silo/iblock_0/vol1", "sdc").portal = "10.10.2.10:3260"
        target = state.machines["silo"].targets[f"{build.IQN}:vol1"]
        target.portals.append("10.10.2.10:3260")
    return Site(world, ISCSI, "vol1", ("web1",))


def local_lvm(path: Path | None = None) -> Site:
    """A logical volume that is mounted on the storage machine itself."""
    state = State()
    build.machine(state, "silo")
    build.group(state, "silo")
    build.volume(state, "silo", "vg0/vol1")
    build.filesystem(state, "silo", "dm-0", "ext4")
    build.mount(state, "silo", "dm-0", POINT)
    return Site(World(path, state), LVM, "vol1", ("silo",))


def unexported(path: Path | None = None) -> Site:
    """A logical volume of an iSCSI backend that nobody has been given yet."""
    state = State()
    build.machine(state, "silo")
    build.group(state, "silo")
    build.volume(state, "silo", "vg0/vol1")
    return Site(World(path, state), ISCSI, "vol1")


def file_loop_xfs(path: Path | None = None) -> Site:
    """A file under a loop device with an xfs, on the machine `here`, as root."""
    state = State()
    one = build.machine(state, "here")
    one.directories += ["/var", "/var/lib", "/var/lib/extendctl", FILES]
    one.files[f"{FILES}/vol1"] = 10 * GIB
    build.loop(state, "here", f"{FILES}/vol1")
    build.filesystem(state, "here", "loop0", "xfs")
    build.mount(state, "here", "loop0", POINT)
    return Site(World(path, state), FILE, "vol1", ("here",), user="root")


def iscsi_fileio(path: Path | None = None) -> Site:
    """An ext4 over a LUN that silo serves from a file."""
    state = State()
    silo = build.machine(state, "silo")
    silo.directories += ["/srv", "/srv/lio"]
    silo.files["/srv/lio/vol1"] = 10 * GIB
    lun = build.export_file(state, "silo", "/srv/lio/vol1")
    build.machine(state, "web1")
    build.disk(state, "web1", lun)
    build.filesystem(state, "web1", "sdb", "ext4")
    build.mount(state, "web1", "sdb", POINT)
    return Site(World(path, state), FILEIO, "vol1", ("web1",))


def _volume(state: State, *users: str) -> None:
    build.machine(state, "silo")
    build.group(state, "silo")
    build.volume(state, "silo", "vg0/vol1")
    for name in users:
        build.machine(state, name)


def iscsi_tgt(path: Path | None = None) -> Site:
    """An ext4 over a LUN that the tgt daemon serves."""
    state = State()
    _volume(state, "web1")
    lun = tgt.export(state, "silo", f"{build.IQN}:vol1", "/dev/vg0/vol1")
    disk = build.disk_of(state, "web1", lun, "silo/vg0/vol1")
    disk.wwid = "naa.60000000000000000e00000000010001"
    build.filesystem(state, "web1", "sdb", "ext4")
    build.mount(state, "web1", "sdb", POINT)
    return Site(World(path, state), TGT, "vol1", ("web1",))


def nvmet(path: Path | None = None) -> Site:
    """An xfs on an NVMe namespace that web1 reaches through two controllers."""
    state = State()
    _volume(state, "web1")
    lun = nvme.export(state, "silo", "nqn.2026-11.com.example:vol1", "/dev/vg0/vol1")
    nvme.connect(state, "web1", lun)
    nvme.connect(state, "web1", lun, 1)
    build.filesystem(state, "web1", "nvme0n1", "xfs")
    build.mount(state, "web1", "nvme0n1", POINT)
    return Site(World(path, state), NVMET, "vol1", ("web1",))


ATTACHED = {
    "iscsi-ext4": iscsi_ext4,
    "iscsi-xfs": iscsi_xfs,
    "iscsi-btrfs-thin": iscsi_btrfs_thin,
    "iscsi-striped": iscsi_striped,
    "shared": shared,
    "two-paths": two_paths,
    "iscsi-fileio": iscsi_fileio,
    "iscsi-tgt": iscsi_tgt,
    "nvmet": nvmet,
    "local-lvm": local_lvm,
    "file-loop-xfs": file_loop_xfs,
}
"""Every site whose volume is attached somewhere, by name."""
