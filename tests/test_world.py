"""The simulated machines themselves: they remember, they obey the real tools' rules, they break."""

import os
import signal
import threading
from pathlib import Path

import pytest

from extendctl.errors import NotNow, OutcomeUnknown, Unreachable
from extendctl.host import CLEAN, SUDO, Host, timed
from extendctl.lease import OUTLIVING
from extendctl.phrasebook import extend_lv, grow_ext4, logical_volumes
from extendctl.questions import facts, permitted
from extendctl.size import GIB, MIB
from extendctl.stack import ToolFailed, grow, walk
from extendctl.transport import LineLost, Result
from tests.world import World, WorldTransport, changes
from tests.world.machine import undress
from tests.world.site import ATTACHED, Site, iscsi_ext4, iscsi_striped


def say(site: Site, machine: str, *words: str, root: bool = True, stdin: bytes = b"") -> Result:
    argv = (*CLEAN, *(SUDO if root else ()), *timed(words, 180))
    if undress(argv).deed:
        one = site.world.machine(machine)
        argv = (*OUTLIVING, one.boot_id, str(int(one.uptime) + 45), *argv)
    return WorldTransport(site.world, machine).run(argv, stdin)


def lvextend(site: Site, size: int, volume: str = "vol1") -> Result:
    return say(site, "silo", "lvextend", "--yes", "--size", f"{size}b", f"vg0/{volume}")


