"""lvs, vgs, lvextend and lvcreate of lvm2 2.03.16, with their words and their exit status 5."""

import json

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Device, Group, LogicalVolume, copies

VERSION = said("  LVM version:     2.03.16(2) (2022-05-18)")
REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix")


def failed(*lines: str) -> Answer:
    return Answer(5, "", said(*(f"  {line}" for line in lines)))


def lvs(call: Call) -> Answer:
    match call.argv[1:]:
        case ("--reportformat", "json", "--units", "b", "--nosuffix", "-a", "-o", columns, group):
            rows = [
                _columns(
                    columns,
                    _row(name, _held(call, f"{group}/{name}", one), _placed(call, found, one))
                    | _group_row(group, found),
                )
                for found in [call.machine.groups.get(group)]
                if found is not None
                for name, one in sorted(found.volumes.items())
                for _ in range(one.segments)
            ]
            return _report(call, "lv", group, rows)
    raise call.unknown()


def _held(call: Call, place: str, one: LogicalVolume) -> LogicalVolume:
    """The volume, open if a target has it open."""
    served = any(store.path == f"/dev/{place}" for store in call.machine.stores.values())
    return one.model_copy(update={"opened": one.opened or served})


def vgs(call: Call) -> Answer:
    match call.argv[1:]:
        case ("--reportformat", "json", "--units", "b", "--nosuffix", "-o", columns, group):
            found = call.machine.groups.get(group)
            rows = [] if found is None else [_columns(columns, _group_row(group, found))]
            return _report(call, "vg", group, rows)
    raise call.unknown()


def _report(call: Call, section: str, group: str, rows: list[str]) -> Answer:
    body = ",\n".join(" " * 18 + row for row in rows)
    inside = f"\n{body}" if rows else ""
    text = (
        '  {\n      "report": [\n          {\n'
        f'              "{section}": [{inside}\n              ]\n          }}\n      ]\n  }}\n'
    )
    if group not in call.machine.groups:
        words = (f'  Volume group "{group}" not found', f"  Cannot process volume group {group}")
        return Answer(5, text, said(*words))
    return Answer(0, text)


def _columns(wanted: str, values: dict[str, str]) -> str:
    pairs = (f"{json.dumps(key)}:{json.dumps(values[key])}" for key in wanted.split(","))
    return "{" + ", ".join(pairs) + "}"


def _placed(call: Call, group: Group, one: LogicalVolume) -> str:
    """Where a volume lies: on the group's first physical volume, or on one that is not ours."""
    if one.elsewhere:
        return "/dev/vdz(0)"
    return f"{call.machine.node(group.device)}(0)" if group.device in call.machine.devices else ""


def _group_row(name: str, group: Group) -> dict[str, str]:
    return {
        "vg_name": name,
        "vg_uuid": group.uuid,
        "vg_size": str(group.size),
        "vg_free": str(group.free),
        "vg_extent_size": str(group.extent),
        "vg_attr": group.attr,
    }


def _row(name: str, one: LogicalVolume, devices: str) -> dict[str, str]:
    major, minor = (253, int(one.device.removeprefix("dm-"))) if one.device else (-1, -1)
    return {
        "lv_name": f"[{name}]" if one.hidden else name,
        "lv_uuid": one.uuid,
        "lv_size": str(one.size),
        "lv_attr": attributes(one),
        "segtype": one.segtype,
        "stripes": str(one.stripes),
        "pool_lv": one.pool,
        "devices": devices,
        "data_percent": "" if one.data_percent is None else f"{one.data_percent:.2f}",
        "metadata_percent": "" if one.metadata_percent is None else f"{one.metadata_percent:.2f}",
        "lv_kernel_major": str(major),
        "lv_kernel_minor": str(minor),
    }


def attributes(one: LogicalVolume) -> str:
    """lv_attr as lvs(8) writes it."""
    kinds = {"thin": "V", "thin-pool": "t", "raid1": "r", "mirror": "m", "cache": "C"}
    kind = one.hidden or one.letter or ("o" if one.origin_of else kinds.get(one.segtype, "-"))
    active = "s" if one.suspended else ("a" if one.device else "-")
    target, zero = {"thin": ("t", "z"), "thin-pool": ("t", "z"), "raid1": ("r", "-")}.get(
        one.segtype, ("-", "-")
    )
    last = "k" if one.resting else "-"
    opened = "o" if one.device and one.opened else "-"
    policy = "I" if one.locked else "i"
    return f"{kind}w{policy}-{active}{opened}{target}{zero}{one.health}{last}"


def lvextend(call: Call) -> Answer:
    match call.argv[1:]:
        case ("--yes", "--size", size, place) if size[:-1].isdigit() and size.endswith("b"):
            group_name, _, name = place.partition("/")
            return _extend(call, group_name, name, int(size[:-1]))
    raise call.unknown()


def _extend(call: Call, group_name: str, name: str, size: int) -> Answer:
    group = call.machine.groups.get(group_name)
    if group is None:
        words = f'Volume group "{group_name}" not found'
        return failed(words, f"Cannot process volume group {group_name}")
    volume = group.volumes.get(name)
    if volume is None:
        return failed(f"Logical volume {name} not found in volume group {group_name}.")
    now, new = volume.size // group.extent, extents(size, group, volume)
    if new == now:
        return failed(f"New size ({new} extents) matches existing size ({now} extents).")
    refusal = _group_refusal(group_name, group) or _refusal(group, volume, now, new)
    return failed(refusal) if refusal else _grown(call, group, group_name, name, new)


