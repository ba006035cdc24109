"""Provisions the machines once and keeps them, alive, as a snapshot that nothing ever writes to."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cache, image, qmp, scripts, tools
from tests.lab.fleet import Fleet, each
from tests.lab.image import Base
from tests.lab.machine import Machine, command_line, disk_names, overlay
from tests.lab.progress import step
from tests.lab.recipe import MACHINES, SILO

# What tests and program run, run once so that the snapshot has it in memory.
_REHEARSE = """
sudo -u ops sudo -n true; python3 -c 'import json, subprocess'; lsblk -J; findmnt -J; losetup -J
lvs --reportformat json; pvs; vgs; blkid; dmsetup table
if [ "$(hostname)" = silo ]; then targetcli ls; else
iscsiadm -m session -P 3; multipathd show maps json; fi
"""
# Empties the logs that a fresh lab must not show.
_SETTLE = """
rm -rf /root/.targetcli; udevadm settle; sync; journalctl -q --rotate --vacuum-time=1s; dmesg -C
"""


@dataclass(frozen=True)
class Warm:
    """A built snapshot: saved memory and read-only disks."""

    place: Path
    base: Base

    def memory(self, name: str) -> Path:
        """What the machine held in memory."""
        return self.place / f"{name}.memory"

    def disk(self, name: str, disk: str) -> Path:
        """What the machine's disk held at that moment."""
        return self.place / f"{name}-{disk}.qcow2"


def key() -> str:
    """The hash of all that decides what the machines are like when they wake."""
    nowhere = Base(Path("base"))
    words = [image.key(), tools.emulator_version(), _REHEARSE, _SETTLE, scripts.silo_script()]
    for spec in MACHINES:
        plugs = {card.network: 0 for card in spec.cards}
        words += command_line(Machine(spec, nowhere, Path("run"), 0), plugs, None)
        words.append(scripts.host_script(spec.name))
    return cache.fingerprint(words)


def warm() -> Warm:
    """The snapshot, built if this recipe has not been built yet."""
    base = image.base()
    # A snapshot's disks are what differs from one particular image.
    name = cache.fingerprint([key(), base.build])
    return Warm(cache.cached("warm", name, lambda place: _build(place, base)), base)


def _build(place: Path, base: Base) -> None:
    fleet = Fleet(base)
    try:
        with step("first boot"):
            _make_disks(fleet)
            fleet.start()
            fleet.connect(timeout=600)
        _provision(fleet)
        with step("snapshot"):
            _save(fleet, Warm(place, base))
    finally:
        fleet.close()


def _make_disks(fleet: Fleet) -> None:
    for machine in fleet.machines.values():
        overlay(machine.disk("vda"), str(fleet.base.disk), "raw")
        for disk in machine.spec.disks:
            qemu_img = [
                "qemu-img",
                "create",
                "-q",
                "-f",
                "qcow2",
                str(machine.disk(disk.name)),
                disk.size,
            ]
            tools.run(qemu_img)


def _provision(fleet: Fleet) -> None:
    with step("silo's volumes"):
        _run(fleet, SILO.name, scripts.silo_script())
    hosts = [spec.name for spec in MACHINES if spec is not SILO]
    with step("the hosts' volumes"):
        each(hosts, lambda name: _run(fleet, name, scripts.host_script(name)))
    with step("settling"):
        each(fleet.machines, lambda name: fleet.oracles[name].run(_REHEARSE, 300))
        each(fleet.machines, lambda name: fleet.oracles[name].run(_SETTLE, 300))
    for oracle in fleet.oracles.values():
        oracle.disconnect()


def _run(fleet: Fleet, name: str, script: str) -> None:
    done = fleet.oracles[name].run("bash -s", 600, script)
    if done.returncode:
        raise RuntimeError(
            f"provisioning {name} failed ({done.returncode}):\n{done.stdout}\n{done.stderr[-3000:]}"
        )


def _save(fleet: Fleet, target: Warm) -> None:
    """Stops all machines first, so that the connections between them are cut at one moment."""
    machines = list(fleet.machines.values())
    for machine in machines:
        machine.control_command("stop")
    for machine in machines:
        qmp.save_memory(machine.control, target.memory(machine.spec.name))
    for machine in machines:
        machine.control_command("quit")
        machine.kill()
        _keep_disks(machine, target)


def _keep_disks(machine: Machine, target: Warm) -> None:
    for name in disk_names(machine.spec):
        kept = target.disk(machine.spec.name, name)
        shutil.move(machine.disk(name), kept)
        kept.chmod(0o444)
        os.utime(kept)