def test_a_world_outlives_the_program(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    site = iscsi_ext4(path)
    lvextend(site, 20 * GIB)
    again = World.load(path)
    assert again.state == site.world.state
    assert again.machine("silo").groups["vg0"].volumes["vol1"].size == 20 * GIB
    assert again.deeds() == [("lvextend", "--yes", "--size", f"{20 * GIB}b", "vg0/vol1")]


@pytest.mark.parametrize("name", ATTACHED)
def test_a_world_on_a_file_is_the_world_in_memory(name: str, tmp_path: Path) -> None:
    kept, fleeting = ATTACHED[name](tmp_path / "world.json"), ATTACHED[name]()
    for site in (kept, fleeting):
        list(walk(site.layers(site.hosts()), 20 * GIB, grow))
    assert kept.world.state.contents == fleeting.world.state.contents
    assert kept.world.state.machines == fleeting.world.state.machines


@pytest.mark.parametrize(("when", "grown"), [("before", False), ("after", True)])
def test_a_program_that_is_killed_leaves_what_it_had_done(
    tmp_path: Path, when: str, grown: bool
) -> None:
    site = iscsi_ext4(tmp_path / "world.json")
    site.world.die("silo", when=when, only="deed")
    child = os.fork()
    if child == 0:
        lvextend(site, 20 * GIB)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    size = site.world.machine("silo").groups["vg0"].volumes["vol1"].size
    assert size == (20 * GIB if grown else 10 * GIB)


def test_processes_share_a_world(tmp_path: Path) -> None:
    site = iscsi_ext4(tmp_path / "world.json")
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            for step in range(5):
                lvextend(reloaded(site), (11 + number + 3 * step) * GIB)
            os._exit(0)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    assert site.world.count("silo") == 15
    assert site.world.machine("silo").groups["vg0"].volumes["vol1"].size == 25 * GIB


def reloaded(site: Site) -> Site:
    """The same site, read from its file anew."""
    assert site.world.path is not None
    return Site(World.load(site.world.path), site.backend, site.source, site.users, site.user)


def test_threads_share_a_world() -> None:
    site = iscsi_ext4()
    threads = [threading.Thread(target=lvextend, args=(site, (11 + at) * GIB)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert site.world.count("silo") == 8
    assert site.world.machine("silo").groups["vg0"].volumes["vol1"].size == 18 * GIB


def test_an_unknown_command_is_noticed() -> None:
    site = iscsi_ext4()
    for words in (
        ("mkfs.ext4", "/dev/sdb"),
        ("lvextend", "-r", "-L", "+1G", "vg0/vol1"),
        ("lvextend", "--yes", "--size", "+5b", "vg0/vol1"),
        ("sh", "-c", "reboot"),
        ("cat", "/etc/shadow"),
        ("losetup", "--detach", "/dev/loop0"),
    ):
        with pytest.raises(AssertionError, match=r"no simulated|no probe"):
            say(site, "silo", *words)


def test_a_command_that_is_not_dressed_is_noticed() -> None:
    line = WorldTransport(iscsi_ext4().world, "silo")
    with pytest.raises(AssertionError, match="clean environment"):
        line.run(("lvs", "vg0"))
    with pytest.raises(AssertionError, match="time limit"):
        line.run((*CLEAN, *SUDO, "lvs", "vg0"))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (10 * GIB, "New size (2560 extents) matches existing size (2560 extents)."),
        (5 * GIB, "New size given (1280 extents) not larger than existing size (2560 extents)"),
        (900 * GIB, "Insufficient free space: 227840 extents needed, but only 25600 available"),
    ],
)
def test_lvextend_refuses_with_5_and_words(size: int, words: str) -> None:
    site = iscsi_ext4()
    done = lvextend(site, size)
    assert (done.status, done.stderr.strip()) == (5, words)


def test_lvextend_rounds_up_to_extents_and_stripes() -> None:
    site = iscsi_ext4()
    assert lvextend(site, 10 * GIB + 1).status == 0
    assert site.world.machine("silo").groups["vg0"].volumes["vol1"].size == 10 * GIB + 4 * MIB
    striped = iscsi_striped()
    lvextend(striped, 12 * GIB)
    volume = striped.world.machine("silo").groups["vg0"].volumes["vol1"]
    assert volume.size % (12 * MIB) == 0


def test_a_thick_snapshot_keeps_its_origin() -> None:
    site = iscsi_ext4()
    with site.world.change() as state:
        changes.snapshot(state, "silo", "vg0/vol1")
    done = lvextend(site, 20 * GIB)
    assert done.status == 5
    assert "only while inactive" in done.stderr


def test_an_initiator_learns_a_new_size_only_by_a_rescan() -> None:
    site = iscsi_ext4()
    lvextend(site, 20 * GIB)
    assert site.world.machine("web1").devices["sdb"].size == 10 * GIB
    with site.world.change() as state:
        changes.offline(state, "web1", "sdb")
    path = "/sys/block/sdb/device/rescan"
    assert say(site, "web1", "tee", path, stdin=b"1\n").status == 0
    assert site.world.machine("web1").devices["sdb"].size == 10 * GIB
    with site.world.change() as state:
        state.machines["web1"].devices["sdb"].state = "running"
    assert say(site, "web1", "tee", path, stdin=b"1\n").stdout == "1\n"
    assert site.world.machine("web1").devices["sdb"].size == 20 * GIB


def test_a_cut_line_is_cut_at_its_call_and_only_there() -> None:
    for when, grown, sent in (("before", 10, True), ("after", 20, True), ("unsent", 10, False)):
        site = iscsi_ext4()
        site.world.cut("silo", call=2, when=when)
        assert lvextend(site, 10 * GIB).status == 5
        with pytest.raises(LineLost) as lost:
            lvextend(site, 20 * GIB)
        assert lost.value.sent is sent
        assert site.world.machine("silo").groups["vg0"].volumes["vol1"].size == grown * GIB
        assert lvextend(site, 30 * GIB).status == 0


def test_a_machine_that_is_down_is_unreachable_until_it_is_up() -> None:
    site = iscsi_ext4()
    site.world.down("web1")
    with pytest.raises(Unreachable, match="web1 cannot be reached"):
        say(site, "web1", "tee", "/sys/block/sdb/device/rescan", stdin=b"1\n")
    assert site.world.log == []
    site.world.up("web1")
    assert say(site, "web1", "tee", "/sys/block/sdb/device/rescan", stdin=b"1\n").status == 0


def test_sudo_and_missing_tools_have_their_words() -> None:
    site = iscsi_ext4()
    with site.world.change() as state:
        changes.without(state, "web1", "xfs_growfs")
        changes.unprivileged(state, "silo")
    done = lvextend(site, 20 * GIB)
    assert (done.status, done.stderr) == (1, "sudo: a password is required\n")
    done = say(site, "web1", "xfs_growfs", "-d", "/srv/vol1")
    words = "timeout: failed to run command 'xfs_growfs': No such file or directory\n"
    assert (done.status, done.stderr) == (127, words)


def test_sudo_says_yes_to_what_it_then_wants_a_password_for() -> None:
    """Recorded under tests/recorded/sudo-listings.json: `listpw=any`, sudo's default."""
    site = iscsi_ext4()
    with site.world.change() as state:
        state.machines["silo"].sudo["ops"] = "asks lvextend"
    deed = extend_lv("vg0", "vol1", 20 * GIB)
    host = site.hosts()["silo"]
    assert host.ask(permitted(timed(deed.argv, 180))) == 0
    with pytest.raises(ToolFailed, match="password is required"):
        host.do(deed)
    assert "    (ALL : ALL) NOPASSWD: ALL" in host.ask(facts()).sudo


def test_a_tool_that_is_too_slow_is_ended() -> None:
    site = iscsi_ext4()
    site.world.slow("silo", "lvs", 200)
    host: Host = site.hosts()["silo"]
    with pytest.raises(NotNow, match="did not end within 180 s"):
        host.ask(logical_volumes("vg0"))
    site.world.slow("silo", "lvextend", 200, acts=True)
    with pytest.raises(OutcomeUnknown, match="limit 180 s"):
        host.do(extend_lv("vg0", "vol1", 20 * GIB))


def test_a_lie_is_believed_by_nobody_but_the_exit_status() -> None:
    site = iscsi_ext4()
    site.world.lie("web1", "resize2fs", status=1, err="resize2fs: oh no", times=1)
    with pytest.raises(ToolFailed, match="oh no"):
        site.hosts()["web1"].do(grow_ext4("/dev/sdb"))
    site.hosts()["web1"].do(grow_ext4("/dev/sdb"))


def test_a_surprise_happens_just_before_its_tool() -> None:
    site = iscsi_ext4()
    site.world.surprise(
        "silo", "lvextend", lambda state: changes.snapshot(state, "silo", "vg0/vol1")
    )
    assert lvextend(site, 20 * GIB).status == 5


def test_the_log_knows_deeds_from_questions() -> None:
    site = iscsi_ext4()
    list(walk(site.layers(site.hosts()), 20 * GIB, grow))
    kinds = {entry.argv[0]: entry.kind for entry in site.world.log}
    deeds = {"lvextend", "tee", "resize2fs"}
    assert {tool for tool, kind in kinds.items() if kind == "deed"} == deeds
    assert all(entry.user == "ops" for entry in site.world.log)
