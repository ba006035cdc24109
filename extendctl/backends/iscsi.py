"""Volumes that hosts see as iSCSI LUNs, through a target on the storage machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from extendctl import phrasebook, questions
from extendctl.backends import Source, lio, lv
from extendctl.backends.file import FileBackend
from extendctl.backends.fileio import FileioLayer
from extendctl.backends.lvm import LvmBackend
from extendctl.config import BackendConfig
from extendctl.errors import Fault, Refused
from extendctl.host import Host, Question
from extendctl.model import Capability, Identity, PoolUsage
from extendctl.size import Size
from extendctl.stack import Layer, Trunk
from extendctl.target_probe import Backstore


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
    def _below(self) -> LvmBackend | FileBackend:
        """What the target serves: logical volumes, or files in a directory."""
        if self.config.target != "lio":
            message = f"backend {self.name}: `target: {self.config.target}` is not built yet"
            raise Refused((Fault("obstacle", message, "`target: lio` is", self.machine.name),))
        if self.config.volume_group is not None:
            return LvmBackend(self.config, self.machine)
        return FileBackend(self.config, self.machine)

    def trunk(self, source: str, identity: str | None = None) -> Trunk:
        below = self._below
        first: list[Question[Any]] = [questions.target(), questions.facts()]
        if isinstance(below, LvmBackend):
            first.append(phrasebook.logical_volumes(below.group))
        self.machine.ask_all(first)
        trunk = below.trunk(source, identity)
        stores = self._stores(below, trunk)
        if len(stores) != 1:
            faults = (lio.ambiguous(trunk.source, self.machine.name, stores),) if stores else ()
            return replace(trunk, identity=None, obstacles=faults)
        store = stores[0]
        layer: Layer = lio.LunLayer.of(self.machine, store)
        if isinstance(below, FileBackend):
            layer = FileioLayer.of(self.machine, store)
        identity_on_hosts = Identity("wwn", store.wwid)
        return replace(trunk, layers=(*trunk.layers, layer), identity=identity_on_hosts)

    def _stores(self, below: LvmBackend | FileBackend, trunk: Trunk) -> list[Backstore]:
        if isinstance(below, FileBackend):
            return lio.over_file(self.machine, trunk.layers[0].name)
        row = lv.look(self.machine, below.group, trunk.source)
        return lio.backstores(self.machine, row)

    def usage(self) -> PoolUsage:
        return self._below.usage()

    def sources(self) -> Sequence[Source]:
        return self._below.sources()

    def create(self, name: str, size: Size, initiators: Sequence[str]) -> str:
        below = self._below
        source = below.create(name, size, ())
        if isinstance(below, LvmBackend):
            store = phrasebook.create_backstore(source, f"/dev/{below.group}/{source}")
        else:
            store = phrasebook.create_fileio(source, f"{below.directory.rstrip('/')}/{source}")
        lio.export(self.machine, store, initiators)
        return source
