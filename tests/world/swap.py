"""mkswap, swapon, swapoff and getconf: swap space that is made anew while it is off."""

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Content

PAGE = 4096


def getconf(call: Call) -> Answer:
    """`getconf PAGESIZE`."""
    return Answer(0, said(str(PAGE)))


def swapoff(call: Call) -> Answer:
    """`swapoff DEV`."""
    name = call.machine.device_at(call.argv[-1])
    if name is None or name not in call.machine.swapped:
        return Answer(4, "", said(f"swapoff: {call.argv[-1]}: swapoff failed: Invalid argument"))
    _, used, _ = call.machine.swapped[name]
    if used > call.machine.available:
        return Answer(2, "", said("swapoff: swapoff failed: Cannot allocate memory"))
    del call.machine.swapped[name]
    return Answer()


def mkswap(call: Call) -> Answer:
    """`mkswap --uuid UUID [--label=LABEL] DEV`."""
    match call.argv[1:]:
        case ("--uuid", uuid, path):
            return _make(call, path, uuid, "")
        case ("--uuid", uuid, label, path) if label.startswith("--label="):
            return _make(call, path, uuid, label.removeprefix("--label="))
    raise call.unknown()


def _make(call: Call, path: str, uuid: str, label: str) -> Answer:
    name = call.machine.device_at(path)
    if name is None or name in call.machine.swapped:
        return Answer(1, "", said(f"mkswap: error: {path} is mounted; will not make swapspace"))
    key = call.machine.devices[name].content
    assert key is not None
    blocks = call.machine.devices[name].size // PAGE
    call.state.contents[key] = Content(type="swap", uuid=uuid, label=label, blocks=blocks)
    return Answer(0, said(f"Setting up swapspace version 1, size = {blocks * PAGE} bytes"))


def swapon(call: Call) -> Answer:
    """`swapon [--priority N] DEV`."""
    match call.argv[1:]:
        case ("--priority", number, path):
            return _on(call, path, int(number))
        case (path,):
            return _on(call, path, -2)
    raise call.unknown()


def _on(call: Call, path: str, priority: int) -> Answer:
    name = call.machine.device_at(path)
    content = None if name is None else call.state.content(call.name, name)
    if name is None or content is None or content.type != "swap":
        return Answer(255, "", said(f"swapon: {path}: read swap header failed"))
    if name in call.machine.swapped:
        return Answer(255, "", said(f"swapon: {path}: swapon failed: Device or resource busy"))
    call.machine.swapped[name] = [content.size - PAGE, 0, priority]
    return Answer()


TOOLS = {
    "getconf": Tool(getconf, root=False),
    "swapoff": Tool(swapoff, deed=True),
    "mkswap": Tool(mkswap, deed=True),
    "swapon": Tool(swapon, deed=True),
}
