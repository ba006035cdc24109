"""Secrets that can be told from all else, and all the places where one may have been left."""

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.live.place import TOP


def canary(what: str) -> str:
    """A secret that nothing else in the world contains."""
    return f"canary-{what}-{secrets.token_hex(12)}"


class Arguments:
    """A context manager that sees the arguments of each process which a server starts.

    strace(1) misses none of them, however short they live; the arguments of all other
    processes are read again and again.
    """

    def __init__(self, server: int) -> None:
        self._seen: set[bytes] = set()
        self._server = server
        self._stop = threading.Event()
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        wanted = ["-f", "-qq", "-v", "-s", "1000000", "-e", "trace=execve", "-o", self._said.name]
        self._strace = subprocess.Popen(["strace", *wanted, "-p", str(self._server)])
        while f"TracerPid:\t{self._strace.pid}" not in self._status():
            assert self._strace.poll() is None, "strace may not look at a process here"
            time.sleep(0.01)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._strace.terminate()
        self._strace.wait()
        self._seen.add(self._said.read())
        self._said.close()

    def all(self) -> bytes:
        """Everything that was seen, after the end."""
        return b"\n".join(self._seen)

    def _status(self) -> str:
        return Path(f"/proc/{self._server}/status").read_text()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended
                    self._seen.add(process.read_bytes())


@dataclass
class Witness:
    """Runs the program as a person does, and keeps all that it has said."""

    environment: dict[str, str]
    heard: dict[str, str] = field(default_factory=dict)

    def run(self, config: Path, words: str, status: int) -> str:
        """One command with -v, in each form in its turn; gives what it said."""
        form = ("table", "yaml", "json")[len(self.heard) % 3]
        argv = [sys.executable, "-m", "extendctl", "--config", str(config), "-v", *words.split()]
        done = subprocess.run(
            [*argv, "-o", form],
            capture_output=True, text=True, cwd=TOP, check=False,
            env={**os.environ, **self.environment},
        )  # fmt: skip
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == status, f"{words}: exit {done.returncode}\n{said}"
        self.heard[f"{words} -o {form} ({len(self.heard)})"] = said
        return said


def below(top: Path) -> dict[str, bytes]:
    """The content of every file in a directory."""
    return {str(one): one.read_bytes() for one in top.rglob("*") if one.is_file()}
