"""Speaks QEMU's machine protocol: one connection, one command, one answer."""

import json
import socket
import time
from pathlib import Path
from typing import IO


class QmpError(RuntimeError):
    """QEMU refused a command, or is gone."""


def execute(
    path: Path, command: str, arguments: dict[str, object] | None = None, timeout: float = 30
) -> dict[str, object]:
    """Runs one command and gives what QEMU returned."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout)
            line.connect(str(path))
            with line.makefile("rw", encoding="utf-8") as stream:
                json.loads(stream.readline())
                _ask(stream, "qmp_capabilities", {})
                return _ask(stream, command, arguments or {})
    except (OSError, ValueError) as error:
        raise QmpError(f"{command}: {error}") from error


def wait_for_status(path: Path, wanted: str, timeout: float = 60) -> None:
    """Waits until the machine is in this state (paused, running, ...)."""
    end = time.monotonic() + timeout
    status: object = "unreachable"
    while time.monotonic() < end:
        try:
            status = execute(path, "query-status")["status"]
        except QmpError:
            # The socket appears a moment after the process.
            if time.monotonic() > end - timeout + 10:
                raise
        if status == wanted:
            return
        time.sleep(0.02)
    raise QmpError(f"still {status} after {timeout} s, not {wanted}")


def save_memory(path: Path, file: Path, timeout: float = 120) -> None:
    """Writes a stopped machine's memory and devices to a file, as a migration to nowhere."""
    execute(path, "migrate-set-parameters", {"max-bandwidth": 1 << 40})
    execute(path, "migrate", {"uri": f"exec:cat > '{file}'"})
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        answer = execute(path, "query-migrate")
        if answer.get("status") == "completed":
            return
        if answer.get("status") == "failed":
            raise QmpError(f"saving the memory failed: {answer.get('error-desc')}")
        time.sleep(0.05)
    raise QmpError(f"saving the memory took more than {timeout} s")


def _ask(stream: IO[str], command: str, arguments: dict[str, object]) -> dict[str, object]:
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    while True:
        line = stream.readline()
        if not line:
            raise QmpError(f"{command}: QEMU hung up")
        answer = json.loads(line)
        if "return" in answer:
            result: dict[str, object] = answer["return"]
            return result
        if "error" in answer:
            raise QmpError(f"{command}: {answer['error']['desc']}")
