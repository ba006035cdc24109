"""What a host has of a volume, seen from one look at it: nothing is asked beyond the probe."""

from dataclasses import dataclass

from extendctl.compute.climb import number_of, partitions
from extendctl.compute.filesystem import writable
from extendctl.compute.linux import bottom
from extendctl.compute.site import Site
from extendctl.errors import Refused
from extendctl.host import Host
from extendctl.model import GrowOptions, Identity
from extendctl.probe import Block, HostFacts
from extendctl.size import Size


@dataclass(frozen=True, slots=True)
class Sight:
    """A volume as a host sees it: the device that stands for it, its bytes, where it is mounted."""

    host: str
    device: str
    mountpoint: str | None
    size: Size


def sight(machine: Host, facts: HostFacts, identity: Identity) -> Sight | None:
    """What a host has of a volume, None when it does not see it.

    Raises Refused (`obstacle`) when it has it by several names at once.
    """
    site = Site(machine, facts, identity, GrowOptions())
    try:
        device, _ = bottom(site)
    except Refused as no:
        if no.fault.code == "not-found":
            return None
        raise
    return Sight(machine.name, device.path, _mountpoint(facts, device), device.size)


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
