"""Keeps writing on a machine while a volume grows, and proves afterwards that nothing was lost."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import Lab

_PROGRAM = Path(__file__).parent / "guest" / "writer.py"
_HOME = "/var/tmp/lab-writers"


@dataclass(frozen=True)
class Written:
    """What a writer did until it was stopped."""

    bytes: int
    files: int
    verified: int
    longest_pause: float
    errors: tuple[str, ...]


class Writer:
    """A process on a machine that writes files with fsync into a directory until it is stopped."""

    def __init__(
        self,
        lab: Lab,
        machine: str,
        directory: str,
        *,
        size: int = 65536,
        slots: int = 64,
        rest: float = 0.0,
    ) -> None:
        self._lab = lab
        self._machine = machine
        # Its notes lie on the root disk: what is written to them must not depend on what is tested.
        self._notes = f"{_HOME}/{directory.strip('/').replace('/', '-')}-{time.monotonic_ns()}"
        program = f"{_HOME}/writer.py"
        lab.put(machine, program, _PROGRAM.read_text())
        task = f"python3 {program} write {directory} {self._notes} {size} {slots} {rest}"
        lab.run(
            machine,
            # -f: the shell must not wait for what it leaves behind, nor hold its output open.
            f"mkdir -p {self._notes}; setsid -f {task} </dev/null >{self._notes}/log 2>&1",
        )
        self._wait_for("started")

    def written(self) -> int:
        """The bytes that are on disk so far."""
        text = self._lab.run(self._machine, f"cat {self._notes}/progress").stdout
        return int(text or 0)

    def stop_and_verify(self) -> Written:
        """Stops the writer, reads all back from the disk, and demands that every byte is there."""
        self._lab.run(self._machine, f"touch {self._notes}/stop")
        self._wait_for("stopped")
        command = f"python3 {_HOME}/writer.py verify {self._notes}"
        report = json.loads(self._lab.run(self._machine, command).stdout)
        assert not report["damaged"], f"{self._machine}: damaged files: {report['damaged']}"
        return Written(
            report["bytes"],
            report["files"],
            report["verified"],
            report["longest_pause"],
            tuple(report["errors"]),
        )

    def _wait_for(self, mark: str, timeout: float = 60) -> None:
        look = f"[ -e {self._notes}/{mark} ] && exit 0; sleep 0.2"
        command = f"for _ in $(seq {int(timeout * 5)}); do {look}; done; exit 1"
        done = self._lab.run(self._machine, command, check=False, timeout=timeout * 3)
        if done.returncode:
            log = self._lab.run(self._machine, f"cat {self._notes}/log", check=False).stdout
            raise AssertionError(
                f"{self._machine}: the writer has not {mark} within {timeout} s: {log}"
            )
