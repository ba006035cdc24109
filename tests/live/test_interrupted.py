"""Real signals to a real program while its command is at work: what they end, and what they do not.

The command is the real one behind a script that waits for a word, which only the program and what
it starts can see, in a mount namespace of their own.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.place import MIB, TOP, Place, Volume, layers

LIMIT = 30.0  # seconds, for what takes a moment
MOMENT = 0.5  # seconds in which a program that does not wait would have ended
SIGNALS = [signal.SIGINT, signal.SIGTERM]

_STAND_IN = """\
#!/bin/sh
touch {top}/has-come
for _ in $(seq 1200); do [ -e {top}/go-on ] && break; sleep 0.05; done
{top}/real "$@"
status=$?
touch {top}/has-ended
exit $status
"""
_UNSEEN = 'mount --bind "$1" "$2"; shift 2; exec "$@"'


@dataclass
class Extending:
    """An extension whose first command has come to its machine."""

    top: Path
    program: subprocess.Popen[bytes]
    said: Path

    def hears(self, number: int) -> None:
        """A signal as a terminal sends it: to all of its process group."""
        os.killpg(self.program.pid, number)

    def says(self, words: str) -> None:
        """Wait until the program has told a person."""
        until = time.monotonic() + LIMIT
        while words not in self.said.read_text():
            assert time.monotonic() < until, self.said.read_text()
            time.sleep(0.02)

    def go_on(self) -> None:
        """Let the command end, and wait for that."""
        (self.top / "go-on").touch()
        self.seen("has-ended")

    def seen(self, name: str) -> None:
        """Wait for what the command tells."""
        until = time.monotonic() + LIMIT
        while not (self.top / name).exists():
            assert time.monotonic() < until, self.said.read_text()
            time.sleep(0.02)


def half_way(place: Place, *words: str) -> Extending:
    """Extend vol1 to 384 MiB, and come to the command that grows its file."""
    top = place.top
    tool = Path(shutil.which("truncate") or "").resolve(strict=True)
    shutil.copy2(tool, top / "real")
    (top / "stand-in").write_text(_STAND_IN.format(top=top))
    (top / "stand-in").chmod(0o755)
    extend = ("volume", "extend", "vol1", "--size", "384M", *words)
    argv = [
        *("unshare", "--mount", "sh", "-ec", _UNSEEN, "sh", str(top / "stand-in"), str(tool)),
        *(sys.executable, "-m", "extendctl", *place.words, *extend),
    ]
    said = top / "said"
    with said.open("w") as file:
        program = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=file, cwd=TOP, start_new_session=True
        )
    place.processes.append(program)
    extending = Extending(top, program, said)
    extending.seen("has-come")
    return extending


def resumed(place: Place, volume: Volume, small: int) -> None:
    """One command more, and every layer has its size; a second finds nothing to do."""
    (done,) = place.start("volume", "resume", "vol1")
    assert (done["outcome"], done["status"], done["operation"]) == ("done", "in-use", 1)
    assert volume.sizes[:2] == (384 * MIB, 384 * MIB)
    assert volume.filesystem_size > small + 50 * MIB
    assert place.check(volume)["outcome"] == "unchanged"
    (again,) = place.start("volume", "resume", "vol1")
    assert again["outcome"] == "unchanged"


def is_open(place: Place) -> bool:
    """Whether the one operation that there is waits for `resume`."""
    (operation,) = place.start("operation", "list")
    return bool(operation["state"] == "open")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_lets_the_command_end_and_begins_no_other(number: int, place: Place) -> None:
    """130; the file has grown, nothing above it; the operation is open, and says the way on."""
    volume = place.mounted("vol1", "xfs")
    small = volume.filesystem_size
    extending = half_way(place, "-o", "json")
    extending.hears(number)
    extending.says("interrupted: waiting for what is in flight, nothing more is begun")
    time.sleep(MOMENT)
    assert extending.program.poll() is None
    extending.go_on()
    out, _ = extending.program.communicate(timeout=LIMIT)
    assert extending.program.returncode == 130
    (report,) = json.loads(out)
    assert (report["outcome"], report["operation"]) == ("incomplete", 1)
    assert report["error"]["code"] == "interrupted"
    assert report["error"]["hint"] == "extendctl volume resume vol1"
    assert volume.sizes == (384 * MIB, 320 * MIB, small)
    assert is_open(place)
    resumed(place, volume, small)


def test_a_person_is_told_how_to_go_on(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    small = volume.filesystem_size
    extending = half_way(place)
    extending.hears(signal.SIGINT)
    extending.says("interrupt again to leave at once")
    extending.go_on()
    extending.program.communicate(timeout=LIMIT)
    assert extending.program.returncode == 130
    extending.says("interrupted; operation 1 of vol1 stays open")
    extending.says("hint: extendctl volume resume vol1")
    resumed(place, volume, small)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_leaves_at_once_and_the_command_lives_on(
    number: int, place: Place
) -> None:
    """130 while the command is at work, which ends its work all the same; then one resume."""
    volume = place.mounted("vol1", "xfs")
    small = volume.filesystem_size
    extending = half_way(place)
    extending.hears(signal.SIGINT)
    extending.says("interrupt again to leave at once")
    extending.hears(number)
    extending.program.communicate(timeout=LIMIT)
    assert extending.program.returncode == 130
    extending.says("left at once; what is open stays open: extendctl volume resume --all")
    assert not (place.top / "has-ended").exists()
    assert volume.sizes == (320 * MIB, 320 * MIB, small)
    assert is_open(place)
    extending.go_on()
    assert volume.sizes == (384 * MIB, 320 * MIB, small)
    resumed(place, volume, small)


def test_who_resumes_while_the_command_lives_on_loses_nothing(place: Place) -> None:
    """Left at once, then resumed before the command has ended: it finds nothing to do any more."""
    volume = place.mounted("vol1", "xfs")
    extending = half_way(place)
    for number, words in ((signal.SIGINT, "interrupt again"), (signal.SIGINT, "left at once")):
        extending.hears(number)
        extending.says(words)
    extending.program.communicate(timeout=LIMIT)
    (done,) = place.start("volume", "resume", "vol1")
    assert [one[2] for one in layers(done).values()] == ["grown", "grown", "grown"]
    sizes = volume.sizes
    extending.go_on()
    assert volume.sizes == sizes
    assert place.check(volume)["outcome"] == "unchanged"
