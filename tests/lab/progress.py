"""Tells whoever waits what the lab is doing, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str) -> Iterator[None]:
    """Prints a line to stderr with the seconds that the step took."""
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print(
            f"lab: {what}: failed after {time.monotonic() - start:.1f} s",
            file=sys.stderr,
            flush=True,
        )
        raise
    print(f"lab: {what}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
