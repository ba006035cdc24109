"""A deed that has begun ends its work, whatever becomes of the line and of the program."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from extendctl.errors import ExtendctlError, OutcomeUnknown
from extendctl.host import Deed, Host, Question
from extendctl.ssh import SshTransport
from extendctl.transport import Result
from tests.sshd import Sshd, require_sshd

pytestmark = pytest.mark.long

TOP = Path(__file__).parent.parent

TALKER = """
touch "$0/begun"
for step in 1 2 3 4 5 6 7 8; do echo "step $step"; sleep 0.1; done
touch "$0/ended"
"""
"""A shell is ended by SIGPIPE at its first word into a closed pipe, and so are LVM's tools."""

PROGRAM = """
import sys
from extendctl.config import HostConfig
from extendctl.host import Deed, Host
from extendctl.transport import LocalTransport
Host(HostConfig("here"), LocalTransport(), is_root=True).do(Deed(tuple(sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


def require_sudo() -> None:
    """Skip where this user may not become root, unless nothing may be skipped."""
    words = ["sudo", "-n", "true"]
    if shutil.which("sudo") and subprocess.run(words, check=False).returncode == 0:
        return
    if os.environ.get("EXTENDCTL_REQUIRE_LAB") == "1":
        pytest.fail("sudo without a password is required here (Debian: sudo)")
    pytest.skip("this user may not run sudo without a password")


def talker(place: Path) -> tuple[str, ...]:
    return ("sh", "-c", TALKER, str(place))


def there(path: Path, within: float) -> bool:
    """Whether a file is there before so many seconds have passed."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if path.exists():
            return True
        time.sleep(0.02)
    return False


def cut_in_the_middle(
    box: SshTransport, place: Path, command: Deed | Question[str], *, is_root: bool = True
) -> None:
    """Run it, and close the line as soon as it has begun."""

    def cut() -> None:
        assert there(place / "begun", 10)
        box.close()

    host = Host(box.config, box, is_root=is_root)
    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(ExtendctlError) as lost:
        _ = host.do(command) if isinstance(command, Deed) else host.ask(command)
    cutter.join()
    assert isinstance(lost.value, OutcomeUnknown) == isinstance(command, Deed)


@pytest.mark.parametrize("is_root", [True, False], ids=["root", "sudo"])
def test_a_deed_outlives_its_line(sshd: Sshd, tmp_path: Path, *, is_root: bool) -> None:
    if not is_root:
        require_sudo()
    box = SshTransport(sshd.config(become="sudo"))
    cut_in_the_middle(box, tmp_path, Deed(talker(tmp_path)), is_root=is_root)
    assert there(tmp_path / "ended", 10)


def test_a_question_does_not(sshd: Sshd, tmp_path: Path) -> None:
    """What the test before rests on: the same command, put as a question, is ended by the cut."""

    def parse(result: Result) -> str:
        return result.stdout

    cut_in_the_middle(SshTransport(sshd.config()), tmp_path, Question(talker(tmp_path), parse))
    assert not there(tmp_path / "ended", 2)


def test_a_deed_on_this_machine_outlives_the_program(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, *talker(tmp_path)]
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(TOP)}) as program:
        assert there(tmp_path / "begun", 20)
        program.send_signal(signal.SIGKILL)
    assert there(tmp_path / "ended", 10)


def test_a_deed_is_told_what_it_said(sshd: Sshd, tmp_path: Path) -> None:
    """The wrapping changes neither words nor status nor input."""
    box = SshTransport(sshd.config())
    host = Host(box.config, box, is_root=True)
    said = host.do(Deed(("sh", "-c", 'cat; echo "$1" >&2', "sh", "it's $HOME"), stdin=b"in\n"))
    assert (said.status, said.stdout, said.stderr) == (0, "in\n", "it's $HOME\n")
    box.close()
