"""Where discovery stands on a host, and the words that all layers on hosts share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import questions
from extendctl.ability import hindrances
from extendctl.errors import Fault
from extendctl.host import Deed, Host
from extendctl.model import GrowOptions, Identity
from extendctl.probe import Block, HostFacts
from extendctl.size import Size
from extendctl.stack import Obstacle, Skipped


@dataclass(frozen=True)
class Site:
    """A host, what is known of it, and the volume whose stack is being climbed there."""

    machine: Host
    facts: HostFacts
    identity: Identity
    options: GrowOptions
    beneath: frozenset[str] = frozenset()  # devices that have been climbed already

    @property
    def anchor(self) -> str:
        """The beginning of every key here: the host and the volume, not a device's name."""
        return f"{self.machine.name}/{self.identity}"

    def skipped(self, kind: str, name: str, reason: str) -> Skipped:
        """A mark for what is left as it is."""
        return Skipped(self.machine.name, kind, name, reason)


@dataclass(frozen=True)
class OnHost:
    """What every layer on a host has: its machine and the anchor of its key."""

    machine: Host
    anchor: str

    @property
    def host(self) -> str:
        return self.machine.name

    def hindered(self, deed: Deed) -> list[Obstacle]:
        """Why the machine could not do this deed."""
        return hindrances(self.machine, deed)

    def no(self, message: str, hint: str = "") -> Obstacle:
        """An obstacle on this host."""
        return Fault("obstacle", message, hint, self.host)

    def protected(self, dev: str) -> list[Obstacle]:
        """Why nothing can be written to a device: the lowest one beneath it that refuses."""
        facts = self.machine.ask(questions.facts())
        found = [one for one in _beneath(facts, dev) if one.read_only][-1:]
        hint = "let it be written to, at its storage or by `blockdev --setrw`"
        return [self.no(f"{one.path} on {self.host} is write-protected", hint) for one in found]


def _beneath(facts: HostFacts, dev: str) -> Iterator[Block]:
    """A device and those that it is on; a multipath map answers for its paths, some passive."""
    blocks = facts.blocks.values()
    found = [one for one in blocks if one.dev == dev]
    for above in found:  # which grows meanwhile
        yield above
        below = () if (above.dm_uuid or "").startswith("mpath-") else above.slaves
        on = (one for one in blocks if one.name in below or above.name in one.children)
        found += [one for one in on if one not in found]


def sectors(machine: Host, *names: str) -> Sequence[Size]:
    """The kernel's view of block devices, in bytes."""
    paths = [f"/sys/class/block/{name}/size" for name in names]
    return [int(size) for size in machine.ask(questions.sysfs(*paths))]
