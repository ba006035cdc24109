"""tgtadm of tgt 1.0.85: a LUN has the size that its device had when it was opened."""

import re
from collections.abc import Iterator

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Machine, State, TgtLun, TgtTarget

SHOW = ("--lld", "iscsi", "--mode", "target", "--op", "show")
UPDATE = ("--lld", "iscsi", "--mode", "logicalunit", "--op", "update")


def capacity(state: State, machine: str, place: str) -> int | None:
    """What READ CAPACITY answers for `IQN,LUN`; None: nobody answers."""
    iqn, _, number = place.rpartition(",")
    target = state.machines[machine].tgt.get(iqn)
    lun = None if target is None else target.luns.get(int(number))
    return lun.size if lun is not None and lun.online else None


def export(state: State, machine: str, iqn: str, path: str) -> str:
    """Serve a device as LUN 1 of a new target; gives `MACHINE/tgt/IQN,1`."""
    one = state.machines[machine]
    size = one.devices[one.device_at(path) or ""].size
    one.tgt[iqn] = TgtTarget(luns={1: TgtLun(path=path, size=size)})
    return f"{machine}/tgt/{iqn},1"


def tgtadm(call: Call) -> Answer:
    """Show everything, or update a LUN's parameters."""
    match call.argv[1:]:
        case (*words,) if tuple(words) == SHOW:
            return Answer(0, said(*_shown(call.machine)))
        case (*words, "--tid", tid, "--lun", lun, "--params", params) if tuple(words) == UPDATE:
            return _update(call.machine, int(tid), int(lun), params)
    raise call.unknown()


def _update(machine: Machine, tid: int, number: int, params: str) -> Answer:
    """`path=` wants the LUN offline; both in one request leave it online, opened anew."""
    targets = list(machine.tgt.values())
    if not 0 < tid <= len(targets) or number not in targets[tid - 1].luns:
        return Answer(22, "", said("tgtadm: can't find the target"))
    lun, wanted = targets[tid - 1].luns[number], dict(re.findall(r"(\w+)=([^,]*)", params))
    if "online" not in wanted and lun.online:
        return Answer(22, "", said("tgtadm: invalid request"))
    if lun.locked:
        return Answer(22, "", said("tgtadm: this logical unit is still active"))
    device = machine.device_at(wanted["path"])
    if device is None:
        lun.online = False
        return Answer(22, "", said("tgtadm: invalid request"))
    lun.path, lun.size, lun.online = wanted["path"], machine.devices[device].size, True
    lun.opened += 1
    return Answer()


def _shown(machine: Machine) -> Iterator[str]:
    for tid, (iqn, target) in enumerate(machine.tgt.items(), 1):
        yield f"Target {tid}: {iqn}"
        yield from ("    System information:", "        Driver: iscsi", "        State: ready")
        yield "    I_T nexus information:"
        for number, initiator in enumerate(target.initiators, 1):
            yield f"        I_T nexus: {number}"
            yield f"            Initiator: {initiator} alias: web1"
            yield "            Connection: 0"
            yield "                IP Address: 10.10.1.11"
        yield "    LUN information:"
        yield from _lun(0, TgtLun(path="None", size=0), "null")
        for number, lun in target.luns.items():
            yield from _lun(number, lun, lun.backing)
        yield from ("    Account information:", "    ACL information:", "        ALL")


def _lun(number: int, lun: TgtLun, backing: str) -> Iterator[str]:
    sectors = lun.size // 512
    shown = (sectors - (sectors // 625 - 974)) // 1950  # print_disksize in usr/target.c
    yield f"        LUN: {number}"
    for line in (
        f"Type: {'disk' if number else 'controller'}",
        f"SCSI ID: IET     0001000{number}",
        f"Size: {shown} MB, Block size: {512 if number else 1}",
        f"Online: {'Yes' if lun.online else 'No'}",
        "Removable media: No",
        f"Prevent removal: {'Yes' if lun.locked else 'No'}",
        "Readonly: No",
        f"Backing store type: {backing}",
        f"Backing store path: {lun.path}",
        "Backing store flags: ",
    ):
        yield f"            {line}"


TOOLS = {"tgtadm": Tool(tgtadm, deed=True, version=said("1.0.85"))}
