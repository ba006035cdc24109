"""Volumes that hosts see as iSCSI LUNs, through a target that serves logical volumes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from extendctl import phrasebook, questions
from extendctl.backends import Source, lio, lv
from extendctl.backends.lvm import LvmBackend
from extendctl.config import BackendConfig
from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import Capability, Identity, PoolUsage
from extendctl.size import Size
from extendctl.stack import Trunk


@dataclass(frozen=True)
class IscsiBackend:
    """A volume group whose logical volumes a target on the same machine serves."""

    config: BackendConfig
    machine: Host

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.config.capabilities

    @property
    def _volumes(self) -> LvmBackend:
        if self.config.target == "lio" and self.config.volume_group is not None:
            return LvmBackend(self.config, self.machine)
        what = "files" if self.config.volume_group is None else f"target {self.config.target}"
        message = f"backend {self.name}: {what} cannot be grown by this version"
        hint = "logical volumes behind `target: lio` can"
        raise Refused((Fault("obstacle", message, hint, self.machine.name),))

    def trunk(self, source: str, identity: str | None = None) -> Trunk:
        below = self._volumes
        self.machine.ask_all(
            (phrasebook.logical_volumes(below.group), questions.target(), questions.facts())
        )
        trunk = below.trunk(source, identity)
        row = lv.look(self.machine, below.group, trunk.source)
        stores = lio.backstores(self.machine, row)
        if not stores:
            return replace(trunk, identity=None)
        if len(stores) > 1:
            fault = lio.ambiguous(trunk.source, self.machine.name, stores)
            return replace(trunk, identity=None, obstacles=(fault,))
        layer = lio.LunLayer.of(self.machine, stores[0])
        identity_on_hosts = Identity("wwn", stores[0].wwid)
        return replace(trunk, layers=(*trunk.layers, layer), identity=identity_on_hosts)

    def usage(self) -> PoolUsage:
        return self._volumes.usage()

    def sources(self) -> Sequence[Source]:
        return self._volumes.sources()

    def create(self, name: str, size: Size, initiators: Sequence[str]) -> str:
        below = self._volumes
        source = below.create(name, size, ())
        lio.export(self.machine, below.group, source, initiators)
        return source
