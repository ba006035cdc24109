"""A Linux host: find the volume by its identity, then climb what stands on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import questions, usage
from extendctl.compute import lvm, nvme, session
from extendctl.compute.climb import Found, climb
from extendctl.compute.filesystem import Mounted
from extendctl.compute.loop import LoopLayer
from extendctl.compute.multipath import MultipathLayer
from extendctl.compute.scsi import PathLayer
from extendctl.compute.site import Site
from extendctl.errors import Fault, Refused, not_found
from extendctl.host import Host
from extendctl.model import GrowOptions, Identity
from extendctl.probe import Block
from extendctl.stack import Layer, Skipped, Stack


@dataclass(frozen=True)
class LinuxCompute:
    """A host that is reached as the configuration says."""

    machine: Host

    def stack(self, identity: Identity, options: GrowOptions) -> Stack:
        site = Site(self.machine, self.machine.ask(questions.facts()), identity, options)
        device, lowest = bottom(site)
        found = [*lowest, *climb(site, device)]
        found += lvm.missed(site, found)
        points = [one.point for one in found if isinstance(one, Mounted)]
        return Stack(
            layers=tuple(one for one in found if not isinstance(one, Skipped | Fault)),
            skipped=tuple(one for one in found if isinstance(one, Skipped)),
            obstacles=tuple(one for one in found if isinstance(one, Fault)),
            device=device.path,
            mountpoint=points[-1] if points else None,
            uses=tuple(usage.uses(site.facts, device)),
            opened=usage.opened(site.facts, device),
        )


def bottom(site: Site) -> tuple[Block, list[Found]]:
    """The device that stands for the volume on this host, and the layers beneath it."""
    finders = {"wwn": _known, "iqn": _served, "dm-uuid": _mapped, "file": _loop}
    return finders[site.identity.kind](site)


def _known(site: Site) -> tuple[Block, list[Found]]:
    blocks = site.facts.blocks
    paths = [
        one for one in blocks.values() if one.wwid == site.identity.value and not one.partition
    ]
    if not paths:
        raise _unseen(site, "no disk with the WWN")
    if paths[0].name.startswith("nvme"):
        return _disk(site, paths, nvme.layer(site, paths))
    names = tuple(sorted(one.name for one in paths))
    return _disk(site, paths, PathLayer(site.machine, site.anchor, site.identity.value, names))


def _served(site: Site) -> tuple[Block, list[Found]]:
    sessions = session.sessions(site)
    if not sessions:
        raise _unseen(site, "no session to the LUN")
    paths = [site.facts.blocks[one.block] for one in sessions]
    return _disk(site, paths, session.layer(site, sessions))


def _disk(site: Site, paths: Sequence[Block], layer: Layer) -> tuple[Block, list[Found]]:
    """The one device to go on with: the map over all paths, or the path that is in use."""
    blocks = site.facts.blocks
    held = {name for one in paths for name in one.holders if name in blocks}
    maps = [blocks[name] for name in held if (blocks[name].dm_uuid or "").startswith("mpath-")]
    if len(maps) > 1:
        which = ", ".join(sorted(one.dm_name or one.name for one in maps))
        message = f"several maps are over the volume's paths on {site.machine.name}: {which}"
        raise Refused((Fault("obstacle", message, "leave one of them", site.machine.name),))
    if maps:
        return maps[0], [layer, _map(site, maps[0]), *_strangers(site, maps[0], paths)]
    used = [one for one in paths if site.facts.in_use(one)]
    if len(used) > 1:
        which = ", ".join(one.path for one in used)
        message = f"the volume is in use on {site.machine.name} by several names at once: {which}"
        hint = "they are one disk: use it by one path, or let multipathd make a map of them"
        raise Refused((Fault("obstacle", message, hint, site.machine.name),))
    return (used or paths)[0], [layer]


def _strangers(site: Site, map_: Block, paths: Sequence[Block]) -> Iterator[Fault]:
    """Disks in the volume's map that are not the volume: what is written there goes to both.

    Two servers of tgt give their LUNs the same WWN, and multipathd goes by nothing else.
    """
    known = {one.name for one in paths}
    for name in sorted(set(map_.slaves) - known):
        host = site.machine.name
        message = f"the map {map_.dm_name or map_.name} on {host} has {name} for a path"
        message += f", which is not the volume {site.identity.value}"
        hint = "two disks are written as one: stop using the map, and give each its own WWN"
        yield Fault("obstacle", message, hint, host)


def _map(site: Site, block: Block) -> MultipathLayer:
    paths = tuple(sorted(block.slaves))
    name = block.dm_name or block.name
    return MultipathLayer(site.machine, site.anchor, name, block.name, block.dm_uuid or "", paths)


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
