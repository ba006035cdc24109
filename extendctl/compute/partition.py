"""The last partition of a disk, in its table and in the kernel's eyes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.block_readings import Partition, Table
from extendctl.compute.proof import Proof
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.host import Deed, Question
from extendctl.probe import Block
from extendctl.size import MIB, Size, human
from extendctl.stack import Obstacle


@dataclass(frozen=True)
class PartitionLayer(OnHost):
    """Partition `number` of `disk`; `part` is the device that the kernel made of it."""

    disk: Block
    part: Block
    number: int
    proof: Proof

    kind = "partition"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/partition{self.number}"

    @property
    def name(self) -> str:
        return self.part.path

    def table(self) -> Table:
        """The table as it is on the disk."""
        return self.machine.ask(phrasebook.partition_table(self.disk.path))

    def line(self) -> Partition:
        """Its line in the table. Refused when the table has none."""
        rows = self.table().partitions
        found = [one for one in rows if _number(one.node, self.disk.path) == self.number]
        if not found:
            message = f"{self.disk.path} on {self.host} has no partition {self.number} in its table"
            raise Refused((self.no(message, "the kernel and the table disagree: look at both"),))
        return found[0]

    def measure(self) -> Size:
        """What both the kernel and the table give it; either alone does not survive."""
        table = phrasebook.partition_table(self.disk.path)
        self.machine.ask_all([table, self._kernel(), *self.proof.questions()])
        self.proof.hold(self.machine)
        return min(self.kernel(), self.line().size * self.table().sector)

    def kernel(self) -> Size:
        """What the kernel gives to whoever stands on it."""
        dev, size = self.machine.ask(self._kernel())
        if dev != self.part.dev:
            message = f"{self.part.name} on {self.host} has become another device"
            raise Refused((self.no(message, "run the command again"),))
        return int(size)

    def _kernel(self) -> Question[tuple[str, ...]]:
        block = f"/sys/class/block/{self.part.name}"
        return questions.sysfs(f"{block}/dev", f"{block}/size")

    def room(self, below: Size) -> Size:
        """All up to the end; but less than a MiB there is what tools leave when they align.

        What a disk gains past an MBR's end counts, so that it is refused; what was there does not.
        """
        table, line = self.table(), self.line()
        left = (table.limit(below) - line.end) * table.sector
        lost = below - max(self.disk.size, (1 << 32) * table.sector)
        gained = lost if table.label == "dos" and lost > 0 else 0
        return line.size * table.sector + (left if left >= MIB else 0) + gained

    def grow(self, to: Size) -> None:
        """Write the table if it lags, then let the kernel take it over if that lags."""
        table, line = self.table(), self.line()
        sectors = to // table.sector
        if line.size < sectors:
            self.machine.do(phrasebook.write_partition(self.disk.path, self.number, sectors))
        self.tell(to)

    def tell(self, to: Size) -> None:
        """Let the kernel, or the mapping on a multipath map, take its size from the table."""
        if not self.part.dm_uuid:
            self.machine.do(phrasebook.tell_partition(self.disk.path, self.number))
            return
        self.machine.do(phrasebook.settle())
        if self.kernel() < to:
            self.machine.do(phrasebook.remap_partitions(self.disk.path, _delimiter(self)))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        table, line = self.table(), self.line()
        found = [one for deed in self._deeds(to // table.sector) for one in self.hindered(deed)]
        found += self.protected(self.disk.dev)
        if table.label not in {"gpt", "dos"}:
            found.append(self.no(f"{self.disk.path} on {self.host} has a {table.label} table"))
        if table.label == "dos" and self.number > 4:
            found.append(self.no(f"{self.name} on {self.host} is a logical partition"))
        behind = [one for one in table.partitions if one.start >= line.end]
        found += [
            self.no(
                f"{self.name} on {self.host} is followed by {one.node}, so that it cannot grow",
                "only the last partition of a disk can; move or remove the other",
            )
            for one in behind
        ]
        if table.label == "dos" and line.start * table.sector + to >= (1 << 32) * table.sector:
            end = human((1 << 32) * table.sector)
            message = f"{self.disk.path} on {self.host} has an MBR table, which ends at {end}"
            found.append(self.no(message, "convert it to GPT first"))
        return found

    def view(self) -> "PartitionView":
        """The same partition, when another host writes the table."""
        return PartitionView(
            self.machine, self.anchor, self.disk, self.part, self.number, self.proof
        )

    def _deeds(self, sectors: int) -> Iterator[Deed]:
        yield phrasebook.write_partition(self.disk.path, self.number, sectors)
        yield from self._telling()

    def _telling(self) -> Iterator[Deed]:
        if self.part.dm_uuid:
            yield phrasebook.settle()
            yield phrasebook.remap_partitions(self.disk.path, _delimiter(self))
        else:
            yield phrasebook.tell_partition(self.disk.path, self.number)


@dataclass(frozen=True)
class PartitionView(PartitionLayer):
    """A partition as this host's kernel has it, while another host writes the table.

    What this host has read of the table before stays in its page cache for as long as anybody has
    the disk open, and a mapping on a multipath map always has: it is dropped first.
    """

    def grow(self, to: Size) -> None:
        """Let the kernel read the table again; writing it is the other host's."""
        self.machine.do(phrasebook.drop_cache(self.disk.path))
        self.tell(to)

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        """What keeps this host from reading; what is wrong with the table, the other one says."""
        deeds = (phrasebook.drop_cache(self.disk.path), *self._telling())
        return [one for deed in deeds for one in self.hindered(deed)]


def _number(node: str, disk: str) -> int:
    """The number at the end of a partition's name, which may follow a digit of the disk's own.

    sfdisk says `/dev/mapper/data11` for the first partition of the map data1 where there is such
    a device, whatever it is.
    """
    digits = re.search(r"[0-9]{1,9}$", node.removeprefix(disk))
    return 0 if digits is None else int(digits[0])


def _delimiter(layer: PartitionLayer) -> str:
    """What stands between the map's name and the number: kpartx would rename it otherwise."""
    name = (layer.part.dm_name or "").removeprefix(layer.disk.dm_name or layer.disk.name)
    return name.removesuffix(str(layer.number))
