"""A Linux host: find the volume by its identity, then climb what stands on it."""

from collections.abc import Iterator
from dataclasses import dataclass

from extendctl import phrasebook
from extendctl.compute.filesystem import mounted
from extendctl.compute.loop import LoopLayer
from extendctl.compute.scsi import PathLayer
from extendctl.compute.site import Site
from extendctl.errors import Fault, Refused, not_found
from extendctl.host import Host
from extendctl.model import GrowOptions, Identity
from extendctl.probe import Block, HostFacts
from extendctl.stack import Layer, Obstacle, Skipped, Stack

Found = Layer | Skipped | Obstacle


@dataclass(frozen=True)
class LinuxCompute:
    """A host that is reached as the configuration says."""

    machine: Host

    def stack(self, identity: Identity, options: GrowOptions) -> Stack:
        site = Site(self.machine, self.machine.ask(phrasebook.facts()), identity, options)
        device, bottom = _bottom(site)
        found = [*bottom, *climb(site, device)]
        mounts = site.facts.mounts_of(device)
        return Stack(
            layers=tuple(one for one in found if not isinstance(one, Skipped | Fault)),
            skipped=tuple(one for one in found if isinstance(one, Skipped)),
            obstacles=tuple(one for one in found if isinstance(one, Fault)),
            device=device.path,
            mountpoint=mounts[0].point if mounts else None,
        )


def climb(site: Site, block: Block) -> Iterator[Found]:
    """What stands on a device, lowest first."""
    mounts = site.facts.mounts_of(block)
    if mounts:
        yield from mounted(site, block, mounts)
    elif site.facts.swapped_on(block):
        yield site.skipped("swap", block.path, "swap in use is not grown by this version")
    elif block.children or block.holders:
        yield site.skipped(*_occupant(site.facts, block))
    else:
        yield from _idle(site, block)


def _occupant(facts: HostFacts, block: Block) -> tuple[str, str, str]:
    """(kind, name, reason) of what uses a device and cannot be grown yet."""
    names = block.children or block.holders
    above = facts.blocks.get(names[0])
    name = above.path if above is not None else names[0]
    kind = "partition" if block.children else _mapping(above)
    return kind, name, f"{kind} on {block.path} is not grown by this version"


def _mapping(block: Block | None) -> str:
    prefix = (block.dm_uuid or "").split("-")[0] if block is not None else ""
    return {"LVM": "pv", "CRYPT": "luks", "mpath": "multipath"}.get(prefix, "device")


def _idle(site: Site, block: Block) -> Iterator[Found]:
    """A device that nothing has open: a filesystem that is not mounted, or nothing at all."""
    signature = site.machine.ask(phrasebook.signature(block.path))
    kind = signature.get("TYPE") or signature.get("PTTYPE")
    if kind is None:
        return
    kind = "ext4" if kind in {"ext2", "ext3"} else kind
    yield site.skipped(kind, block.path, f"{kind} on {block.path} is not in use on this host")


def _bottom(site: Site) -> tuple[Block, list[Found]]:
    """The device that stands for the volume on this host, and the layers beneath it."""
    finders = {"wwn": _scsi, "dm-uuid": _mapped, "file": _loop}
    return finders[site.identity.kind](site)


def _scsi(site: Site) -> tuple[Block, list[Found]]:
    blocks = site.facts.blocks
    paths = [
        one for one in blocks.values() if one.wwid == site.identity.value and not one.partition
    ]
    if not paths:
        raise _unseen(site, "no disk with the WWN")
    layer = PathLayer(
        site.machine, site.anchor, site.identity.value, tuple(sorted(one.name for one in paths))
    )
    used = [one for one in paths if site.facts.mounts_of(one) or one.holders or one.children]
    return (used or paths)[0], [layer]


def _mapped(site: Site) -> tuple[Block, list[Found]]:
    blocks = site.facts.blocks.values()
    block = next((one for one in blocks if one.dm_uuid == site.identity.value), None)
    if block is None:
        raise _unseen(site, "no active logical volume with the UUID")
    return block, []


def _loop(site: Site) -> tuple[Block, list[Found]]:
    over = [one for one in site.facts.blocks.values() if one.backing_file == site.identity.value]
    if not over:
        raise _unseen(site, "no loop device over the file")
    if len(over) > 1:
        which = ", ".join(one.path for one in over)
        message = f"{site.identity.value} on {site.machine.name} is under several loops: {which}"
        raise Refused((Fault("obstacle", message, "leave one of them", site.machine.name),))
    block = over[0]
    layer = LoopLayer(
        site.machine, site.anchor, block.name, site.identity.value, block.size_limit, block.offset
    )
    return block, [layer]


def _unseen(site: Site, what: str) -> Refused:
    return not_found(
        f"{site.machine.name} does not see the volume: {what} {site.identity.value}",
        "log in to its target (or set up its loop device) on that host first",
    )
