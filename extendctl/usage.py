"""What a volume is used for on a host: all that stands on its device, whether or not it grows."""

import re
from collections.abc import Iterator

from extendctl.probe import Block, HostFacts
from extendctl.stack import Use


def uses(
    facts: HostFacts, block: Block, place: tuple[str, ...] = (), seen: frozenset[str] = frozenset()
) -> Iterator[Use]:
    """Each mount and each swap space on a device, and on what stands on it."""
    for mount in facts.mounts_of(block):
        yield Use(place, mount.fstype, mount.point, mount.read_only)
    if facts.swap_on(block):
        yield Use(place, "swap", block.path)
    if facts.mounted_elsewhere(block):
        yield Use(place, "filesystem", f"{block.path}, where this login does not see it")
    seen |= {block.name}
    for above in _above(facts, block):
        if above.name not in seen:
            yield from uses(facts, above, (*place, _step(above)), seen)


def opened(facts: HostFacts, block: Block) -> bool:
    """True when a mapping stands on it, open or active: of dm-crypt, of LVM."""
    return any(
        (one.dm_uuid is not None and not _PART.match(one.dm_uuid)) or opened(facts, one)
        for one in _above(facts, block)
    )


def _above(facts: HostFacts, block: Block) -> list[Block]:
    names = dict.fromkeys((*block.children, *block.holders))
    return [facts.blocks[name] for name in names if name in facts.blocks]


_PART = re.compile(r"part([0-9]{1,9})-")


def _step(block: Block) -> str:
    """What a device is to the one beneath it, in words that are the same on every host."""
    uuid = block.dm_uuid or ""
    if match := _PART.match(uuid):
        return f"partition {match[1]}"
    if block.partition is not None:
        return f"partition {block.partition}"
    if uuid.startswith("CRYPT-"):  # CRYPT-LUKS2-<UUID>-<name>, and the name is the host's own
        return "-".join(uuid.split("-")[:3])
    return uuid or block.name
