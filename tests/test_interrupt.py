"""Real signals to a process of its own, which is in the middle of an operation or is not."""

import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

LIMIT = 30

_PROGRAM = """
import time
from extendctl.cli.interrupt import on_signals
from extendctl.cli.session import Session
session = Session(working={working})
with on_signals(session):
    print("ready", flush=True)
    session.stop.wait({limit})
    print("stops", flush=True)
    time.sleep({limit})
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def struck(numbers: Sequence[int], *, working: bool) -> tuple[int, str]:
    """Its exit status and its words after these signals; the first is answered before the next."""
    code = _PROGRAM.format(working=working, limit=LIMIT)
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    for number in numbers:
        assert program.stdout.readline()
        program.send_signal(number)
    _, said = program.communicate(timeout=2 * LIMIT)
    return program.returncode, said


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_leaves_at_once(first: int, second: int) -> None:
    """Whichever they are; it says that what is open stays open, and how to go on."""
    status, said = struck((first, second), working=True)
    assert status == 130
    told = said.splitlines()
    assert told[1].startswith("interrupted: waiting for what is in flight")
    assert told[-1] == "left at once; what is open stays open: extendctl volume resume --all"


def test_with_nothing_open_the_first_one_ends_it() -> None:
    """As Ctrl-C does anywhere, and it claims nothing of an operation."""
    status, said = struck((signal.SIGTERM,), working=False)
    assert status != 0
    assert "KeyboardInterrupt" in said
    assert "open" not in said.splitlines()[-1]
