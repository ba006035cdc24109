"""Sites whose volume two hosts see: web1 has it in use, web2 could take it over."""

from itertools import takewhile
from pathlib import Path

from tests.world import build
from tests.world.state import Device, State
from tests.world.tower import Tower, tower

SHOWN = frozenset({"multipath", "gpt", "dos", "luks", "luks1"})
"""Kinds that web2's kernel has devices for: no volume group is active there."""


def failover(*kinds: str, path: Path | None = None) -> Tower:
    """A tower on web1, and on web2 what its kernel shows of it up to the first volume group.

    What is written on a device is the same on both; nothing is mounted on web2.
    """
    site = tower(*kinds, path=path)
    shown = len(list(takewhile(lambda kind: kind in SHOWN, kinds)))
    with site.world.change() as state:
        build.machine(state, "web2")
        for name, device in _above(state, shown).items():
            state.machines["web2"].devices[name] = device.model_copy(deep=True)
    return Tower(site.world, site.backend, site.source, ("web1", "web2"))


def _above(state: State, shown: int) -> dict[str, Device]:
    """Web1's disks of the volume, and so many devices that stand on them."""
    ours = state.machines["web1"].devices
    disks = {name: one for name, one in ours.items() if one.lun is not None}
    above = [(name, one) for name, one in ours.items() if one.slaves or one.parent in disks]
    return disks | dict(above[:shown])
