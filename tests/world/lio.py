"""targetcli 2.1.53 and the capacity that LIO serves: a block backstore follows its device."""

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import State, Store, Target

DEFAULT_PORTAL = "0.0.0.0:3260"


def capacity(state: State, lun: str) -> int | None:
    """What READ CAPACITY answers for `machine/plugin_N/name`, in bytes; None: nobody answers."""
    name, _, store_id = lun.partition("/")
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
            return Answer(0, said("Configuration saved to /etc/target/saveconfig.json"))
        case ("/backstores/block", "create", name, dev):
            return _backstore(call, name.removeprefix("name="), dev.removeprefix("dev="))
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
            return _lun(call, target, store.removeprefix("/backstores/block/"))
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
