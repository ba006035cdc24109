"""multipathd 0.9.4: a map over paths, which it grows only when all of them agree."""

from tests.world.answer import Answer, Call, Tool, said


def multipathd(call: Call) -> Answer:
    """`multipathd show paths raw format ...` and `multipathd resize map NAME`."""
    match call.argv[1:]:
        case ("show", "paths", "raw", "format", "%d %t %T %o"):
            return Answer(0, said(*_paths(call)))
        case ("resize", "map", name):
            return _resize(call, name)
    raise call.unknown()


def _paths(call: Call) -> list[str]:
    rows = []
    for name, device in call.machine.devices.items():
        if device.wwid is not None:
            states = "active ready" if device.state == "running" else "failed faulty"
            rows.append(f"{name} {states} {device.state}")
    return rows


def _resize(call: Call, name: str) -> Answer:
    found = call.machine.device_at(f"/dev/mapper/{name}")
    if found is None:
        return Answer(1, said("fail"))
    device = call.machine.devices[found]
    sizes = {call.machine.devices[one].size for one in device.slaves}
    if len(sizes) != 1:
        return Answer(1, said("fail"))
    device.size = sizes.pop()
    return Answer(0, said("ok"))


def iscsiadm(call: Call) -> Answer:
    """The node database is empty here."""
    return Answer(21, "", said("iscsiadm: No records found"))


TOOLS = {
    "multipathd": Tool(multipathd, deed=True),
    "iscsiadm": Tool(iscsiadm, version="iscsiadm version 2.1.8\n"),
}
