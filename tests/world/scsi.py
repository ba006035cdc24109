"""tee into a SCSI device's rescan: the only way in which an initiator learns LIO's new size."""

import re

from tests.world import lio
from tests.world.answer import Answer, Call, Tool, said
from tests.world.lio import capacity


def tee(call: Call) -> Answer:
    """Write standard input to /sys/block/NAME/device/rescan, and to standard output."""
    match call.argv[1:]:
        case (path,) if found := re.fullmatch(r"/sys/block/([^/]+)/device/rescan", path):
            return _rescan(call, found[1], path)
        case (path,) if path.startswith("/run/extendctl-swap-") and call.root:
            note = call.stdin.decode().strip()
            call.machine.resting[path.removeprefix("/run/extendctl-swap-")] = note
            return Answer(0, call.stdin.decode())
        case (path,) if found := re.fullmatch(lio.CONTROL, path):
            return lio.control(call, found[1])
    raise call.unknown()


def _rescan(call: Call, name: str, path: str) -> Answer:
    echo = call.stdin.decode()
    if not call.root:
        return Answer(1, echo, said(f"tee: {path}: Permission denied"))
    device = call.machine.devices.get(name)
    if device is None or device.wwid is None:
        return Answer(1, echo, said(f"tee: {path}: No such file or directory"))
    if echo.strip() != "1":
        raise AssertionError(f"{path} takes a 1, not {echo!r}")
    size = capacity(call.state, device.lun) if device.lun else None
    if size is not None and device.state == "running":
        device.size = size // 512 * 512
    return Answer(0, echo)


TOOLS = {"tee": Tool(tee, deed=True, root=False, version=said("tee (GNU coreutils) 9.1"))}
