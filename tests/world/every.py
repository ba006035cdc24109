"""Sites that, taken together, carry every kind of layer: there the contract is held."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from extendctl.extension.survey import views_of
from extendctl.host import Host
from extendctl.model import GrowOptions
from extendctl.stack import Layer, Stack
from tests.world import changes
from tests.world.failover import failover
from tests.world.site import ATTACHED, PLAIN, Site
from tests.world.tower import Tower, tower

TOWERS: tuple[tuple[str, ...], ...] = (
    ("multipath", "gpt", "luks", "lvm", "ext4"),
    ("dos", "lvm", "luks1", "swap"),
    ("lvm", "luks", "lvm", "xfs"),
    ("gpt", "btrfs"),
    ("swap",),
)
FOLLOWED: tuple[tuple[str, ...], ...] = (
    ("gpt", "luks", "ext4"),
    ("multipath", "dos", "xfs"),
)


@dataclass(frozen=True)
class Wanting(Tower):
    """A tower whose hosts are asked with other options than the usual ones."""

    wish: GrowOptions = PLAIN

    def branches(self, hosts: dict[str, Host], options: GrowOptions = PLAIN) -> dict[str, Stack]:
        return super().branches(hosts, self.wish if options == PLAIN else options)


class Followed(Tower):
    """A volume that two hosts see: the first grows what is on it, the other one reads it again."""

    def layers(self, hosts: dict[str, Host]) -> tuple[Layer, ...]:
        first, *others = self.branches(hosts).values()
        read = [layer for one in others for layer in (*one.devices, *views_of(one))]
        return (*self.trunk(hosts).layers, *first.layers, *read)


def filling() -> Site:
    """A volume group whose logical volume is to take what was left free as well."""
    one = tower("lvm", "ext4")
    return Wanting(one.world, one.backend, one.source, one.users, wish=GrowOptions(fill=True))


def offline() -> Site:
    """An ext4 that nobody has mounted, and that is grown all the same."""
    one = tower("gpt", "ext4")
    with one.world.change() as state:
        changes.unmount(state, "web1")
    return Wanting(one.world, one.backend, one.source, one.users, wish=GrowOptions(offline=True))


def mapped_by_kpartx() -> Site:
    """A partition on a map, where udev has no rule to let it follow the table."""
    one = tower("multipath", "gpt", "xfs")
    with one.world.change() as state:
        state.machines["web1"].udev_grows = False
    return one


def followed(*kinds: str) -> Site:
    """A tower that a second host sees, and could take over."""
    one = failover(*kinds)
    return Followed(one.world, one.backend, one.source, one.users)


def stuck() -> Site:
    """A mapping with integrity protection, which cannot grow."""
    one = tower("luks", "ext4")
    with one.world.change() as state:
        devices = state.machines["web1"].devices
        name = next(key for key, device in devices.items() if device.dm_name == "crypt0")
        below = devices[name].model_copy(update={"dev": "253:77", "dm_name": "crypt0_dif"})
        below.dm_uuid, below.content = "CRYPT-INTEGRITY-crypt0", None
        devices["dm-77"], devices[name].slaves = below, ["dm-77"]
    return one


SITES: dict[str, Callable[[], Site]] = {
    **ATTACHED,
    **{"-".join(kinds): partial(tower, *kinds) for kinds in TOWERS},
    **{f"followed-{'-'.join(kinds)}": partial(followed, *kinds) for kinds in FOLLOWED},
    "fill": filling,
    "offline": offline,
    "kpartx": mapped_by_kpartx,
}
"""Sites of which every layer can grow, by name."""
