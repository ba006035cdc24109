"""Logical volumes, thick and thin, used on the storage machine itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import names, phrasebook, questions
from extendctl.ability import hindrances
from extendctl.backends import Source, lio, lv, nvmet, tgt
from extendctl.backends.served import Export, Where, claimed
from extendctl.config import BackendConfig
from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import Capability, Identity, PoolUsage
from extendctl.readings import LogicalVolume
from extendctl.size import Size, human, round_up
from extendctl.stack import Trunk


@dataclass(frozen=True)
class LvmBackend:
    """A volume group, or one thin pool in it."""

    config: BackendConfig
    machine: Host

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def group(self) -> str:
        """The volume group's name."""
        return self.config.volume_group or ""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.config.capabilities

    def trunk(self, source: str, identity: str | None = None) -> Trunk:
        layer = lv.layer(self.machine, self.group, source, identity)
        row = layer.row()
        pool = lv.look(self.machine, self.group, row.pool) if row.thin else None
        return Trunk(
            (layer,),
            identity=Identity("dm-uuid", row.dm_uuid),
            source_identity=f"lv:{row.uuid}",
            source=layer.volume,
            pool=lv.pool_usage(row, pool),
            thin=row.thin,
            copies=lv.copies(row),
        )

    def usage(self) -> PoolUsage:
        return lv.usage(self.machine, self.group, self.config.pool)

    def sources(self) -> Sequence[Source]:
        """The logical volumes. One that a target serves belongs to the backend that knows it."""
        self.machine.ask_all([
            phrasebook.logical_volumes(self.group), questions.facts(),
            questions.target(), questions.namespaces(),
        ])  # fmt: skip
        exports = self._exports()
        host = self.machine.name
        return [claimed(source, where, exports, host) for source, where in self.listed()]

    def listed(self) -> list[tuple[Source, Where]]:
        """The logical volumes, whoever serves them."""
        return lv.listed(self.machine, self.group, self.config.pool)

    def _exports(self) -> list[Export]:
        found = [*lio.exports(self.machine), *nvmet.exports(self.machine)]
        if "tgtadm" not in self.machine.ask(questions.facts()).tools:
            return found
        try:
            return found + tgt.exports(self.machine)
        except Refused:  # its daemon does not run
            return found

    def create(self, name: str, size: Size, initiators: Sequence[str]) -> str:
        names.lvm(name, "logical volume")
        faults = self.hindered(name, size)
        if faults:
            raise Refused(faults)
        self.make(name, size)
        return name

    def make(self, name: str, size: Size) -> None:
        """Make a logical volume that `hindered` has nothing against, unless it is there."""
        if name not in self.machine.ask(phrasebook.logical_volumes(self.group)):
            self.machine.do(phrasebook.create_lv(self.group, name, size, self.config.pool))

    def hindered(self, name: str, size: Size, *, opened: bool = False) -> list[Fault]:
        """Why a volume could not be made. What an earlier try has left is gone on with.

        `opened` says that such a one may be open: the caller knows by whom.
        """
        rows = self.machine.ask(phrasebook.logical_volumes(self.group))
        if name in rows:
            return [] if self._left(rows[name], size, opened=opened) else [self._taken(name)]
        pool = self.config.pool
        deed = phrasebook.create_lv(self.group, name, size, pool)
        faults = hindrances(self.machine, deed)
        if pool is None:
            return faults + self._space(size)
        if pool not in rows:
            message = f"there is no thin pool {self.group}/{pool} on {self.machine.name}"
            faults.append(Fault("not-found", message, "", self.machine.name))
        return faults

    def _left(self, row: LogicalVolume, size: Size, *, opened: bool) -> bool:
        """Whether a logical volume is one that was made for this and then left: it is empty.

        Asked for with the same size, active, used by nobody on this machine, nothing on it that
        blkid knows.
        """
        same = row.size == round_up(size, row.unit) and row.pool == (self.config.pool or "")
        blocks = self.machine.ask(questions.facts()).blocks.values()
        block = next((one for one in blocks if one.dm_uuid == row.dm_uuid), None)
        if not same or block is None or self.machine.ask(questions.facts()).in_use(block):
            return False
        if row.attr[5:6] == "o" and not opened:
            return False
        return not self.machine.ask(phrasebook.signature(f"/dev/{self.group}/{row.name}"))

    def _taken(self, name: str) -> Fault:
        message = f"there is a logical volume {self.group}/{name} on {self.machine.name} already"
        hint = "import it, or choose another name"
        return Fault("obstacle", message, hint, self.machine.name)

    def _space(self, size: Size) -> list[Fault]:
        group = lv.usage(self.machine, self.group)
        if round_up(size, group.unit) <= group.free:
            return []
        message = f"the volume group {self.group} on {self.machine.name} has {human(group.free)} "
        message += f"({group.free} bytes) free, less than {human(size)} ({size} bytes)"
        return [Fault("no-space", message, "choose a smaller size", self.machine.name)]
