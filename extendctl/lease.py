"""For how long a command is good: it is not begun on a machine that has moved on since the look.

Between a program's last look at the state and a command's arrival there is time: a laptop sleeps,
a program is stopped, a line is slow. Who was taken over in it cannot know. So each deed says until
when it may begin, on the clock of the machine that is to do it, and which boot it is meant for.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from extendctl import figures
from extendctl.transport import Result

LEASE: Final = 45.0
"""Seconds after the look at the state in which a deed may begin.

Less than `owner.LAPSE`, after which another may take over who has not been heard of.
"""

TOO_LATE: Final = 75
"""The exit status of a deed that was not begun: sysexits(3)'s EX_TEMPFAIL."""

_SAID: Final = "extendctl: too late"

_BEGIN: Final = (
    "boot=; { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null; "
    "read -r up idle </proc/uptime; "
    'if [ "$boot" = "$1" ] && [ "${up%.*}" -lt "$2" ]; then '
    'shift 2; trap "" HUP PIPE; exec "$@"; fi; '
    f'echo "{_SAID}" >&2; exit {TOO_LATE}'
)
OUTLIVING: Final = ("sh", "-c", _BEGIN, "sh")
"""What a deed travels in, before its lease of two words and its own words.

The signals that sh ignores stay so in the command that takes its place: sshd closes both outputs
of a command whose line is lost, and signal(7)'s SIGPIPE would then end it at its next word, in the
middle of a change. The text is fixed, and runs before sudo, as the user.
"""

CLOCK_SCRIPT: Final = r"""
say() { printf '%s\t' "$@"; printf '\n'; }
get() { value=; { IFS= read -r value < "$1"; } 2>/dev/null; }
get /proc/sys/kernel/random/boot_id; say boot-id "$value"
get /proc/uptime; say uptime "${value%% *}"
say end
"""
"""The text for `sh -s` that asks for nothing but the clock; the other probes tell it, too."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A machine's clock: its boot, its seconds since then, and when that was heard here."""

    boot: str
    uptime: float
    heard: float

    def lease(self, since: float) -> tuple[str, str]:
        """The boot, and the second of it before which a deed must begin that was decided `since`.

        The answer was under way when it was heard, so that the machine's clock is ahead of this
        at the most, and a lease is never longer than LEASE.
        """
        return self.boot, str(int(self.uptime + (since - self.heard) + LEASE))


def now() -> float:
    """Seconds on this machine's clock, which goes on while a laptop sleeps (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def clock(result: Result) -> Clock:
    """What a probe tells of the clock, heard now. Raises Garbled when it tells nothing of it."""
    heard = now()
    told = {row[0]: row[1] for row in figures.fields(result.stdout) if len(row) > 1}
    boot, uptime = told.get("boot-id", ""), told.get("uptime", "")
    if not _BOOT.fullmatch(boot) or not _UPTIME.fullmatch(uptime):
        raise figures.Garbled("the machine does not tell when it was started")
    return Clock(boot, float(uptime), heard)


_BOOT = re.compile(r"([0-9a-f-]{36})?", re.ASCII)  # some sandboxes have none
_UPTIME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


def dressed(lease: tuple[str, str], words: Sequence[str]) -> tuple[str, ...]:
    """A deed's words as they travel."""
    return (*OUTLIVING, *lease, *words)


def lapsed(result: Result) -> bool:
    """True when a deed came too late, and was not begun."""
    return result.status == TOO_LATE and result.stderr.strip() == _SAID
