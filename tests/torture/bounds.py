"""Runs a command within a time limit and leaves nothing of it behind, nobody frozen either."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO


def bounded(
    command: Sequence[str],
    place: Path,
    more: Mapping[str, str],
    seconds: float,
    said: IO[str] | None = None,
) -> int | None:
    """Its exit status in a directory and with more of an environment; None when it took too long.

    `said` is a file for all that it says: a pipe would stay open in who is frozen.
    """
    process = subprocess.Popen(
        command, cwd=place, env={**os.environ, **more}, stdout=said, stderr=said,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
