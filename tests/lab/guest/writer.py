"""Runs inside a machine: writes files with fsync and their checksums, or verifies them."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path


def write(directory: Path, notes: Path, size: int, slots: int, rest: float) -> None:
    """Fills a ring of files, again and again, until the file `stop` appears.

    Between two files it rests for so many seconds.
    """
    sums: dict[str, str] = {}
    written, files, pause = 0, 0, 0.0
    errors: list[str] = []
    damaged: list[str] = []
    last = time.monotonic()
    number = 0
    while not (notes / "stop").exists():
        path = directory / f"lab-writer-{number % slots}"
        number += 1
        if str(path) in sums and not intact(path, sums.pop(str(path))):
            damaged.append(str(path))
        content = os.urandom(size)
        try:
            store(path, content)
        except OSError as error:
            errors.append(f"{path.name}: {error}")
            time.sleep(0.2)
            continue
        sums[str(path)] = hashlib.sha256(content).hexdigest()
        pause = max(pause, time.monotonic() - last)
        written += size
        files += 1
        (notes / "progress").write_text(str(written))
        (notes / "started").touch()
        time.sleep(rest)
        last = time.monotonic()
    (notes / "sums").write_text(json.dumps(sums))
    report: dict[str, object] = {"bytes": written, "files": files, "longest_pause": pause}
    report |= {"errors": errors, "damaged": damaged}
    (notes / "report").write_text(json.dumps(report))
    (notes / "stopped").touch()


def store(path: Path, content: bytes) -> None:
    """Writes a file so that it is on disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def intact(path: Path, checksum: str) -> bool:
    """Whether a file still holds what was written."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == checksum
    except OSError:
        return False


def verify(notes: Path) -> None:
    """Reads every file back from the disk, not from memory, and prints the report."""
    sums = json.loads((notes / "sums").read_text())
    report = json.loads((notes / "report").read_text())
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    damaged = [path for path, checksum in sums.items() if not intact(Path(path), checksum)]
    report["damaged"] += damaged
    report["verified"] = len(sums) - len(damaged)
    print(json.dumps(report))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        place, notes, size, slots, rest = sys.argv[2:]
        write(Path(place), Path(notes), int(size), int(slots), float(rest))
    else:
        verify(Path(sys.argv[2]))
