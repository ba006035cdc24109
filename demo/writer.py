"""Write numbered blocks, each with fsync, and keep their checksums elsewhere until told to stop."""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

BLOCK = 64 * 1024
PLACES = 4096  # then it begins again at the first place, so that it never fills the filesystem
PAUSE = 0.003  # seconds between writes


def block(number: int) -> bytes:
    """The bytes of a block: its number, then noise."""
    return number.to_bytes(8, "big") + os.urandom(BLOCK - 8)


def write(data: Path, log: Path) -> None:
    """Write until SIGTERM. A block is logged as `number checksum microseconds`, once it is safe."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then stops this
    number = 0
    with data.open("wb", buffering=0) as file, log.open("w", buffering=1) as lines:
        while not stop:
            content = block(number)
            begun = time.monotonic()
            written = os.pwrite(file.fileno(), content, number % PLACES * BLOCK)
            os.fsync(file.fileno())
            took = int((time.monotonic() - begun) * 1e6)
            if written != BLOCK:
                sys.exit(f"block {number}: only {written} bytes were taken")
            lines.write(f"{number} {hashlib.sha256(content).hexdigest()} {took}\n")
            number += 1
            time.sleep(PAUSE)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
