"""A Linux host: find the volume by its identity, then climb what stands on it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.compute.filesystem import Mounted, mounted
from extendctl.compute.loop import LoopLayer
from extendctl.compute.luks import LuksLayer
from extendctl.compute.multipath import MultipathLayer
from extendctl.compute.partition import PartitionLayer
from extendctl.compute.scsi import PathLayer
from extendctl.compute.site import Site
from extendctl.compute.volume_group import GuestLvLayer, on_device
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
        site = Site(self.machine, self.machine.ask(questions.facts()), identity, options)
        device, bottom = _bottom(site)
        found = [*bottom, *climb(site, device)]
        points = [one.point for one in found if isinstance(one, Mounted)]
        return Stack(
            layers=tuple(one for one in found if not isinstance(one, Skipped | Fault)),
            skipped=tuple(one for one in found if isinstance(one, Skipped)),
            obstacles=tuple(one for one in found if isinstance(one, Fault)),
            device=device.path,
            mountpoint=points[-1] if points else None,
        )


def climb(site: Site, block: Block) -> Iterator[Found]:
    """What stands on a device, lowest first, up to what nothing stands on."""
    mounts = site.facts.mounts_of(block)
    if mounts:
        yield from mounted(site, block, mounts)
    elif site.facts.swapped_on(block):
        yield site.skipped("swap", block.path, "swap in use is not grown by this version")
    elif parts := partitions(site.facts, block):
        yield from _partition(site, block, parts)
    elif block.holders:
        yield from _held(site, block)
    else:
        yield from _idle(site, block)


def partitions(facts: HostFacts, disk: Block) -> list[Block]:
    """The kernel's devices for a disk's partitions; on a multipath map they are mappings."""
    held = [facts.blocks[name] for name in disk.holders if name in facts.blocks]
    mapped = [one for one in held if re.match(r"part\d+-", one.dm_uuid or "")]
    return [facts.blocks[name] for name in disk.children if name in facts.blocks] or mapped


def _partition(site: Site, disk: Block, parts: Sequence[Block]) -> Iterator[Found]:
    """The last partition that is in use; the others are named and left as they are."""
    used = [one for one in parts if _in_use(site.facts, one)] or list(parts)
    numbered = sorted((number_of(one), one.start or 0, one) for one in used)
    number, _, part = max(numbered, key=lambda row: (row[1], row[0]))
    for other in parts:
        if other is not part:
            reason = f"{part.path} is the one that grows on {disk.path}"
            yield site.skipped("partition", other.path, reason)
    yield PartitionLayer(site.machine, site.anchor, disk, part, number)
    yield from climb(site, part)


def _in_use(facts: HostFacts, block: Block) -> bool:
    return bool(block.holders or facts.mounts_of(block) or facts.swapped_on(block))


def number_of(part: Block) -> int:
    """A partition's number: the kernel's, or the one in its mapping's UUID (`part1-mpath-...`)."""
    if part.partition is not None:
        return part.partition
    match = re.match(r"part(\d+)-", part.dm_uuid or "")
    return int(match[1]) if match else 0


def _held(site: Site, block: Block) -> Iterator[Found]:
    """What another device is made of: a dm-crypt mapping, a physical volume, something else."""
    above = next((site.facts.blocks[name] for name in block.holders
                  if name in site.facts.blocks), None)  # fmt: skip
    kind = (above.dm_uuid or "").partition("-")[0] if above is not None else ""
    if above is not None and kind == "CRYPT":
        name = above.dm_name or above.name
        yield LuksLayer(
            site.machine, site.anchor, name, above.name, above.dm_uuid or "", block.path,
            site.machine.config.luks_keys.get(name),
        )  # fmt: skip
        yield from climb(site, above)
    elif kind == "LVM":
        yield from _physical_volume(site, block)
    else:
        what = above.path if above is not None else block.holders[0]
        yield site.skipped("device", what, f"what holds {block.path} cannot be grown here")


def _physical_volume(site: Site, block: Block) -> Iterator[Found]:
    for one in on_device(site, block):
        yield one
        if isinstance(one, GuestLvLayer):
            volume = site.facts.by_path(f"/dev/{one.group}/{one.volume}")
            if volume is not None:
                yield from climb(site, volume)


def _idle(site: Site, block: Block) -> Iterator[Found]:
    """A device that nothing has open: a filesystem that is not mounted, or nothing at all."""
    signature = site.machine.ask(phrasebook.signature(block.path))
    kind = signature.get("TYPE") or signature.get("PTTYPE")
    if kind is None:
        return
    if kind == "LVM2_member":
        yield from _physical_volume(site, block)
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
    held = {name for one in paths for name in one.holders if name in blocks}
    maps = [blocks[name] for name in held if (blocks[name].dm_uuid or "").startswith("mpath-")]
    if maps:
        return maps[0], [layer, _map(site, maps[0])]
    used = [one for one in paths if _in_use(site.facts, one) or one.children]
    return (used or paths)[0], [layer]


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
