"""A real sshd on loopback for tests: its own keys, port, options and known_hosts."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from getpass import getuser
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from extendctl.config import HostConfig

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or ""
HOST_KEYS = ("ed25519", "rsa")
START_LIMIT = 5.0


def require_sshd() -> None:
    """Skip where there is no sshd, unless the environment says that nothing may be skipped."""
    if SSHD and shutil.which("ssh-keygen"):
        return
    if os.environ.get("EXTENDCTL_REQUIRE_LAB") == "1":
        pytest.fail("sshd and ssh-keygen are required here (Debian: openssh-server)")
    pytest.skip("sshd or ssh-keygen is not installed (Debian: openssh-server)")


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair, in place of the one that is there."""
    for old in (path, public(path)):
        old.unlink(missing_ok=True)
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "", "-f", str(path)],
        check=True,
    )
    return path


def public(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


@cache
def _rsa_keys() -> list[tuple[str, str]]:
    """Two RSA keys for all servers of this process: making one takes up to half a second."""
    with tempfile.TemporaryDirectory() as top:
        paths = [keygen(Path(top) / str(number), "rsa") for number in range(2)]
        return [(path.read_text(), public(path).read_text()) for path in paths]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Sshd:
    """A context manager: starts on entry with sshd_config(5) options, ends with all its children.

    `user_key` may log in, `known_hosts` has both host keys.
    """

    def __init__(self, **options: str | int) -> None:
        self.options = options
        self.port = 0
        self.top = Path(tempfile.mkdtemp(prefix="sshd-"))
        self.known_hosts = self.top / "known_hosts"
        self.user_key = keygen(self.top / "user_key")
        self.authorized_keys = self.top / "authorized_keys"
        shutil.copy(public(self.user_key), self.authorized_keys)
        self._process: subprocess.Popen[bytes] | None = None
        self._rsa = 0

    def __enter__(self) -> Self:
        self.port = free_port()
        self.new_host_keys()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.top, ignore_errors=True)

    def config(self, name: str = "box", **overrides: Any) -> HostConfig:
        """How to reach it as the user of this process."""
        config = HostConfig(
            name,
            address="127.0.0.1",
            port=self.port,
            user=getuser(),
            identity_file=self.user_key,
            known_hosts=self.known_hosts,
            connect_timeout=5.0,
        )
        return replace(config, **overrides)

    def host_key(self, kind: str = "ed25519") -> str:
        """A host key's type and base64, as known_hosts has them."""
        return " ".join(public(self.top / f"host_{kind}").read_text().split()[:2])

    def fingerprint(self, kind: str = "ed25519") -> str:
        told = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(public(self.top / f"host_{kind}"))],
            check=True,
            capture_output=True,
            text=True,
        )
        return told.stdout.split()[1]

    def new_host_keys(self) -> None:
        """Make host keys and write them into known_hosts."""
        keygen(self.top / "host_ed25519")
        private, published = _rsa_keys()[self._rsa % 2]
        self._rsa += 1
        path = self.top / "host_rsa"
        path.touch(mode=0o600)
        path.write_text(private)
        public(path).write_text(published)
        self.know(*(f"[127.0.0.1]:{self.port} {self.host_key(kind)}" for kind in HOST_KEYS))

    def know(self, *lines: str) -> None:
        """Let known_hosts consist of these lines."""
        self.known_hosts.write_text("".join(f"{line}\n" for line in lines))

    @property
    def pid(self) -> int:
        """The process that listens, parent of all its sessions."""
        assert self._process is not None
        return self._process.pid

    def start(self, **options: str | int) -> None:
        """Start it; these options stay."""
        self.options |= options
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)  # privilege separation
        config = self.top / "sshd_config"
        config.write_text(self._sshd_config())
        with (self.top / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(config)], stderr=log, stdin=subprocess.DEVNULL
            )
        self._wait()

    def stop(self) -> None:
        """Kill it and all that it has started, at once, as a power cut would."""
        if self._process is None:
            return
        for pid in (self._process.pid, *descendants(self._process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self, *, new_host_keys: bool = False, **options: str | int) -> None:
        """Stop and start it, with other host keys (known_hosts keeps the old ones) or options."""
        self.stop()
        if new_host_keys:
            known = self.known_hosts.read_text()
            self.new_host_keys()
            self.known_hosts.write_text(known)
        self.start(**options)

    def freeze(self) -> list[int]:
        """Stop all its processes without ending them; returns them, for SIGCONT."""
        assert self._process is not None
        pids = [self._process.pid, *descendants(self._process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def _sshd_config(self) -> str:
        settings: dict[str, str | int] = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "PidFile": "none",
            "AuthorizedKeysFile": str(self.authorized_keys),
            "StrictModes": "no",  # the way to a temporary directory is writable by everybody
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PrintMotd": "no",
            "SetEnv": f"HOME={self.top}",  # bash reads ~/.bashrc even for a command under sshd
            "UseDNS": "no",
        }
        lines = [f"{key} {value}\n" for key, value in (settings | self.options).items()]
        return "".join([*(f"HostKey {self.top / f'host_{kind}'}\n" for kind in HOST_KEYS), *lines])

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_LIMIT
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.02)
        pytest.fail(f"sshd does not start: {(self.top / 'log').read_text()}")


def descendants(pid: int) -> list[int]:
    """All processes that have this one as an ancestor (proc(5), stat field 4)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        young = children.get(queue.pop(), [])
        found += young
        queue += young
    return found


def left_over(before: set[threading.Thread]) -> set[threading.Thread]:
    """Threads that were not there before, once those that are about to end have done so."""
    end = time.monotonic() + 1.0
    while (more := set(threading.enumerate()) - before) and time.monotonic() < end:
        time.sleep(0.01)
    return more
