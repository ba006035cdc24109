"""What a host has of a volume, seen from one look at it: nothing is asked beyond the probe."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from extendctl.compute.climb import Found, number_of, partitions
from extendctl.compute.filesystem import writable
from extendctl.compute.linux import bottom
from extendctl.compute.nvme import NvmeLayer
from extendctl.compute.scsi import PathLayer
from extendctl.compute.site import Site
from extendctl.errors import Refused
from extendctl.host import Host
from extendctl.model import GrowOptions, Identity
from extendctl.probe import Block, HostFacts
from extendctl.size import Size, round_down


@dataclass(frozen=True, slots=True)
class Sight:
    """A volume as a host sees it: the device that stands for it, its bytes, where it is mounted.

    `covers` is the size in bytes of the largest volume that the device would be full for; None
    where that cannot be told: its size is not known, or it is kept from growing.
    """

    host: str
    device: str
    mountpoint: str | None
    size: Size
    covers: Size | None = None

    def as_dict(self) -> dict[str, Any]:
        """The sight as the JSON output has it."""
        shown = ("host", "device", "mountpoint", "size")
        return {name: getattr(self, name) for name in shown} | {"compute": "linux"}


def sight(machine: Host, facts: HostFacts, identity: Identity) -> Sight | None:
    """What a host has of a volume, None when it does not see it.

    Raises Refused (`obstacle`) when it has it by several names at once.
    """
    site = Site(machine, facts, identity, GrowOptions())
    try:
        device, lowest = bottom(site)
    except Refused as no:
        if no.fault.code == "not-found":
            return None
        raise
    mountpoint = _mountpoint(facts, device)
    return Sight(machine.name, device.path, mountpoint, device.size, _covers(site, device, lowest))


def _covers(site: Site, device: Block, lowest: Iterable[Found]) -> Size | None:
    """What the smallest of a volume's devices covers: the path that lags, or the map over it."""
    if site.identity.kind == "dm-uuid":
        return None  # the backend's own device
    paths = [one for one in lowest if isinstance(one, PathLayer | NvmeLayer)]
    names = {device.name, *(name for one in paths for name in one.devices)}
    found = [_covered(site.facts.blocks[name]) for name in names if name in site.facts.blocks]
    return min((one for one in found if one is not None), default=None)


def _covered(block: Block) -> Size | None:
    """Bytes of a volume of which a device takes all whole sectors, behind its offset."""
    limited = block.size_limit and block.size >= round_down(block.size_limit, block.sector)
    if limited or not block.size:
        return None
    return block.offset + block.size + block.sector - 1


def _mountpoint(facts: HostFacts, block: Block, below: frozenset[str] = frozenset()) -> str | None:
    """Where what stands on a device is mounted; None also where it is several filesystems.

    `below` are the devices that this one stands on: an answer in which they go round is no answer.
    """
    mounts = facts.mounts_of(block)
    if mounts or block.name in below:
        return writable(mounts).point if mounts else None
    beneath = below | {block.name}
    used = [one for one in partitions(facts, block) if facts.in_use(one)]
    if used:
        last = max(used, key=lambda one: (one.start or 0, number_of(one)))
        return _mountpoint(facts, last, beneath)
    above = (facts.blocks[name] for name in block.holders if name in facts.blocks)
    points = {point for one in above if (point := _mountpoint(facts, one, beneath)) is not None}
    return points.pop() if len(points) == 1 else None
