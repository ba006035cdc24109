"""What a target serves of a logical volume or a file, whichever target it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from extendctl import questions
from extendctl.backends import Source
from extendctl.errors import Fault
from extendctl.host import Host
from extendctl.model import Identity
from extendctl.probe import Block
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
    return spot(row, _block(machine, row))[0]


def device(machine: Host, row: LogicalVolume) -> str:
    """The kernel's number, major:minor, of an active logical volume."""
    return spot(row, _block(machine, row))[1]


def _block(machine: Host, row: LogicalVolume) -> Block | None:
    blocks = machine.ask(questions.facts()).blocks.values()
    return next((one for one in blocks if one.dm_uuid == row.dm_uuid), None)


def spot(row: LogicalVolume, block: Block | None) -> tuple[frozenset[str], str]:
    """A logical volume's paths in /dev and its number, with its device while it is active."""
    mapped = f"{row.group.name.replace('-', '--')}-{row.name.replace('-', '--')}"
    paths = {f"/dev/{row.group.name}/{row.name}", f"/dev/mapper/{mapped}"}
    if block is None:
        return frozenset(paths), row.dev
    return frozenset({*paths, f"/dev/{block.name}"}), block.dev


def ambiguous(source: str, host: str, which: Sequence[str]) -> Fault:
    """One volume served twice has two identities: hosts would see two disks."""
    message = f"{source} on {host} is served several times: {', '.join(which)}"
    return Fault("obstacle", message, "leave one of them", host)


@dataclass(frozen=True, slots=True)
class Export:
    """Something that a target serves: by which name, from where, and known to hosts how.

    `path` is the one that the target was given, `dev` the kernel's number (major:minor) of the
    device that it has open, where it tells that: then the path does not count.
    """

    name: str
    path: str
    identity: Identity
    dev: str | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """Where a source is on its machine: its paths, its number if it has one.

    `used` says that something on the machine itself stands on it, in the eyes of the kernel.
    """

    paths: frozenset[str]
    dev: str | None = None
    used: bool = False

    def serves(self, export: Export) -> bool:
        """Whether a target serves this."""
        return export.path in self.paths if export.dev is None else export.dev == self.dev


def claimed(source: Source, where: Where, exports: Sequence[Export], host: str) -> Source:
    """A source of a backend that knows no target: what one serves is not to be taken in there."""
    names = [one.name for one in exports if where.serves(one)]
    if not names:
        return source
    message = f"{source.name} on {host} is served by a target, as {', '.join(names)}"
    hint = "take it in by way of a backend with the driver iscsi, or no host is told of its growth"
    return replace(source, faults=(*source.faults, Fault("obstacle", message, hint, host)))


def exported(source: Source, where: Where, exports: Sequence[Export], host: str) -> Source:
    """A source as hosts know it: by the one name under which the target serves it, if it does."""
    found = [one for one in exports if where.serves(one)]
    if len(found) == 1:
        return replace(source, known=found[0].identity, idle=False)
    faults = list(source.faults)
    if found:
        faults.append(ambiguous(source.name, host, [one.name for one in found]))
    elif where.used:
        message = f"{source.name} is served by no target, and is in use on {host} itself"
        hint = "a backend with the driver lvm (or file) on that machine takes it in"
        faults.append(Fault("obstacle", message, hint, host))
    return replace(source, known=None, faults=tuple(faults))