def _group_refusal(name: str, group: Group) -> str | None:
    if group.attr[0] == "r":
        return f"Cannot change VG {name} while it is read-only."
    if group.attr[3] == "p":
        return f"Cannot change VG {name} while PVs are missing."
    return None


def _refusal(group: Group, volume: LogicalVolume, now: int, new: int) -> str | None:
    if new < now:
        return f"New size given ({new} extents) not larger than existing size ({now} extents)"
    if volume.origin_of and volume.device:
        return "Snapshot origin volumes can be resized only while inactive: try lvchange -an."
    needed, free = (new - now) * copies(volume), group.free // group.extent
    if volume.segtype != "thin" and needed > free:
        return f"Insufficient free space: {needed} extents needed, but only {free} available"
    return None


def extents(size: int, group: Group, volume: LogicalVolume) -> int:
    """Extents for a size, in whole stripes."""
    count = -(-size // group.extent)
    if volume.segtype == "striped":
        count = -(-count // volume.stripes) * volume.stripes
    return count


def _grown(call: Call, group: Group, group_name: str, name: str, new: int) -> Answer:
    volume = group.volumes[name]
    group.keep(group_name)
    place, now = f"{group_name}/{name}", volume.size // group.extent
    if volume.segtype == "thin" and volume.data_percent:
        volume.data_percent = volume.data_percent * now / new
    volume.size = new * group.extent
    if volume.device:
        call.machine.devices[volume.device].size = volume.size
    old_text, new_text = (f"{count * group.extent / (1 << 20):.2f} MiB" for count in (now, new))
    changed = f"  Size of logical volume {place} changed from {old_text} ({now} extents) "
    changed += f"to {new_text} ({new} extents)."
    done = f"  Logical volume {place} successfully resized."
    return Answer(0, said(changed, done), _overcommitted(group, group_name, volume))


def _overcommitted(group: Group, group_name: str, volume: LogicalVolume) -> str:
    if volume.segtype != "thin":
        return ""
    promised = sum(one.size for one in group.volumes.values() if one.pool == volume.pool)
    if promised <= group.volumes[volume.pool].size:
        return ""
    return said(
        f"  WARNING: Sum of all thin volume sizes ({promised} B) exceeds the size of thin pool "
        f"{group_name}/{volume.pool} ({group.volumes[volume.pool].size} B).",
        "  WARNING: You have not turned on protection against thin pools running out of space.",
    )


def lvchange(call: Call) -> Answer:
    """`lvchange --refresh GROUP/VOLUME`: what is active gets its table anew."""
    match call.argv[1:]:
        case ("--refresh", place):
            group, _, name = place.partition("/")
            volume = call.machine.groups[group].volumes.get(name)
            if volume is None:
                return failed(f'Failed to find logical volume "{place}"')
            if volume.device:
                call.machine.devices[volume.device].size = volume.size
            return Answer()
    raise call.unknown()


def lvcreate(call: Call) -> Answer:
    match call.argv[1:]:
        case ("--yes", "--size", size, "--name", name, group):
            return _create(call, group, name, int(size.removesuffix("b")), "")
        case ("--yes", "--thin", "--virtualsize", size, "--name", name, place):
            group, _, pool = place.partition("/")
            return _create(call, group, name, int(size.removesuffix("b")), pool)
    raise call.unknown()


def _create(call: Call, group_name: str, name: str, size: int, pool: str) -> Answer:
    group = call.machine.groups.get(group_name)
    if group is None:
        words = f'Volume group "{group_name}" not found'
        return failed(words, f"Cannot process volume group {group_name}")
    if name in group.volumes:
        return failed(f'Logical Volume "{name}" already exists in volume group "{group_name}"')
    volume = LogicalVolume(
        uuid=uuid(group, name),
        size=0,
        segtype="thin" if pool else "linear",
        pool=pool,
        opened=False,
    )
    count, free = extents(size, group, volume), group.free // group.extent
    if not pool and count > free:
        words = f'Volume group "{group_name}" has insufficient free space'
        return failed(f"{words} ({free} extents): {count} required.")
    volume.size = count * group.extent
    volume.data_percent = 0.0 if pool else None
    group.volumes[name] = volume
    activate(call, group_name, name)
    return Answer(0, said(f'  Logical volume "{name}" created.'))


def uuid(group: Group, name: str) -> str:
    """A UUID in LVM's writing, from what it belongs to."""
    letters = (group.uuid.replace("-", "")[:6] + name + "0" * 32)[:32]
    clean = "".join(letter if letter.isalnum() else "x" for letter in letters)
    return "-".join((clean[:6], *(clean[at : at + 4] for at in range(6, 26, 4)), clean[26:]))


def activate(call: Call, group_name: str, name: str) -> str:
    """Give a logical volume its device; gives the kernel's name."""
    machine = call.machine
    group = machine.groups[group_name]
    volume = group.volumes[name]
    taken = {one for one in machine.devices if one.startswith("dm-")}
    number = next(count for count in range(len(taken) + 1) if f"dm-{count}" not in taken)
    volume.device = f"dm-{number}"
    machine.devices[volume.device] = Device(
        dev=f"253:{number}",
        size=volume.size,
        dm_name="-".join(part.replace("-", "--") for part in (group_name, name)),
        dm_uuid="LVM-" + (group.uuid + volume.uuid).replace("-", ""),
        slaves=[group.device] if group.device in machine.devices else [],
    )
    return volume.device


TOOLS = {
    "lvs": Tool(lvs, version=VERSION),
    "vgs": Tool(vgs, version=VERSION),
    "lvextend": Tool(lvextend, deed=True, version=VERSION),
    "lvchange": Tool(lvchange, deed=True, version=VERSION),
    "lvcreate": Tool(lvcreate, deed=True, version=VERSION),
}
