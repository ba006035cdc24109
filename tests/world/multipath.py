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
    """`iscsiadm -m node -T IQN -o show`: what the node database has of a target."""
    match call.argv[1:]:
        case ("-m", "node", "-T", iqn, "-o", "show"):
            records = call.machine.nodes.get(iqn, [])
            if not records:
                return Answer(21, "", said("iscsiadm: No records found"))
            return Answer(0, said(*(line for one in records for line in _record(iqn, *one))))
    raise call.unknown()


def _record(iqn: str, address: str, port: str, startup: str) -> tuple[str, ...]:
    return (
        "# BEGIN RECORD 2.1.8",
        f"node.name = {iqn}",
        "node.tpgt = 1",
        f"node.startup = {startup}",
        "node.leading_login = No",
        "iface.iscsi_ifacename = default",
        f"node.conn[0].address = {address}",
        f"node.conn[0].port = {port}",
        "node.conn[0].startup = manual",
        "# END RECORD",
    )


TOOLS = {
    "multipathd": Tool(multipathd, deed=True),
    "iscsiadm": Tool(iscsiadm, version="iscsiadm version 2.1.8\n"),
}
