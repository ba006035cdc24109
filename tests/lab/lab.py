"""The lab as tests use it: living machines that go back to their beginning in seconds."""

import atexit
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.lab import configfile, warm
from tests.lab.fleet import Fleet, each
from tests.lab.machine import disk_names, overlay
from tests.lab.network import link_name
from tests.lab.progress import step

_KERNEL_ERROR = re.compile(
    r"I/O error|(EXT4|XFS|BTRFS)\S* ?.*(error|corrupt|shut ?down)|Remounting filesystem read-only|"
    r"blocked for more than|Call Trace|BUG:|Oops|rejecting I/O|lost page write|"
    r"capacity change.* to 0\b|critical (target|medium) error",
    re.IGNORECASE,
)


class Lab:
    """Three machines: silo with the storage, web1 and web2 as its hosts."""

    def __init__(self, snapshot: warm.Warm, *, detached: bool = False) -> None:
        self._snapshot = snapshot
        self._fleet = Fleet(snapshot.base, detached=detached, in_use=(snapshot.place,))
        if not detached:
            atexit.register(self.stop)

    @classmethod
    def ensure(cls, *, detached: bool = False) -> Self:
        """Builds what is missing, and gives a lab whose machines do not run yet: call reset()."""
        return cls(warm.warm(), detached=detached)

    @property
    def known_hosts(self) -> Path:
        """An ssh known_hosts file for this lab's ports."""
        return self._fleet.known_hosts

    @property
    def directory(self) -> Path:
        """Where this run's sockets, consoles and disks are."""
        return self._fleet.run

    @property
    def names(self) -> tuple[str, ...]:
        """The machines."""
        return tuple(self._fleet.machines)

    def port(self, machine: str) -> int:
        """The port on 127.0.0.1 that leads to the machine's ssh; the same after every reset."""
        return self._fleet.ports[machine]

    def pids(self) -> dict[str, int]:
        """The processes of the machines that run."""
        return {name: m.pid for name, m in self._fleet.machines.items() if m.pid is not None}

    def identity(self, user: str = "ops") -> Path:
        """The private ssh key that lets this user in."""
        return self._snapshot.base.key(user)

    def ssh(self, machine: str, user: str = "root") -> list[str]:
        """The ssh command line for a machine, without a command."""
        words = self._fleet.oracles[machine].command(user)
        return [
            str(self.identity(user)) if word == str(self.identity("root")) else word
            for word in words
        ]

    def reset(self) -> None:
        """Brings all machines back to the snapshot, whatever state they are in."""
        fleet = self._fleet
        fleet.kill()
        for name, machine in fleet.machines.items():
            for disk in disk_names(machine.spec):
                machine.disk(disk).unlink(missing_ok=True)
                overlay(machine.disk(disk), str(self._snapshot.disk(name, disk)), "qcow2")
        fleet.start(self._snapshot.memory)
        for machine in fleet.machines.values():
            machine.wait_until("paused")
        for machine in fleet.machines.values():
            machine.control_command("cont")
        fleet.connect(timeout=60)
        # The guests' clocks stand where the snapshot was taken.
        each(self.names, lambda name: self.run(name, f"date -s @{time.time():.0f}"))

    def stop(self) -> None:
        """Ends the machines and removes all that they wrote."""
        self._fleet.close()

    def leave(self) -> None:
        """Lets the machines of a detached lab go on without this process."""
        for oracle in self._fleet.oracles.values():
            oracle.disconnect()

    def run(
        self, machine: str, command: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell command as root; with check, a failure is an AssertionError."""
        done = self._fleet.oracles[machine].run(command, timeout)
        if check and done.returncode:
            raise AssertionError(
                f"{machine}: {command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def put(self, machine: str, path: str, content: str) -> None:
        """Writes a text file on a machine, and the directories above it."""
        quoted = shlex.quote(path)
        done = self._fleet.oracles[machine].run(
            f'mkdir -p "$(dirname {quoted})" && cat > {quoted}', 60, content
        )
        if done.returncode:
            raise AssertionError(f"{machine}: writing {path}: {done.stderr}")

    def kernel_errors(self, machine: str) -> list[str]:
        """What the kernel said since the snapshot about failed I/O, damage and stuck tasks."""
        lines = self.run(machine, "dmesg").stdout.splitlines()
        return [line for line in lines if _KERNEL_ERROR.search(line)]

    def freeze(self, machine: str) -> None:
        """Stops a machine between two instructions; to the others it is silent."""
        self._fleet.machines[machine].control_command("stop")

    def thaw(self, machine: str) -> None:
        """Lets a frozen machine go on."""
        self._fleet.machines[machine].control_command("cont")

    def link(self, machine: str, number: int, up: bool) -> None:
        """Cuts or restores a link: 0 is the management link (ssh), 1 and up are the iSCSI links."""
        self._fleet.machines[machine].control_command("set_link", name=link_name(number), up=up)

    def kill(self, machine: str) -> None:
        """Pulls the plug; the machine is gone until the next reset."""
        self._fleet.oracles[machine].disconnect()
        self._fleet.machines[machine].kill()

    def reboot(self, machine: str, timeout: float = 300) -> None:
        """Presses the reset button and waits for the boot; what was not synced is lost.

        Targets, sessions, maps, mappings and mounts come back by what is configured on disk.
        """
        oracle = self._fleet.oracles[machine]
        oracle.disconnect()
        self._fleet.machines[machine].control_command("system_reset")
        with step(f"{machine} boots"):
            oracle.connect(timeout)
            oracle.run("systemctl is-system-running --wait", timeout)

    def write_config(self, directory: Path, user: str = "ops", become: str = "sudo") -> Path:
        """Writes a configuration of extendctl for this lab, with its state beside it."""
        return configfile.write(
            directory, self._fleet.ports, self.known_hosts, self.identity(user), user, become
        )
