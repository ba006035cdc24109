"""A program that writes all the time, and the proof that nothing of it was lost."""

import hashlib
import os
import runpy
import subprocess
import sys
import time

from tests.live.place import TOP, Place, Volume, tool

_PROGRAM = TOP / "demo" / "writer.py"
_FACTS = runpy.run_path(str(_PROGRAM))
_BLOCK, _PLACES = int(_FACTS["BLOCK"]), int(_FACTS["PLACES"])


class Writer:
    """The demo's writer, at work on a volume from the start."""

    def __init__(self, place: Place, volume: Volume) -> None:
        assert volume.mount is not None
        self.volume = volume
        self.data = volume.mount / "data"
        self.log = place.top / f"{volume.name}.checksums"
        words = [sys.executable, str(_PROGRAM), str(self.data), str(self.log)]
        self.process = subprocess.Popen(words)
        place.processes.append(self.process)
        self.wait_for(1)

    @property
    def written(self) -> int:
        """How many blocks are safe."""
        return self.log.read_text().count("\n") if self.log.exists() else 0

    def wait_for(self, blocks: int, seconds: float = 20.0) -> None:
        """Waits until so many blocks are safe."""
        end = time.monotonic() + seconds
        while self.written < blocks:
            assert self.process.poll() is None, "the writer ended by itself"
            assert time.monotonic() < end, f"the writer hangs after {self.written} blocks"
            time.sleep(0.02)

    def stop_and_verify(self) -> int:
        """Writes on for a moment, stops, mounts afresh; gives how many blocks are right."""
        self.wait_for(self.written + 10)
        self.process.terminate()
        assert self.process.wait(timeout=10) == 0, "the writer failed"
        tool("umount", str(self.volume.mount))
        tool("mount", self.volume.device, str(self.volume.mount))
        rows = [line.split() for line in self.log.read_text().splitlines()]
        latest = {int(number) % _PLACES: digest for number, digest, _ in rows}
        with self.data.open("rb", buffering=0) as file:
            wrong = [at for at, digest in latest.items() if _digest(file.fileno(), at) != digest]
        assert not wrong, f"{len(wrong)} of {len(latest)} blocks are not what was written"
        return len(latest)


def _digest(file: int, place: int) -> str:
    return hashlib.sha256(os.pread(file, _BLOCK, place * _BLOCK)).hexdigest()
