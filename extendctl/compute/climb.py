"""Climb what stands on a device, lowest first, by what the kernel shows of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from extendctl import phrasebook
from extendctl.compute import foreign, lvm, proof
from extendctl.compute.filesystem import mounted
from extendctl.compute.foreign import FOREIGN
from extendctl.compute.idle_ext4 import IdleExt4Layer
from extendctl.compute.luks import LuksLayer
from extendctl.compute.partition import PartitionLayer
from extendctl.compute.site import Site
from extendctl.compute.stuck import StuckLayer
from extendctl.compute.swap import SwapLayer
from extendctl.errors import Fault, Refused
from extendctl.probe import Block, HostFacts
from extendctl.stack import Layer, Obstacle, Skipped

Found = Layer | Skipped | Obstacle

_CLOSED = {"crypto_LUKS": "luks", "LVM2_member": "pv", "swap": "swap"}
_EXT = frozenset({"ext2", "ext3", "ext4"})


def climb(site: Site, block: Block) -> Iterator[Found]:
    """What stands on a device, lowest first, up to what nothing stands on.

    Raises Refused when a device stands on itself, as a machine may say and no kernel allows.
    """
    if block.name in site.beneath:
        message = f"{block.path} on {site.machine.name} stands on itself, as the machine says"
        raise Refused((Fault("obstacle", message, "look at `lsblk` there", site.machine.name),))
    site = replace(site, beneath=site.beneath | {block.name})
    mounts = site.facts.mounts_of(block)
    if mounts:
        yield from mounted(site, block, mounts)
    elif site.facts.swap_on(block):
        yield _swap(site, block)
    elif site.facts.mounted_elsewhere(block):
        yield _out_of_sight(site, block)
    elif parts := partitions(site.facts, block):
        yield from _partition(site, block, parts)
    elif block.holders:
        yield from _held(site, block)
    else:
        yield from _idle(site, block)


def _out_of_sight(site: Site, block: Block) -> Found:
    """A filesystem that the kernel has mounted and that is not among this login's mounts."""
    where = "in another mount namespace, as of a container, or it was unmounted lazily"
    reason = f"the filesystem on {block.path} is mounted where this login does not see it: {where}"
    if site.options.offline:
        hint = "unmount it there before --offline"
        return Fault("obstacle", f"{site.machine.name}: {reason}", hint, site.machine.name)
    return site.skipped("filesystem", block.path, reason)


def partitions(facts: HostFacts, disk: Block) -> list[Block]:
    """A disk's partitions: mappings, if kpartx has made some, which keep the disk for themselves.

    On a multipath map there are no others; elsewhere they are the kernel's own devices.
    """
    held = [facts.blocks[name] for name in disk.holders if name in facts.blocks]
    mapped = [one for one in held if re.match(r"part\d+-", one.dm_uuid or "")]
    return mapped or [facts.blocks[name] for name in disk.children if name in facts.blocks]


def number_of(part: Block) -> int:
    """A partition's number: the kernel's, or the one in its mapping's UUID (`part1-mpath-...`)."""
    if part.partition is not None:
        return part.partition
    match = re.match(r"part([0-9]{1,9})-", part.dm_uuid or "")
    return int(match[1]) if match else 0


def _partition(site: Site, disk: Block, parts: Sequence[Block]) -> Iterator[Found]:
    """The last partition that is in use; the others are named and left as they are.

    If it is not the last in the table, it says so itself: an unused one behind it does not grow.
    """
    used = [one for one in parts if site.facts.in_use(one)] or list(parts)
    if len(used) > 1 and not site.facts.in_use(used[0]):
        yield from _at_rest(site, disk, parts)
        return
    part = max(used, key=lambda one: (one.start or 0, number_of(one)))
    for other in parts:
        if other is not part:
            reason = f"{part.path} is the one that grows on {disk.path}"
            yield site.skipped("partition", other.path, reason)
    yield PartitionLayer(
        site.machine, site.anchor, disk, part, number_of(part), proof.of(site, disk)
    )  # fmt: skip
    yield from climb(site, part)


def _at_rest(site: Site, disk: Block, parts: Sequence[Block]) -> Iterator[Skipped]:
    """Of partitions that nobody is seen to use, those of which it is known why that is not seen.

    ZFS makes two on a disk, and leaves no trace in /sys when it has opened them.
    """
    asked = {one.path: phrasebook.signature(one.path) for one in parts}
    site.machine.ask_all(list(asked.values()))
    kinds = {path: site.machine.ask(one).get("TYPE", "") for path, one in asked.items()}
    known = [(kind, path) for path, kind in kinds.items() if kind in FOREIGN]
    marks = [site.skipped(kind, path, foreign.named(kind, path)) for kind, path in known]
    reason = "none of its partitions is seen to be in use on this host, so that none is grown"
    yield from marks or [site.skipped("partition", disk.path, reason)]


