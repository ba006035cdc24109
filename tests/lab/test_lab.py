"""The lab tells the truth: what it promises to other tests holds."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.volumes import VOLUMES, exported_to, mounted_on
from tests.lab.writer import Writer


@pytest.mark.parametrize("machine", ["silo", "web1", "web2"])
def test_every_filesystem_is_mounted_and_every_session_logged_in(lab: Lab, machine: str) -> None:
    mounts = lab.run(machine, "findmnt -lno TARGET").stdout.split()
    assert [v.mountpoint for v in mounted_on(machine) if v.mountpoint not in mounts] == []
    sessions = lab.run(machine, "iscsiadm -m session", check=False).stdout
    for volume, portals in exported_to(machine):
        for portal in portals:
            assert f"{portal}:3260,1 {volume.iqn} " in sessions


def test_a_fresh_lab_has_no_kernel_errors(fresh_lab: Lab) -> None:
    for name in fresh_lab.names:
        assert fresh_lab.kernel_errors(name) == []
        assert "conn error" not in fresh_lab.run(name, "dmesg").stdout


def test_every_volume_has_its_size(lab: Lab) -> None:
    sizes = lab.run("silo", "lvs --noheadings --units m --nosuffix -o lv_name,lv_size").stdout
    have = dict(line.split() for line in sizes.splitlines())
    want = {
        v.name: v.size.replace("1G", "1024M").replace("M", ".00")
        for v in VOLUMES
        if v.kind != "file"
    }
    assert {name: have.get(name) for name in want} == want


def test_two_paths_make_a_map_and_one_does_not(lab: Lab) -> None:
    maps = lab.run("web1", "multipathd show paths raw format '%m %t'").stdout.split("\n")
    assert sorted(line for line in maps if "mpath" in line) == ["mpatha active", "mpatha active"]
    assert "mpath" not in lab.run("web2", "multipathd show maps raw format '%n'").stdout


def test_users_may_do_what_their_names_say(lab: Lab) -> None:
    def sudo(user: str) -> int:
        command = [*lab.ssh("web1", user), "sudo -n true"]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert sudo("ops") == 0
    assert sudo("nosudo") == 1
    assert sudo("pwsudo") == 1


def test_reset_takes_back_what_was_written(fresh_lab: Lab) -> None:
    lab = fresh_lab
    lab.run("web1", "echo here > /srv/ext4vol/witness && sync")
    lab.run("silo", "lvextend -L 600M vg0/ext4vol && echo here > /root/witness && sync")
    lab.reset()
    assert lab.run("web1", "ls /srv/ext4vol").stdout.split() == ["lost+found"]
    assert lab.run("silo", "ls /root").stdout == ""
    size = lab.run("silo", "blockdev --getsize64 /dev/vg0/ext4vol").stdout
    assert int(size) == 512 << 20


def test_the_clock_is_right_after_a_reset(lab: Lab) -> None:
    assert abs(float(lab.run("web1", "date +%s").stdout) - time.time()) < 30


def test_a_frozen_machine_is_silent_and_goes_on_when_thawed(fresh_lab: Lab) -> None:
    lab = fresh_lab
    lab.freeze("web2")
    with pytest.raises(subprocess.TimeoutExpired):
        lab.run("web2", "true", timeout=3)
    lab.thaw("web2")
    assert lab.run("web2", "echo awake").stdout == "awake\n"


def test_a_cut_link_takes_one_path_away_and_its_return_brings_it_back(fresh_lab: Lab) -> None:
    lab = fresh_lab
    lab.link("web1", 2, up=False)
    _poll(lab, "multipathd show paths raw format '%t' | grep -c failed", "1")
    lab.run("web1", "echo still > /srv/tallvol/writable && sync")
    lab.link("web1", 2, up=True)
    _poll(lab, "multipathd show paths raw format '%t' | grep -c active", "2")


def test_a_machine_that_is_killed_is_gone_until_the_reset(lab: Lab) -> None:
    lab.kill("web2")
    with pytest.raises(RuntimeError):
        lab.run("web2", "true", timeout=3)
    lab.reset()
    lab.run("web2", "true")


def test_a_writer_writes_and_verifies(lab: Lab) -> None:
    writer = Writer(lab, "web1", "/srv/tallvol")
    time.sleep(3)
    written = writer.stop_and_verify()
    assert written.bytes > 0
    assert written.verified > 0
    assert written.errors == ()


def test_a_configuration_names_every_machine(lab: Lab, tmp_path: Path) -> None:
    text = lab.write_config(tmp_path, user="nosudo", become="none").read_text()
    for name in lab.names:
        assert f"{name}: {{address: 127.0.0.1, port: {lab.port(name)}" in text
    assert "user: nosudo" in text


@pytest.mark.timeout(1500)
def test_everything_comes_back_after_a_reboot(fresh_lab: Lab) -> None:
    lab = fresh_lab
    lab.reboot("silo", timeout=600)
    lab.reboot("web1", timeout=600)
    points = " ".join(sorted(v.mountpoint for v in mounted_on("web1") if v.mountpoint))
    # ssh answers before the sessions are logged in and what is on them is mounted.
    _poll(lab, "findmnt -lno TARGET | grep ^/srv/ | sort | paste -sd ' '", points, timeout=240)


def _poll(lab: Lab, command: str, wanted: str, timeout: float = 90) -> None:
    end = time.monotonic() + timeout
    seen = ""
    while time.monotonic() < end:
        seen = lab.run("web1", command, check=False).stdout.strip()
        if seen == wanted:
            return
        time.sleep(1)
    pytest.fail(f"{command}: {seen} after {timeout} s, not {wanted}")
