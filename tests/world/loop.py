"""losetup 2.38.1: a loop device takes its file's size when told, and none past its limit."""

from tests.world.answer import Answer, Call, Tool, said


def losetup(call: Call) -> Answer:
    """`losetup --set-capacity /dev/loopN`."""
    match call.argv[1:]:
        case ("--set-capacity", path):
            return _set_capacity(call, path)
    raise call.unknown()


def _set_capacity(call: Call, path: str) -> Answer:
    device = call.machine.devices.get(path.removeprefix("/dev/"))
    if device is None or device.file is None:
        words = f"losetup: {path}: failed to use device: No such device"
        return Answer(1, "", said(words))
    size = max(0, call.machine.files.get(device.file, 0) - device.offset)
    if device.sizelimit:
        size = min(size, device.sizelimit)
    device.size = size // 512 * 512
    return Answer()


TOOLS = {"losetup": Tool(losetup, deed=True, version=said("losetup from util-linux 2.38.1"))}
