"""The machines of one lab together: started, reached and stopped as one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.lab import cache, network, rundir
from tests.lab.image import Base
from tests.lab.machine import Machine
from tests.lab.oracle import Oracle, write_known_hosts
from tests.lab.recipe import MACHINES, SILO

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
        """Starts all machines on the disks in the run directory; with saved memory they wait, paused."""
        inherit = [lock.fileno() for lock in self._locks]
        ordered = sorted(self.machines.values(), key=lambda m: m.spec is not SILO)
        for machine in ordered:
            machine.start(memory(machine.spec.name) if memory else None, inherit)
            if machine.spec is SILO:
                self._await_sockets()

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

    def _await_sockets(self) -> None:
        """Waits until silo listens on each iSCSI network, because the hosts connect only once."""
        silo = self.machines[SILO.name]
        end = time.monotonic() + 20
        while not all((self.run / f"net{card.network}.sock").exists() for card in SILO.cards):
            if time.monotonic() > end:
                raise RuntimeError(f"silo did not start: {silo.complaint()}")
            time.sleep(0.01)
