"""One virtual machine: a QEMU process, its disks and its controls."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import network, qmp, tools
from tests.lab.image import Base
from tests.lab.recipe import KERNEL_ARGUMENTS, MachineSpec


def disk_names(spec: MachineSpec) -> tuple[str, ...]:
    """The root disk and the extra ones."""
    return ("vda", *(disk.name for disk in spec.disks))


def overlay(file: Path, backing: str, backing_format: str) -> None:
    """Makes an empty qcow2 file over another; a relative name is looked up beside the new file."""
    command = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        backing_format,
        "-b",
        backing,
        str(file),
    ]
    tools.run(command)


@dataclass
class Machine:
    """A machine within a run directory, which holds its sockets, console and throw-away disks."""

    spec: MachineSpec
    base: Base
    run: Path
    port: int
    detached: bool = False
    pid: int | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def control(self) -> Path:
        """QEMU's control socket."""
        return self.run / f"{self.spec.name}.qmp"

    @property
    def console(self) -> Path:
        """What the kernel said on its serial console."""
        return self.run / f"{self.spec.name}.console"

    def disk(self, name: str) -> Path:
        """The file behind one of its disks."""
        return self.run / f"{self.spec.name}-{name}.qcow2"

    def start(
        self, plugs: Mapping[int, int], incoming: Path | None, inherit: Sequence[int]
    ) -> None:
        """Starts QEMU: a cold boot, or paused with the saved memory.

        Unless detached, the kernel kills it when the thread that called this ends, however it
        ends; so call it from a thread that lives as long as the lab.
        """
        command = command_line(self, plugs, incoming)
        if not self.detached:
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with (self.run / f"{self.spec.name}.qemu").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(*inherit, *plugs.values()),
                # Ctrl-C at the terminal is for whoever runs the lab, not for the machines.
                start_new_session=True,
            )
        self.pid = self._process.pid

    def control_command(self, command: str, **arguments: object) -> None:
        """Runs a QMP command on it."""
        try:
            qmp.execute(self.control, command, dict(arguments))
        except qmp.QmpError as error:
            raise qmp.QmpError(
                f"{self.spec.name}: {error}; QEMU said: {self.complaint()}"
            ) from error

    def wait_until(self, status: str) -> None:
        """Waits for a state, and says what QEMU complained about if it does not come."""
        try:
            qmp.wait_for_status(self.control, status)
        except qmp.QmpError as error:
            raise qmp.QmpError(
                f"{self.spec.name}: {error}; QEMU said: {self.complaint()}"
            ) from error

    def complaint(self) -> str:
        """The end of QEMU's own output."""
        said = (self.run / f"{self.spec.name}.qemu").read_text(errors="replace")
        return said[-500:].strip() or "nothing"

    def kill(self) -> None:
        """Pulls the plug; nothing of a run is worth a shutdown."""
        if self.pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process:
            self._process.wait()
        self.pid, self._process = None, None
        self.control.unlink(missing_ok=True)


def command_line(machine: Machine, plugs: Mapping[int, int], incoming: Path | None) -> list[str]:
    """How QEMU is called for this machine; `plugs` are the cables' ends, by network."""
    spec = machine.spec
    identity = f"systemd.hostname={spec.name} systemd.machine_id={spec.machine_id}"
    command = [
        "qemu-system-x86_64", "-name", f"lab-{spec.name}",
        "-nodefaults", "-no-user-config", "-display", "none",
        "-M", "pc,usb=off", "-m", str(spec.memory), "-smp", "1", *_processor(),
        "-kernel", str(machine.base.kernel), "-initrd", str(machine.base.initrd),
        "-append", f"{KERNEL_ARGUMENTS} {identity}",
        "-serial", f"file:{machine.console}", "-qmp", f"unix:{machine.control},server=on,wait=off",
        "-rtc", "base=utc",
    ]  # fmt: skip
    serials = {"vda": "lab-root", **{disk.name: disk.serial for disk in spec.disks}}
    for name, serial in serials.items():
        # unsafe: nothing has to survive a crash of this machine, and flushes are expensive.
        drive = f"if=none,id={name},file={machine.disk(name)},format=qcow2"
        command += ["-drive", f"{drive},cache=unsafe,discard=unmap"]
        command += ["-device", f"virtio-blk-pci,drive={name},serial={serial}"]
    command += network.arguments(spec, machine.port, plugs)
    if incoming:
        command += ["-S", "-incoming", f"exec:cat '{incoming}'"]
    return command


def _processor() -> list[str]:
    if tools.accelerator() == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    # Measured: a boot takes 15 % less than with `max`, whose vector instructions cost more than
    # they give when emulated. rdrand: or the kernel gathers entropy for a while.
    return ["-accel", "tcg,thread=multi", "-cpu", "Westmere,+rdrand"]
