"""What a target serves of a logical volume, whichever target it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import questions
from extendctl.errors import Fault
from extendctl.host import Host
from extendctl.model import Identity
from extendctl.readings import LogicalVolume
from extendctl.stack import Layer


@dataclass(frozen=True, slots=True)
class Served:
    """A volume as its target serves it: by which name, as which layer, and known to hosts how."""

    name: str
    layer: Layer
    identity: Identity


def nodes(machine: Host, row: LogicalVolume) -> frozenset[str]:
    """The paths in /dev by which a target may have been given a logical volume."""
    mapped = f"{row.group.name.replace('-', '--')}-{row.name.replace('-', '--')}"
    return frozenset({
        f"/dev/{row.group.name}/{row.name}",
        f"/dev/mapper/{mapped}",
        *(f"/dev/{one.name}" for one in machine.ask(questions.facts()).blocks.values()
          if one.dm_uuid == row.dm_uuid),
    })  # fmt: skip


def device(machine: Host, row: LogicalVolume) -> str:
    """The kernel's number, major:minor, of an active logical volume."""
    blocks = machine.ask(questions.facts()).blocks.values()
    return next((one.dev for one in blocks if one.dm_uuid == row.dm_uuid), row.dev)


def ambiguous(source: str, host: str, which: Sequence[str]) -> Fault:
    """One volume served twice has two identities: hosts would see two disks."""
    message = f"{source} on {host} is served several times: {', '.join(which)}"
    return Fault("obstacle", message, "leave one of them", host)
