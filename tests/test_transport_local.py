"""Commands on this machine: when time is over, and when somebody interrupts."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from extendctl.transport import OUTPUT_LIMIT, LineLost, LocalTransport

TOP = Path(__file__).parent.parent
PROGRAM = """
import sys
from extendctl.transport import LocalTransport
LocalTransport().run(sys.argv[1:])
"""
SLOW = 'touch "$0/begun"; sleep 1; touch "$0/ended"'
AS_NOBODY = """
import os, sys, time
from extendctl.transport import LineLost, LocalTransport
os.setgid(65534)
os.setuid(65534)
began = time.monotonic()
try:
    LocalTransport().run([sys.argv[1], "20"], timeout=0.5)
except LineLost as lost:
    print(lost, lost.sent, time.monotonic() - began < 10)
"""


def there(path: Path, within: float = 10.0) -> bool:
    """Whether a file is there before so many seconds have passed."""
    end = time.monotonic() + within
    while time.monotonic() < end and not path.exists():
        time.sleep(0.02)
    return path.exists()


def test_what_takes_too_long_is_ended_and_told_as_unknown(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(LineLost, match="did not end within") as lost:
        LocalTransport().run(["sh", "-c", 'sleep 2; touch "$0/ended"', str(tmp_path)], timeout=0.2)
    assert lost.value.sent
    assert time.monotonic() - began < 2


def test_a_flood_is_given_up() -> None:
    """Not kept in memory until its time is over, which may be minutes."""
    began = time.monotonic()
    with pytest.raises(LineLost, match=f"said more than {OUTPUT_LIMIT} bytes") as lost:
        LocalTransport().run(["yes"], timeout=60.0)
    assert lost.value.sent
    assert time.monotonic() - began < 50


def test_what_is_read_and_said_slowly_arrives_whole() -> None:
    """1 MB that is read late, and 10 MB in reply; and what is not read at all is no failure."""
    given = b"x" * 1_000_000
    said = LocalTransport().run(["sh", "-c", "sleep 0.5; cat; head -c 10000000 /dev/zero"], given)
    assert (said.status, len(said.stdout)) == (0, 11_000_000)
    assert LocalTransport().run(["sh", "-c", "exec <&-; echo no >&2"], given).said == "no"


def test_what_cannot_be_started_was_not_sent() -> None:
    """No descriptors left, or no memory for a process: that may pass, and nothing was begun."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(LineLost, match="true cannot be started: Too many open files") as lost:
            LocalTransport().run(["true"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not lost.value.sent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a command that is root's for all")
def test_roots_command_that_cannot_be_ended_is_not_waited_for(tmp_path: Path) -> None:
    """As with sudo: an ordinary user's signal does not reach what has become root's."""
    real = shutil.which("sleep")
    assert real is not None
    place = Path("/var/tmp") / f"extendctl-{os.getpid()}"
    try:
        shutil.copy(real, place)
        place.chmod(0o4755)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(place)],
            capture_output=True, text=True, check=False, cwd=TOP, timeout=60,
        )  # fmt: skip
    finally:
        place.unlink()  # what runs of it ends by itself
    assert done.stderr == ""
    assert done.stdout == f"{place} did not end within 0.5 s True True\n"


def test_ctrl_c_does_not_reach_a_command_on_this_machine(tmp_path: Path) -> None:
    """A terminal sends it to the whole foreground; the command goes on, as it would over SSH."""
    words = [sys.executable, "-c", PROGRAM, "sh", "-c", SLOW, str(tmp_path)]
    with subprocess.Popen(words, cwd=TOP, stderr=subprocess.DEVNULL, process_group=0) as program:
        assert there(tmp_path / "begun")
        os.killpg(program.pid, signal.SIGINT)
        program.wait(20)
    assert there(tmp_path / "ended")
