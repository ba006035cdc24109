"""Secrets that can be told from all else, and all the places where one may have been left."""

import os
import secrets
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.live.place import TOP


def canary(what: str) -> str:
    """A secret that nothing else in the world contains."""
    return f"canary-{what}-{secrets.token_hex(12)}"


@dataclass
class Arguments:
    """A context manager that reads the arguments of every process, again and again."""

    seen: set[bytes] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
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

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended
                    self.seen.add(process.read_bytes())


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
