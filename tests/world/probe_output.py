"""What the two probing scripts print on a simulated machine, line for line."""

from collections.abc import Iterator

from extendctl.lease import CLOCK_SCRIPT
from extendctl.nvmet_probe import NVMET_SCRIPT
from extendctl.probe_script import HOST_SCRIPT, TOOLS
from extendctl.target_probe import TARGET_SCRIPT
from tests.world import lio, nvme, sudo
from tests.world.answer import Answer, Call, Tool
from tests.world.session import sessions
from tests.world.state import Device, Machine, Mount, State
from tests.world.sysfs import attributes


def shell(call: Call) -> Answer:
    """`sh -s` with one of the probes as its standard input."""
    script = call.stdin.decode()
    if call.argv[:2] == ("sh", "-s") and script == HOST_SCRIPT:
        return Answer(0, "".join(_host(call)))
    if call.argv == ("sh", "-s") and script == TARGET_SCRIPT:
        return Answer(0, "".join(_target(call.machine)))
    if call.argv == ("sh", "-s") and script == NVMET_SCRIPT:
        rows = (*_clock(call.machine), *nvme.probed_namespaces(call.machine), ("end",))
        return Answer(0, "".join(_say(*row) for row in rows))
    if call.argv == ("sh", "-s") and script == CLOCK_SCRIPT:
        return Answer(0, "".join(_say(*row) for row in (*_clock(call.machine), ("end",))))
    raise AssertionError(f"a script that is no probe on {call.name}: {script[:200]!r}")


def _clock(machine: Machine) -> Iterator[tuple[str, str]]:
    yield "boot-id", machine.boot_id
    yield "uptime", f"{machine.uptime:.2f}"


def _say(*words: str) -> str:
    return "".join(f"{word}\t" for word in words) + "\n"


