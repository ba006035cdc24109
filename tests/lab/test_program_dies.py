"""The program is killed, sshd stopped, a host reset, all in the middle: one resume finishes it."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program
from tests.lab.writer import Writer

OLD, NEW = 512 * MIB, 600 * MIB
EXTEND = ("volume", "extend", "ext4vol", "--size", "600M")

# Stand in for lvextend on silo: tell that the command has come, wait for a word, and act before
# that or after it.
_LVEXTEND = "/usr/local/sbin/lvextend"
_REAL = _LVEXTEND.replace("/local", "")
_WAIT = "touch /run/has-come; while [ ! -e /run/go-on ]; do sleep 0.1; done"
_BEFORE = f'#!/bin/sh\n{_WAIT}\n{_REAL} "$@"\nstatus=$?\ntouch /run/has-ended\nexit $status\n'
_AFTER = f'#!/bin/sh\n{_REAL} "$@"\nstatus=$?\n{_WAIT}\ntouch /run/has-ended\nexit $status\n'

_SILENT = """
systemctl stop ssh.socket ssh.service 2>/dev/null
pkill -KILL -u ops sshd
true
"""


def half_way(lab: Lab, ops: Program, script: str) -> "subprocess.Popen[str]":
    """An extension that has come to its first deed."""
    lab.put("silo", _LVEXTEND, script)
    lab.run("silo", f"chmod +x {_LVEXTEND}")
    extending = ops.start(*EXTEND)
    lab.run("silo", "while [ ! -e /run/has-come ]; do sleep 0.1; done")
    return extending


def go_on(lab: Lab) -> None:
    """Let the command end, and the next one be the real one."""
    lab.run("silo", f"rm {_LVEXTEND}; touch /run/go-on")


def finished(lab: Lab, ops: Program, writer: Writer) -> None:
    """One resume, every layer at its size, nothing lost under the writer."""
    resumed = ops.run("volume", "resume", "ext4vol").result
    assert (resumed["status"], resumed["size"]) == ("in-use", NEW)
    assert set(program.measure(lab, "ext4vol")["ext4vol"].values()) == {NEW}
    assert program.deeds(lab) == {"silo": 1, "web1": 2, "web2": 0}
    ops.run("volume", "check", "ext4vol")
    assert ops.run("volume", "resume", "ext4vol").result["outcome"] == "unchanged"
    written = writer.stop_and_verify()
    assert (written.errors, written.verified > 0) == ((), True)


@pytest.mark.parametrize("script", [_BEFORE, _AFTER], ids=["before", "after"])
def test_a_program_that_is_killed_is_followed(script: str, fresh_lab: Lab, tmp_path: Path) -> None:
    """SIGKILL while the backend grows, before or after it has: its command lives on by itself."""
    lab = fresh_lab
    ops = program.known(lab, tmp_path, "ext4vol")
    writer = Writer(lab, "web1", "/srv/ext4vol")
    extending = half_way(lab, ops, script)
    extending.send_signal(signal.SIGKILL)
    assert extending.wait(60) == -signal.SIGKILL
    extending.communicate()
    shown = ops.show("ext4vol")
    assert (shown["status"], shown["size"]) == ("extending", OLD)
    go_on(lab)
    lab.run("silo", "while [ ! -e /run/has-ended ]; do sleep 0.1; done")
    finished(lab, ops, writer)


def _stand_in(real: str, word: str) -> str:
    """Tells that the command has come, waits for a word, then acts; questions pass at once."""
    others = f'[ "$1" = {word} ] || exec {real} "$@"\n' if word else ""
    begin = f"#!/bin/sh\n{others}"
    return f'{begin}{_WAIT}\n{real} "$@"\nstatus=$?\ntouch /run/has-ended\nexit $status\n'


@pytest.mark.parametrize(
    ("volume", "size", "machine", "real", "word"),
    [
        ("tallvol", "1280M", "web1", "/usr/sbin/cryptsetup", "resize"),
        ("tallvol", "1280M", "web1", "/usr/sbin/resize2fs", ""),
        ("rawvol", "512M", "web2", "/usr/bin/tee", ""),
    ],
    ids=["full-stack-luks", "full-stack-ext4", "second-host"],
)
def test_a_program_that_is_killed_on_a_host_is_followed(
    volume: str, size: str, machine: str, real: str, word: str, fresh_lab: Lab, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a stack; its last command is still at work while another resumes."""
    lab = fresh_lab
    ops = program.known(lab, tmp_path, volume)
    writer = None if volume == "rawvol" else Writer(lab, machine, f"/srv/{volume}")
    extend = ("volume", "extend", volume, "--size", size)
    foretold = program.layers(ops.run(*extend, "--dry-run").result)
    stand_in = f"/usr/local/sbin/{real.rpartition('/')[2]}"
    lab.put(machine, stand_in, _stand_in(real, word))
    lab.run(machine, f"chmod +x {stand_in}")
    extending = ops.start(*extend)
    lab.run(machine, "while [ ! -e /run/has-come ]; do sleep 0.1; done", timeout=600)
    extending.send_signal(signal.SIGKILL)
    assert extending.wait(60) == -signal.SIGKILL
    extending.communicate()
    assert ops.run("volume", "check", volume, status=5).result["status"] == "in-use"
    lab.run(machine, f"rm {stand_in}")
    assert ops.run("volume", "resume", volume).result["outcome"] == "done"
    lab.run(machine, "touch /run/go-on; while [ ! -e /run/has-ended ]; do sleep 0.1; done")
    measured = program.measure(lab, volume)[volume]
    assert measured.items() <= foretold.items()
    assert len(measured) >= 4
    ops.run("volume", "check", volume)
    if writer is not None:
        written = writer.stop_and_verify()
        assert (written.errors, written.verified > 0) == ((), True)


Rise = Callable[[], object]
"""Brings back what a fall has taken away, and waits for it."""


def _sshd(lab: Lab) -> Rise:
    """No sshd listens any more, and the program's session has ended; root's own goes on."""
    lab.run("web1", _SILENT)
    return lambda: lab.run("web1", "systemctl start ssh.service")


def _reset(lab: Lab) -> Rise:
    """The reset button; nobody waits for the boot yet."""
    booting = threading.Thread(target=lab.reboot, args=("web1",))
    booting.start()
    time.sleep(2)
    return booting.join


@pytest.mark.parametrize("fall", [_sshd, _reset])
def test_a_host_that_is_lost_in_the_middle_follows_later(
    fall: Callable[[Lab], Rise], fresh_lab: Lab, tmp_path: Path
) -> None:
    """Its sshd is stopped and its session killed, or it is reset, after the backend has grown."""
    lab = fresh_lab
    ops = program.known(lab, tmp_path, "ext4vol")
    extending = half_way(lab, ops, _AFTER)
    rise = fall(lab)
    go_on(lab)
    stdout, stderr = extending.communicate(timeout=300)
    rise()
    assert extending.returncode in {0, 5}, f"{stdout}\n{stderr}"
    shown = ops.show("ext4vol")
    assert (shown["status"], shown["size"]) == ("in-use", NEW)
    assert [one["lagging"] for one in shown["attachments"]] == [extending.returncode == 5]
    assert ops.run("volume", "resume", "ext4vol").result["size"] == NEW
    assert set(program.measure(lab, "ext4vol")["ext4vol"].values()) == {NEW}
    ops.run("volume", "check", "ext4vol")
