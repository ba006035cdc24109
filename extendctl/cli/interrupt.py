"""Ctrl-C and SIGTERM: leave at once, or, while an operation is open, after what is in flight."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from extendctl.cli.session import Session

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_STOPPING = (
    b"\ninterrupted: waiting for what is in flight, nothing more is begun; "
    b"interrupt again to leave at once\n"
)


_LEAVING = b"\nleft at once; what is open stays open: extendctl volume resume --all\n"


@contextmanager
def on_signals(session: Session) -> Iterator[None]:
    """Hear both signals for as long as a command runs."""
    heard = 0

    def handle(_: int, __: FrameType | None) -> None:
        nonlocal heard
        heard += 1
        if heard > 1:
            if session.working:
                os.write(2, _LEAVING)
            os._exit(130)
        if session.working:
            session.stop.set()
            os.write(2, _STOPPING)  # print may be in the middle of a line of its own
            return
        session.hurried = True
        raise KeyboardInterrupt

    before = {one: signal.signal(one, handle) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
