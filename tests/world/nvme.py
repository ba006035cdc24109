"""The kernel's NVMe target, which follows its device, and nvme-cli 2.3 on hosts, which ask it."""

from collections.abc import Iterator

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Controller, Device, Machine, Namespace, State

CONFIGFS = "/sys/kernel/config/nvmet/subsystems/"
UUID = "2fb889ac-90e5-4d78-8a03-048989b60cf7"


def capacity(state: State, machine: str, place: str) -> int | None:
    """What Identify answers for `NQN,NUMBER`; None: nobody answers."""
    one = state.machines[machine]
    space = one.namespaces.get(place)
    device = None if space is None or not space.enabled else one.device_at(space.path)
    return None if device is None else one.devices[device].size


def export(state: State, machine: str, nqn: str, path: str) -> str:
    """Serve a device as namespace 1 of a new subsystem; gives `MACHINE/nvmet/NQN,1`."""
    state.machines[machine].namespaces[f"{nqn},1"] = Namespace(path=path, uuid=UUID)
    return f"{machine}/nvmet/{nqn},1"


def connect(state: State, host: str, lun: str, number: int = 0) -> Device:
    """A controller on a host, and the namespace's device under all of them."""
    silo, _, place = lun.partition("/nvmet/")
    one, size = state.machines[host], capacity(state, silo, place) or 0
    below = state.machines[silo]
    content = below.devices[below.device_at(below.namespaces[place].path) or ""].content
    one.controllers[f"nvme{number}"] = Controller(nqn=place.rpartition(",")[0], lun=lun, size=size)
    device = Device(dev="259:1", size=size, wwid=f"uuid.{UUID}", lun=lun, content=content)
    return one.devices.setdefault("nvme0n1", device)


def nvme(call: Call) -> Answer:
    """`nvme ns-rescan /dev/nvmeX`: the path takes its size anew, and the device with it."""
    match call.argv[1:]:
        case ("ns-rescan", node):
            found = call.machine.controllers.get(node.removeprefix("/dev/"))
            if found is None:
                return Answer(2, "", said(f"{node}: No such file or directory"))
            return _rescan(call, found)
    raise call.unknown()


def _rescan(call: Call, controller: Controller) -> Answer:
    silo, _, place = controller.lun.partition("/nvmet/")
    size = None if silo in call.state.down else capacity(call.state, silo, place)
    if controller.state != "live":
        return Answer(1, "", said("Namespace Rescan: Resource temporarily unavailable"))
    if size is not None:
        controller.size = size
        for device in call.machine.devices.values():
            device.size = size if device.lun == controller.lun else device.size
    return Answer()


def read(machine: Machine, path: str) -> str | None:
    """A file of the target's configuration, or of a host's controllers."""
    if path.startswith(CONFIGFS):
        nqn, _, rest = path.removeprefix(CONFIGFS).partition("/namespaces/")
        number, _, key = rest.partition("/")
        space = machine.namespaces.get(f"{nqn},{number}")
        return None if space is None else _files(space)[key]
    name, _, rest = path.removeprefix("/sys/class/nvme/").partition("/")
    controller = machine.controllers.get(name)
    if controller is None:
        return None
    files = {"wwid": f"uuid.{UUID}", "size": str(controller.size // 512)}
    return files[rest.rpartition("/")[2]]


def _files(space: Namespace) -> dict[str, str]:
    nguid = "00000000-0000-0000-0000-000000000000"
    enable = str(int(space.enabled))
    return {
        "enable": enable, "device_uuid": space.uuid, "device_nguid": nguid,
        "device_path": space.path,
    }  # fmt: skip


def probed_namespaces(machine: Machine) -> Iterator[tuple[str, ...]]:
    """The rows that the probe of the target prints."""
    for place, space in machine.namespaces.items():
        nqn, _, number = place.rpartition(",")
        yield ("namespace", nqn, number, *_files(space).values())


def probed_controllers(machine: Machine) -> Iterator[tuple[str, ...]]:
    """The rows that the probe of a host prints."""
    for name, one in machine.controllers.items():
        yield ("nvme", name, one.nqn, one.state)
        yield ("namespace", name, f"nvme0c{name[4:]}n1", f"uuid.{UUID}")


TOOLS = {"nvme": Tool(nvme, deed=True, version=said("nvme version 2.3 (git 2.3)"))}
