"""Where volumes live: what every backend can be asked, and which drivers there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from extendctl.config import BackendConfig
from extendctl.errors import Fault
from extendctl.host import Host
from extendctl.model import Capability, Identity, PoolUsage
from extendctl.size import Size
from extendctl.stack import Trunk


@dataclass(frozen=True, slots=True)
class Source:
    """Something a backend has that could be a volume; size in bytes.

    `identity` is as in Volume, `known` is how hosts know it: None while no target serves it. An
    `idle` one is there for its own machine, where nobody has it open. With `faults` it cannot be
    taken in, for these reasons.
    """

    name: str
    identity: str
    size: Size
    known: Identity | None = None
    idle: bool = False
    faults: tuple[Fault, ...] = ()


class Backend(Protocol):
    """One place where volumes live.

    What is asked of its machine raises Unreachable when it cannot be reached, and Refused when
    the answer is no.
    """

    @property
    def name(self) -> str: ...
    @property
    def machine(self) -> Host: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def trunk(self, source: str, identity: str | None = None) -> Trunk:
        """The volume's layers in the backend, lowest first, found on the machine now.

        With `identity` given, a source of that name that is something else is refused.
        """
        ...

    def usage(self) -> PoolUsage:
        """The pool that volumes take their space from."""
        ...

    def sources(self) -> Sequence[Source]:
        """All that could be a volume here, and nothing that the backend keeps for itself."""
        ...

    def create(self, name: str, size: Size, initiators: Sequence[str]) -> str:
        """Make a new volume of at least `size` bytes; gives its source."""
        ...


def build(config: BackendConfig, machine: Host) -> Backend:
    """The backend that a configuration describes."""
    from extendctl.backends.file import FileBackend
    from extendctl.backends.iscsi import IscsiBackend
    from extendctl.backends.lvm import LvmBackend

    drivers: dict[str, Callable[[BackendConfig, Host], Backend]] = {
        "file": FileBackend,
        "lvm": LvmBackend,
        "iscsi": IscsiBackend,
    }
    return drivers[config.driver](config, machine)
