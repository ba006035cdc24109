"""Find what LVM has made of a device: from the probe alone where its volumes are active."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook
from extendctl.block_readings import LvmMapping, PhysicalVolume, lvm_mapping, owner
from extendctl.compute.site import Site
from extendctl.compute.volume_group import GuestLvLayer, PvLayer, undecided
from extendctl.errors import Fault
from extendctl.probe import Block
from extendctl.stack import Layer, Obstacle, Skipped


@dataclass(frozen=True)
class Climbed:
    """What was found, lowest first, and the device that stands above it, if one does."""

    found: tuple[Layer | Skipped | Obstacle, ...]
    above: Block | None = None


def active(site: Site, block: Block) -> Climbed:
    """The physical volume on a device, by the mappings that stand on it.

    Their UUIDs hold the group's and the volume's, so that nothing has to be asked for this. What
    is not active does not show; the layer of the logical volume looks for it.
    """
    held = [site.facts.blocks[name] for name in block.holders if name in site.facts.blocks]
    known = [one for one in (lvm_mapping(row.dm_name, row.dm_uuid) for row in held) if one]
    if not known:
        return idle(site, block)
    pv = PvLayer(site.machine, site.anchor, block.path, block.dev, known[0].group_uuid)
    group = known[0].group
    volumes = {one.uuid: one for one in known if not one.hidden}
    parts = [one.owner for one in known if one.hidden]
    wanted = _wanted(site, group)
    if wanted is not None and wanted not in {one.whole for one in volumes.values()}:
        return _named(site, pv, group, wanted)
    chosen = [one for one in volumes.values() if wanted in {None, one.whole}]
    if len(chosen) != 1 or (parts and wanted is None):
        names = sorted({*(one.whole for one in volumes.values()), *parts})
        return Climbed((pv, undecided(site.machine.name, pv.device, group, names)))
    return _taken(site, pv, group, chosen[0].volume, chosen[0].uuid)


def idle(site: Site, block: Block) -> Climbed:
    """The physical volume on a device on which nothing is active: LVM itself has to be asked."""
    row = site.machine.ask(phrasebook.physical_volumes()).get(block.dev)
    if row is None:
        reason = f"LVM does not know a volume on {block.path}"
        return Climbed((site.skipped("pv", block.path, reason),))
    pv = PvLayer(
        site.machine, site.anchor, block.path, block.dev, row.group_uuid, row.uuid
    )  # fmt: skip
    if not row.group:
        return Climbed((pv,))
    return _within(site, pv, row)


def _within(site: Site, pv: PvLayer, row: PhysicalVolume) -> Climbed:
    wanted = _wanted(site, row.group)
    if wanted is not None:
        return _named(site, pv, row.group, wanted)
    rows = site.machine.ask(phrasebook.segments(row.group)).values()
    on_it = [one for one in rows if row.name in one.devices]
    if len(on_it) != 1 or on_it[0].hidden:
        names = sorted({f"{row.group}/{owner(one.name)}" for one in on_it})
        return Climbed((pv, undecided(site.machine.name, pv.device, row.group, names)))
    return _taken(site, pv, row.group, on_it[0].name, on_it[0].uuid)


def _wanted(site: Site, group: str) -> str | None:
    """What --grow-lv names, where it is in this group: LVM may stand on LVM."""
    wanted = site.options.grow_lv
    return wanted if wanted is not None and wanted.startswith(f"{group}/") else None


def missed(site: Site, found: Sequence[object]) -> Iterator[Fault]:
    """The fault of a --grow-lv whose volume group was not met on the way up."""
    wanted, host = site.options.grow_lv, site.machine.name
    groups = [one for one in found if isinstance(one, PvLayer)]
    taken = [one for one in found if isinstance(one, GuestLvLayer) and one.chosen]
    if wanted is None or not groups or taken or any(isinstance(one, Fault) for one in found):
        return
    message = f"there is no logical volume {wanted} on {groups[0].device} on {host}"
    yield Fault("not-found", message, f"`pvs` on {host} lists the volume groups", host)


def _named(site: Site, pv: PvLayer, group: str, wanted: str) -> Climbed:
    """A logical volume that somebody has named: any in the group may take what it gains."""
    volume = wanted.removeprefix(f"{group}/")
    row = site.machine.ask(phrasebook.segments(group)).get(volume)
    if row is None or row.hidden:
        host = site.machine.name
        message = f"there is no logical volume {wanted} in {group} on {host}"
        return Climbed(
            (pv, Fault("not-found", message, f"`lvs {group}` lists what there is", host))
        )
    return _taken(site, pv, group, volume, row.uuid)


def _taken(site: Site, pv: PvLayer, group: str, volume: str, uuid: str) -> Climbed:
    options = site.options
    chosen = _wanted(site, group) is not None
    mappings = {one: lvm_mapping(one.dm_name, one.dm_uuid) for one in site.facts.blocks.values()}
    above = [one for one, found in mappings.items() if _is(found, pv.group_uuid, uuid)]
    block = above[0] if above else None
    layer = GuestLvLayer(
        site.machine, site.anchor, group, volume, uuid, pv, options.fill, chosen, block
    )  # fmt: skip
    return Climbed((pv, layer), block)


def _is(found: LvmMapping | None, group: str, uuid: str) -> bool:
    known = found is not None and not found.layer
    return known and found is not None and (found.group_uuid, found.uuid) == (group, uuid)