def _host(call: Call) -> Iterator[str]:
    machine = call.machine
    yield _say("kernel", machine.kernel)
    yield _say("machine-id", machine.machine_id)
    yield from (_say(*row) for row in _clock(machine))
    yield _say("uid", "0" if call.root else "1000")
    yield _say("bounding", f"{machine.bounding:016x}")
    yield _say("available", str(machine.available // 1024))
    for tool in TOOLS:
        if tool in machine.tools:
            yield _say("tool", tool, f"/usr/sbin/{tool}")
    for name in sorted(machine.devices):
        yield from _block(call.state, machine, name)
    yield from (_say(*row) for row in nvme.probed_controllers(machine))
    yield from _btrfs(call.state, call.name)
    yield from (_say("live", name) for name in _live(call.state, call.name))
    yield _mount_line((21, 1), "254:1", "/", "/", "rw", "ext4 /dev/vda1 rw,errors=remount-ro")
    for number, mount in enumerate(machine.mounts):
        yield _mount(call.state, call.name, 40 + number, mount, _parent(machine, number))
        content = call.state.content(call.name, mount.device)
        if content is not None and content.type == "btrfs":
            yield _say("alias", mount.source or machine.node(mount.device), mount.device)
    yield from _swaps(machine)
    if call.argv[2:] == ("sudo",) and "sudo" in machine.tools:
        rights = machine.sudo.get(call.user, "password")
        rows = sudo.listing(rights, call.user, call.name)
        yield from (_say("sudo-line", line) for line in rows if line)
    yield _say("end")


def _swaps(machine: Machine) -> Iterator[str]:
    yield _say("swap", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority")
    for name, (size, used, priority) in machine.swapped.items():
        kib = f"partition\t{size // 1024}\t\t{used // 1024}\t\t{priority}"
        yield _say("swap", f"/dev/{name}                               {kib}")
    for path in machine.swaps:
        yield _say("swap", f"{path}                               partition\t1048572\t\t0\t\t-2")
    for uuid, note in machine.resting.items():
        if note:
            yield _say("resting", uuid, note)


def _block(state: State, machine: Machine, name: str) -> Iterator[str]:
    device = machine.devices[name]
    yield _say("block", name, device.dev, str(device.size // 512))
    for key, value in attributes(device).items():
        yield _say(key, name, value)
    for row in sessions(state, name, device):
        yield _say("session", *row)
    for other in sorted(machine.devices):
        if machine.devices[other].parent == name:
            yield _say("child", name, other)
    for other in sorted(machine.devices):
        if name in machine.devices[other].slaves:
            yield _say("holder", name, other)
    for slave in device.slaves:
        yield _say("slave", name, slave)


def _btrfs(state: State, name: str) -> Iterator[str]:
    machine = state.machines[name]
    mounted = {
        content.uuid for one in machine.mounts if (content := state.content(name, one.device))
    }
    members = {
        device: content
        for device in sorted(machine.devices)
        if (content := state.content(name, device)) and content.type == "btrfs"
        if content.uuid in mounted
    }
    for uuid, busy in {one.uuid: one.busy for one in members.values()}.items():
        yield _say("exclusive", uuid, busy)
    for one in members.values():
        yield _say("writeable", one.uuid, str(one.devid), str(int(one.writable)))
    for device, one in members.items():
        yield _say("btrfs", one.uuid, device)


def _live(state: State, name: str) -> Iterator[str]:
    """What ext4 and xfs have mounted, for whoever it was: a container, too."""
    machine = state.machines[name]
    for device in sorted({one.device for one in machine.mounts} | machine.unseen):
        content = state.content(name, device)
        if content is not None and content.type in {"ext2", "ext3", "ext4", "xfs"}:
            yield device


def _parent(machine: Machine, number: int) -> int:
    """The id of the mount beneath: the last before it at its point, or above that."""
    point = machine.mounts[number].point
    before = [one.point for one in machine.mounts[:number]]
    over = [place for place, one in enumerate(before) if f"{point}/".startswith(f"{one}/")]
    return 40 + over[-1] if over else 21


def _mount(state: State, name: str, number: int, mount: Mount, parent: int) -> str:
    device: Device = state.machines[name].devices[mount.device]
    content = state.content(name, mount.device)
    kind = "ext4" if content is None else content.type
    dev = f"0:{number}" if kind == "btrfs" else device.dev
    flag = "ro" if mount.read_only else "rw"
    source = mount.source or state.machines[name].node(mount.device)
    back = f"{kind} {_mangled(source)} {flag}"
    return _mount_line((number, parent), dev, mount.root, mount.point, flag, back)


def _mount_line(ids: tuple[int, int], dev: str, root: str, point: str, flag: str, back: str) -> str:
    front = f"{ids[0]} {ids[1]} {dev} {_mangled(root)} {_mangled(point)} {flag},relatime shared:1"
    return _say("mount", f"{front} - {back}")


def _mangled(text: str) -> str:
    """As the kernel writes a path into mountinfo (fs/proc_namespace.c)."""
    return "".join(f"\\{ord(sign):03o}" if sign in " \t\n\\#" else sign for sign in text)


def _target(machine: Machine) -> Iterator[str]:
    yield from (_say(*row) for row in _clock(machine))
    for id_, store in sorted(machine.stores.items()):
        yield _say("serial", id_, f"T10 VPD Unit Serial Number: {store.serial}")
        yield _say("udev_path", id_, store.path)
        yield _say("enable", id_, str(int(store.enabled)))
        for line in lio.info(machine, id_):
            yield _say("info", id_, line)
    for iqn, target in sorted(machine.targets.items()):
        group = f"{iqn}/tpgt_1"
        yield _say("group", group, str(int(target.enabled)))
        for portal in target.portals:
            yield _say("portal", group, portal)
        for acl in target.acls:
            yield _say("acl", group, acl)
    root = "/sys/kernel/config/target"
    for iqn, target in sorted(machine.targets.items()):
        for number, id_ in target.luns.items():
            place = f"{root}/iscsi/{iqn}/tpgt_1/lun/lun_{number}/{id_.rpartition('/')[2][:10]}"
            yield _say("lun", place, f"../../../../../../target/core/{id_}")
    yield _say("end")


TOOLS_HERE = {"sh": Tool(shell, root=False)}
