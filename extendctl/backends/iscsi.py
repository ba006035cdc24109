"""Volumes that hosts see as LUNs or namespaces, through a target on the storage machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from extendctl import names, phrasebook, questions, usage
from extendctl.backends import Source, fileio, lio, lv, nvmet, served, tgt
from extendctl.backends.file import FileBackend
from extendctl.backends.lvm import LvmBackend
from extendctl.backends.served import Export, Served
from extendctl.config import BackendConfig
from extendctl.errors import Fault, Refused, half_made
from extendctl.host import Host, Question
from extendctl.model import Capability, PoolUsage
from extendctl.readings import LogicalVolume
from extendctl.size import Size
from extendctl.stack import Trunk, Use

_SERVING: Mapping[str, Callable[[Host, LogicalVolume], list[Served]]] = {
    "lio": lio.serving,
    "tgt": tgt.serving,
    "nvmet": nvmet.serving,
}
"""What each target serves of a logical volume."""

_EXPORTS: Mapping[str, Callable[[Host], list[Export]]] = {
    "lio": lio.exports,
    "tgt": tgt.exports,
    "nvmet": nvmet.exports,
}
"""All that each target serves."""


@dataclass(frozen=True)
class IscsiBackend:
    """A volume group, or a directory of files, that a target on the same machine serves."""

    config: BackendConfig
    machine: Host

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.config.capabilities

    @property
    def target(self) -> str:
        """What serves the volumes: lio, tgt or nvmet."""
        return self.config.target or "lio"

    @property
    def _below(self) -> LvmBackend | FileBackend:
        """What the target serves: logical volumes, or files in a directory."""
        if self.config.volume_group is not None:
            return LvmBackend(self.config, self.machine)
        self._lio_only("files")
        return FileBackend(self.config, self.machine)

    def _lio_only(self, what: str) -> None:
        if self.target != "lio":
            message = f"backend {self.name}: {what} behind `target: {self.target}` "
            message += "cannot be handled by this version"
            hint = "export a logical volume by hand and import it, or use `target: lio`"
            raise Refused((Fault("obstacle", message, hint, self.machine.name),))

    def _questions(self) -> list[Question[Any]]:
        by_target: dict[str, Callable[[], Question[Any]]] = {
            "lio": questions.target,
            "tgt": phrasebook.tgt_targets,
            "nvmet": questions.namespaces,
        }
        return [by_target[self.target](), questions.facts()]

    def _ask(self, below: LvmBackend | FileBackend) -> None:
        """Ask side by side what a look at volumes needs."""
        first = self._questions()
        if isinstance(below, LvmBackend):
            first.append(phrasebook.logical_volumes(below.group))
        else:
            first.append(phrasebook.directory(below.directory))
        self.machine.ask_all(first)

    def trunk(self, source: str, identity: str | None = None) -> Trunk:
        below = self._below
        self._ask(below)
        trunk = below.trunk(source, identity)
        trunk = replace(trunk, uses=self._at_home(trunk))
        found = self._serving(below, trunk)
        if len(found) != 1:
            which = [one.name for one in found]
            faults = (served.ambiguous(trunk.source, self.machine.name, which),) if which else ()
            return replace(trunk, identity=None, obstacles=faults)
        layers = (*trunk.layers, found[0].layer)
        return replace(trunk, layers=layers, identity=found[0].identity)

    def _at_home(self, trunk: Trunk) -> tuple[Use, ...]:
        """What the storage machine itself uses a volume for, which it serves to others."""
        facts = self.machine.ask(questions.facts())
        known = "" if trunk.identity is None else trunk.identity.value
        mine = (one for one in facts.blocks.values() if known in {one.dm_uuid, one.backing_file})
        return tuple(use for one in mine for use in usage.uses(facts, one))

    def _serving(self, below: LvmBackend | FileBackend, trunk: Trunk) -> list[Served]:
        if isinstance(below, FileBackend):
            return fileio.serving(self.machine, trunk.layers[0].name)
        row = lv.look(self.machine, below.group, trunk.source)
        return _SERVING[self.target](self.machine, row)

    def usage(self) -> PoolUsage:
        return self._below.usage()

    def sources(self) -> Sequence[Source]:
        below = self._below
        self._ask(below)
        exports, host = _EXPORTS[self.target](self.machine), self.machine.name
        return [served.exported(source, where, exports, host) for source, where in below.listed()]

    def create(self, name: str, size: Size, initiators: Sequence[str]) -> str:
        """As everywhere; what an earlier try has left half made is gone on with.

        Raises Incomplete once there is something that was left.
        """
        self._lio_only("new volumes")
        below = self._below
        if isinstance(below, LvmBackend):
            offer = lio.Offer.of(name, "block", f"/dev/{below.group}/{name}", initiators)
        else:
            path = f"{below.directory.rstrip('/')}/{names.filename(name)}"
            offer = lio.Offer.of(name, "fileio", path, initiators)
        self._ask(below)
        mine = offer.made(self.machine.ask(questions.target())) is not None
        faults = [
            *below.hindered(name, size, opened=mine),
            *lio.hindered(self.machine, offer),
        ]
        if faults:
            raise Refused(faults)
        below.make(name, size)
        with half_made(name, self.machine.name):
            lio.export(self.machine, offer)
        return name
