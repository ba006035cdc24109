"""pvs and pvresize of lvm2 2.03.16, for volume groups with one physical volume."""

import json

from tests.world.answer import Answer, Call, Tool, said
from tests.world.lvm import VERSION
from tests.world.state import MIB, Group, Machine

START = MIB


def pvs(call: Call) -> Answer:
    """`pvs --reportformat json ... -o COLUMNS`."""
    match call.argv[1:]:
        case ("--reportformat", "json", "--units", "b", "--nosuffix", "-o", columns):
            rows = [
                {key: _row(call.machine, name, group)[key] for key in columns.split(",")}
                for name, group in call.machine.groups.items()
                if group.device in call.machine.devices
            ]
            return Answer(0, json.dumps({"report": [{"pv": rows}]}))
    raise call.unknown()


def _row(machine: Machine, name: str, group: Group) -> dict[str, str]:
    device = machine.devices[group.device]
    major, _, minor = device.dev.partition(":")
    return {
        "pv_name": machine.node(group.device),
        "pv_uuid": group.uuid[::-1],
        "pv_major": major,
        "pv_minor": minor,
        "pv_size": str(group.size),
        "pv_free": str(group.free),
        "pv_attr": group.pv_attr,
        "dev_size": str(device.size),
        "pe_start": str(START),
        "pv_mda_count": "1",
        "pv_mda_size": str(START - 4096),
        "vg_name": name,
        "vg_uuid": group.uuid,
        "vg_extent_size": str(group.extent),
        "vg_free": str(group.free),
        "vg_attr": group.attr,
    }


def pvresize(call: Call) -> Answer:
    """`pvresize --yes DEV`: says that it did, whether or not there was anything to do."""
    match call.argv[1:]:
        case ("--yes", path):
            name = call.machine.device_at(path)
            for group_name, group in call.machine.groups.items():
                if group.device == name and name is not None:
                    group.keep(group_name)
                    size = call.machine.devices[name].size - START
                    group.size = max(group.size, size // group.extent * group.extent)
                    words = f'  Physical volume "{path}" changed'
                    return Answer(0, said(words, "  1 physical volume(s) resized or updated"))
            return Answer(5, "", said(f"  Failed to find physical volume {path}"))
    raise call.unknown()


TOOLS = {
    "pvs": Tool(pvs, version=VERSION),
    "pvresize": Tool(pvresize, deed=True, version=VERSION),
}