def _held(site: Site, block: Block) -> Iterator[Found]:
    """What another device is made of: a dm-crypt mapping, a physical volume, something else."""
    above = next((site.facts.blocks[name] for name in block.holders
                  if name in site.facts.blocks), None)  # fmt: skip
    kind = "" if above is None else (above.dm_uuid or "")
    if above is None:
        yield site.skipped("device", block.holders[0], f"what holds {block.path} is not known")
    elif re.match("CRYPT-(LUKS|PLAIN)", kind):
        yield _mapping(site, above, block)
        yield from climb(site, above)
    elif kind.startswith("CRYPT-INTEGRITY"):
        yield _integrity(site, above, block)
    elif kind.startswith("LVM-"):
        yield from _volume_group(site, lvm.active(site, block))
    else:
        yield site.skipped("device", above.path, foreign.holding(above, block.path))


def _mapping(site: Site, above: Block, below: Block) -> LuksLayer:
    name = above.dm_name or above.name
    key_file = site.machine.config.luks_keys.get(name)
    uuid = above.dm_uuid or ""
    return LuksLayer(site.machine, site.anchor, name, above.name, uuid, below.path, key_file)


def _integrity(site: Site, above: Block, below: Block) -> StuckLayer:
    """LUKS2 with integrity: `cryptsetup resize` says "Unsupported parameters"."""
    name = (above.dm_name or above.name).removesuffix("_dif")
    message = f"the mapping {name} on {site.machine.name} has integrity protection"
    hint = "cryptsetup cannot resize such a mapping at all"
    return StuckLayer(
        site.machine, site.anchor, name, "luks", name, above, below, message, hint
    )  # fmt: skip


def _volume_group(site: Site, climbed: lvm.Climbed) -> Iterator[Found]:
    yield from climbed.found
    if climbed.above is not None:
        yield from climb(site, climbed.above)


def _swap(site: Site, block: Block) -> Found:
    if site.options.no_filesystem:
        return site.skipped("swap", block.path, "left alone, as asked by --no-filesystem")
    return SwapLayer(site.machine, site.anchor, block, proof.of(site, block))


def _idle(site: Site, block: Block) -> Iterator[Found]:
    """A device that nothing has open: a filesystem that is not mounted, or nothing at all."""
    signature = site.machine.ask(phrasebook.signature(block.path))
    kind, uuid = signature.get("TYPE") or signature.get("PTTYPE"), signature.get("UUID", "")
    if kind is None:
        reason = f"nothing that blkid knows is on {block.path}: growth stops here; "
        yield site.skipped("raw", block.path, f"{reason}a raw database has to be told itself")
    elif kind == "LVM2_member":
        yield from _volume_group(site, lvm.idle(site, block))
    elif kind == "swap" and uuid in site.facts.resting:
        yield _swap(site, block)
    elif kind in _EXT:
        yield _idle_ext4(site, block, uuid)
    elif kind in FOREIGN:
        yield _foreign(site, block, kind, signature.get("VERSION", ""))
    elif kind == "ambivalent":
        reason = f"{block.path} has contradicting signatures; `wipefs {block.path}` lists them"
        yield site.skipped(kind, block.path, reason)
    else:
        reason = f"{kind} on {block.path} is not in use on this host"
        yield site.skipped(_CLOSED.get(kind, kind), block.path, reason)


def _foreign(site: Site, block: Block, kind: str, version: str) -> Found:
    """What is not grown here; nothing beneath it either where it would not be found any more."""
    if not foreign.lost_by_growth(kind, version):
        return site.skipped(kind, block.path, foreign.named(kind, block.path))
    message, hint = foreign.warning(kind, block.path)
    host = site.machine.name
    return Fault("obstacle", f"{message} on {host}", hint, host)


def _idle_ext4(site: Site, block: Block, uuid: str) -> Found:
    if site.options.no_filesystem:
        return site.skipped("ext4", block.path, "left alone, as asked by --no-filesystem")
    if not site.options.offline:
        reason = f"ext4 on {block.path} is not mounted on this host; --offline checks and grows it"
        return site.skipped("ext4", block.path, reason)
    return IdleExt4Layer(site.machine, site.anchor, block, uuid, proof.of(site, block))
