"""Runs commands on the machines through OpenSSH: a judge that shares no code with the program."""

import subprocess
import time
from pathlib import Path

from tests.lab.image import Base


class Unreachable(RuntimeError):
    """A machine did not answer ssh in time."""


def write_known_hosts(path: Path, base: Base, ports: dict[str, int]) -> None:
    """The machines' host keys are known from their build on; only the ports are new."""
    lines = (f"[127.0.0.1]:{port} {base.host_key(name)}\n" for name, port in ports.items())
    path.write_text("".join(lines))


class Oracle:
    """Root's shell on one machine, over a connection that is kept open."""

    def __init__(self, name: str, port: int, key: Path, known_hosts: Path, run: Path) -> None:
        self.name = name
        self._port = port
        self._key = key
        self._known_hosts = known_hosts
        self._socket = run / f"{name}.ssh"
        self._master: subprocess.Popen[bytes] | None = None

    def command(self, user: str = "root", *, shared: bool = False) -> list[str]:
        """The ssh command line up to and including the address."""
        options = {
            "UserKnownHostsFile": str(self._known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "PasswordAuthentication": "no",
            "ConnectTimeout": "5",
            "LogLevel": "ERROR",
        }
        if shared:
            options |= {"ControlPath": str(self._socket), "ControlMaster": "no", "BatchMode": "yes"}
        flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        flags += ["-p", str(self._port), "-i", str(self._key)]
        return ["ssh", "-F", "none", *flags, f"{user}@127.0.0.1"]

    def run(
        self, command: str, timeout: float, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell command; a failure of ssh is Unreachable, one of the command its status."""
        if not self._alive():
            self.connect(timeout=timeout)
        done = subprocess.run(
            [*self.command(shared=True), command],
            input=text or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode == 255 and not self._alive():
            raise Unreachable(f"{self.name}: {done.stderr.strip() or 'the connection was lost'}")
        return done

    def connect(self, timeout: float) -> None:
        """Opens the kept connection, trying again while the machine boots.

        QEMU accepts on behalf of a guest that does not listen yet, hence short attempts.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.disconnect()
            self._master = subprocess.Popen(
                [
                    *self.command()[:-1],
                    "-o",
                    "BatchMode=yes",
                    "-M",
                    "-N",
                    "-S",
                    str(self._socket),
                    "root@127.0.0.1",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            attempt = min(end, time.monotonic() + 20)
            while time.monotonic() < attempt and self._master.poll() is None:
                if self._socket.exists():
                    return
                time.sleep(0.05)
            time.sleep(0.2)
        self.disconnect()
        raise Unreachable(f"{self.name}: no answer to ssh within {timeout:.0f} s")

    def disconnect(self) -> None:
        """Drops the kept connection, if there is one."""
        if self._master:
            self._master.kill()
            self._master.wait()
            self._master = None
        self._socket.unlink(missing_ok=True)

    def _alive(self) -> bool:
        return self._master is not None and self._master.poll() is None and self._socket.exists()
