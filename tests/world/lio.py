"""targetcli 2.1.53 and the capacity that LIO serves: a block backstore follows its device."""

import json
from collections.abc import Iterator

from tests.world import nvme, tgt
from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Machine, State, Store, Target

DEFAULT_PORTAL = "0.0.0.0:3260"
CONTROL = r"/sys/kernel/config/target/core/(fileio_\d+/[^/]+)/control"
PLACES = ("/etc/target/saveconfig.json", "/etc/rtslib-fb-target/saveconfig.json")


def capacity(state: State, lun: str) -> int | None:
    """What READ CAPACITY answers for `machine/plugin_N/name`, in bytes; None: nobody answers."""
    name, _, store_id = lun.partition("/")
    other = {"tgt": tgt.capacity, "nvmet": nvme.capacity}.get(store_id.partition("/")[0])
    if other is not None:
        return None if name in state.down else other(state, name, store_id.partition("/")[2])
    machine = state.machines[name]
    store = machine.stores.get(store_id)
    if store is None or not store.enabled or name in state.down:
        return None
    device = machine.device_at(store.path)
    if device is not None:
        return machine.devices[device].size
    return store.declared


def targetcli(call: Call) -> Answer:
    """The few things that the program asks of it."""
    match call.argv[1:]:
        case ("saveconfig",):
            call.machine.saved += 1
            _save(call.machine)
            return Answer(0, said("Configuration saved to /etc/target/saveconfig.json"))
        case ("/backstores/block", "create", name, dev):
            return _backstore(call, name.removeprefix("name="), dev.removeprefix("dev="))
        case ("/backstores/fileio", "create", name, path, "write_back=false"):
            return _file(call, name.removeprefix("name="), path.removeprefix("file_or_dev="))
        case ("/iscsi", "create", iqn):
            return _target(call, iqn)
        case (place, "create", *rest) if place.startswith("/iscsi/"):
            return _inside(call, place, rest)
    raise call.unknown()


def _backstore(call: Call, name: str, dev: str) -> Answer:
    machine = call.machine
    if any(store.rpartition("/")[2] == name for store in machine.stores):
        return Answer(1, "", said(f"Storage object block/{name} exists"))
    if machine.device_at(dev) is None:
        return Answer(1, "", said(f"Cannot configure StorageObject because {dev} is not a device"))
    if any(store.path == dev for store in machine.stores.values()):
        words = f"Cannot configure StorageObject because device {dev} is already in use"
        return Answer(1, "", said(words))
    number = len(machine.stores)
    machine.stores[f"iblock_{number}/{name}"] = Store(serial=serial(name), path=dev)
    return Answer(0, said(f"Created block storage object {name} using {dev}."))


def _file(call: Call, name: str, path: str) -> Answer:
    machine = call.machine
    if any(store.rpartition("/")[2] == name for store in machine.stores):
        return Answer(1, "", said(f"Storage object fileio/{name} exists"))
    store = Store(serial=serial(name), path=path, declared=machine.files[path])
    machine.stores[f"fileio_{len(machine.stores)}/{name}"] = store
    return Answer(0, said(f"Created fileio {name} with size {store.declared}"))


def control(call: Call, store: str) -> Answer:
    """`fd_dev_size=N` into a fileio backstore: the size that it serves from now on."""
    key, _, value = call.stdin.decode().strip().partition("=")
    if not call.root or store not in call.machine.stores or key != "fd_dev_size":
        raise call.unknown()
    call.machine.stores[store].declared = int(value)
    return Answer(0, call.stdin.decode())


def _save(machine: Machine) -> None:
    """What the next start of the target will know of files."""
    for id_, one in machine.stores.items():
        if id_.startswith("fileio") and one.declared is not None:
            machine.saved_sizes[id_.rpartition("/")[2]] = one.declared


def restart(machine: Machine) -> None:
    """The target is started again from what was saved."""
    for id_, one in machine.stores.items():
        one.declared = machine.saved_sizes.get(id_.rpartition("/")[2], one.declared)


def saved(machine: Machine, path: str) -> str | None:
    """The saved configuration, in Debian's place for it."""
    if path == PLACES[0]:
        return None
    stores = [
        {"name": name, "plugin": "fileio", "size": size}
        for name, size in machine.saved_sizes.items()
    ]
    return json.dumps({"fabric_modules": [], "storage_objects": stores, "targets": []}, indent=2)


def info(machine: Machine, id_: str) -> Iterator[str]:
    """A backstore's file `info`, line by line."""
    store = machine.stores[id_]
    status = "ACTIVATED" if store.enabled else "DEACTIVATED"
    yield f"Status: {status}  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 4294967288"
    device = machine.device_at(store.path)
    if id_.startswith("fileio"):
        size = 0 if device is not None else store.declared
        yield (
            f"        TCM FILEIO ID: 0        File: {store.path}  Size: {size}  "
            "Mode: Buffered-WCE Async: 0"
        )
        return
    name = device or "none"
    yield f"        iBlock device: {name}  UDEV PATH: {store.path}  readonly: 0"
    major, _, minor = (machine.devices[device].dev if device else "0:0").partition(":")
    yield f"        Major: {major} Minor: {minor}  CLAIMED: IBLOCK"


def serial(name: str) -> str:
    """A unit serial in LIO's writing, made from the name so that runs are alike."""
    digits = (name.encode().hex() + "d0c94f5e" * 4)[:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _target(call: Call, iqn: str) -> Answer:
    targets = call.machine.targets
    if iqn in targets:
        return Answer(1, "", said("This Target already exists in configFS"))
    portals = {portal for one in targets.values() for portal in one.portals}
    free = portals <= {DEFAULT_PORTAL}
    targets[iqn] = Target(portals=[DEFAULT_PORTAL] if free else [])
    created = said(f"Created target {iqn}.", "Created TPG 1.")
    return Answer(0, created + said("Global pref auto_add_default_portal=true"))


def _inside(call: Call, place: str, words: list[str]) -> Answer:
    iqn, _, what = place.removeprefix("/iscsi/").partition("/tpg1/")
    target = call.machine.targets.get(iqn)
    if target is None:
        return Answer(1, "", said(f"No such path {place}"))
    match what, words:
        case "portals", [address, port]:
            return _portal(target, f"{address}:{port}")
        case "luns", [store]:
            return _lun(call, target, store.rpartition("/")[2])
        case "acls", [initiator]:
            if initiator in target.acls:
                return Answer(1, "", said("This NodeACL already exists in configFS"))
            target.acls.append(initiator)
            return Answer(0, said(f"Created Node ACL for {initiator}"))
    raise call.unknown()


def _portal(target: Target, portal: str) -> Answer:
    if portal in target.portals:
        return Answer(1, "", said("This NetworkPortal already exists in configFS"))
    target.portals.append(portal)
    return Answer(0, said(f"Created network portal {portal}."))


def _lun(call: Call, target: Target, name: str) -> Answer:
    found = [one for one in call.machine.stores if one.rpartition("/")[2] == name]
    if not found:
        return Answer(1, "", said(f"No storage object or path {name}"))
    if found[0] in target.luns.values():
        return Answer(1, "", said(f"lun for storage object block/{name} already exists"))
    number = next(at for at in range(len(target.luns) + 1) if at not in target.luns)
    target.luns[number] = found[0]
    return Answer(0, said(f"Created LUN {number}."))


TOOLS = {"targetcli": Tool(targetcli, deed=True, version=said("2.1.53"))}
