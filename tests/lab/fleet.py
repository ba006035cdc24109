"""The machines of one lab together: started, reached and stopped as one."""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.lab import cache, network, rundir
from tests.lab.image import Base
from tests.lab.machine import Machine
from tests.lab.oracle import Oracle, write_known_hosts
from tests.lab.recipe import MACHINES

_T = TypeVar("_T")


def each(items: Iterable[_T], do: Callable[[_T], object]) -> None:
    """Does the same to all at once; raises what the first failure raised."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(do, items):
            pass


class Fleet:
    """silo, web1 and web2 in a run directory, on ports that stay the same until it is closed."""

    def __init__(
        self, base: Base, *, detached: bool = False, in_use: tuple[Path, ...] = ()
    ) -> None:
        self.run = rundir.create()
        self._locks = [
            rundir.hold(self.run),
            *(cache.hold(place) for place in (base.place, *in_use)),
        ]
        self.base = base
        names = [spec.name for spec in MACHINES]
        self.ports = dict(zip(names, network.free_ports(len(names)), strict=True))
        self.known_hosts = self.run / "known_hosts"
        write_known_hosts(self.known_hosts, base, self.ports)
        self.machines = {
            spec.name: Machine(spec, base, self.run, self.ports[spec.name], detached)
            for spec in MACHINES
        }
        key = base.key("root")
        self.oracles = {
            name: Oracle(name, port, key, self.known_hosts, self.run)
            for name, port in self.ports.items()
        }

    def start(self, memory: Callable[[str], Path] | None = None) -> None:
        """Starts all machines on the disks in the run directory; with saved memory, paused."""
        inherit = [lock.fileno() for lock in self._locks]
        cables = network.cables()
        for name, machine in self.machines.items():
            plugs = {net: end.fileno() for (owner, net), end in cables.items() if owner == name}
            machine.start(plugs, memory(name) if memory else None, inherit)
        for end in cables.values():
            end.close()

    def connect(self, timeout: float) -> None:
        """Waits until all machines answer ssh."""
        each(self.oracles.values(), lambda oracle: oracle.connect(timeout))

    def kill(self) -> None:
        """Pulls the plug of all machines."""
        for oracle in self.oracles.values():
            oracle.disconnect()
        for machine in self.machines.values():
            machine.kill()

    def close(self) -> None:
        """Kills the machines and removes the run directory."""
        self.kill()
        for lock in self._locks:
            lock.close()
        self._locks = []
        shutil.rmtree(self.run, ignore_errors=True)
