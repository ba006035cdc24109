"""An ext4 that nobody has mounted: left alone, or checked and grown with --offline."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extendctl import inventory
from extendctl.errors import Fault
from extendctl.model import GrowOptions, VolumeReport
from extendctl.size import TIB, Size
from tests.extending import GOAL, Stage, begin, untouched, untrue
from tests.test_obstacles import content, settle
from tests.world import build, changes
from tests.world.site import POINT, iscsi_ext4, shared
from tests.world.state import State


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Its filesystem is unmounted."""
    found = begin(iscsi_ext4(), tmp_path)
    with found.change() as state:
        changes.unmount(state, "web1")
    return found


def tools(stage: Stage) -> list[str]:
    return [argv[0] for argv in stage.world.deeds("web1")]


def said(stage: Stage, to: Size = GOAL) -> list[str]:
    """What the filesystem says against growing to so many bytes."""
    stack = stage.site.branches(stage.site.hosts(), GrowOptions(offline=True))["web1"]
    return [one.message for one in stack.layers[-1].obstacles(to)]


def refused(stage: Stage) -> Fault:
    """Why it is not even begun; nothing has been touched."""
    report = stage.extend(offline=True)
    assert report.exit_status == 3
    assert report.error is not None
    assert untouched(stage)
    return report.error.fault


def test_it_is_left_alone_unless_it_is_asked_for(stage: Stage) -> None:
    report = stage.extend()
    assert (report.error, report.layers[-1].outcome) == (None, "skipped")
    assert "--offline checks and grows it" in " ".join(report.notices)
    assert tools(stage) == ["tee"]


def test_it_is_checked_and_then_grown(stage: Stage) -> None:
    planned = stage.extend(dry_run=True, offline=True)
    report = stage.extend(offline=True)
    assert report.error is None
    assert [line.after for line in report.layers] == [line.after for line in planned.layers]
    assert tools(stage) == ["tee", "e2fsck", "resize2fs"]
    assert content(stage.world.state).size == GOAL
    assert stage.extend(offline=True).outcome == "unchanged"


def test_what_the_check_does_not_mend_is_told_in_its_words(stage: Stage) -> None:
    """Nothing in the superblock has told of it before."""
    with stage.change() as state:
        settle(content(state), inconsistent=True)
    for report in (stage.extend(offline=True), stage.resume()):
        assert (report.exit_status, report.status, report.size) == (5, "in-use", GOAL)
        assert "RUN fsck MANUALLY" in str(report.error)
    with stage.change() as state:
        settle(content(state), inconsistent=False, state="clean")
    assert stage.resume().outcome == "done"
    assert content(stage.world.state).size == GOAL


def test_errors_that_the_kernel_has_counted_are_found_before(stage: Stage) -> None:
    with stage.change() as state:
        settle(content(state), state="clean with errors", errors=3)
    fault = refused(stage)
    assert "has errors (clean with errors, 3 counted by the kernel)" in fault.message
    assert fault.hint.endswith("e2fsck -f /dev/sdb")
    with stage.change() as state:
        settle(content(state), state="clean", errors=0)
    assert stage.extend(offline=True).error is None


@pytest.mark.parametrize("again", [Stage.resume, lambda it: it.extend(offline=True)])
def test_a_resize2fs_that_was_cut_in_the_middle_is_followed(
    stage: Stage, again: Callable[[Stage], VolumeReport]
) -> None:
    """It leaves `clean with errors`, and no error that the kernel has counted."""
    stage.world.lie("web1", "resize2fs", status=137, only="deed", times=1)
    assert stage.extend(offline=True).exit_status == 5
    with stage.change() as state:
        settle(content(state), state="clean with errors", checked=False)
    report = again(stage)
    assert (report.error, report.outcome) == (None, "done")
    assert tools(stage) == ["tee", "e2fsck", "resize2fs", "e2fsck", "resize2fs"]
    assert content(stage.world.state).size == GOAL


def test_what_is_mounted_meanwhile_is_not_checked(stage: Stage) -> None:
    """Somebody mounts it while the backend grows: it is another task then."""

    def mount(state: State) -> None:
        build.mount(state, "web1", "sdb", POINT)

    stage.world.surprise("web1", "tee", mount)
    report = stage.extend(offline=True)
    assert report.exit_status in {3, 5}
    assert "e2fsck" not in tools(stage)
    if report.exit_status == 3:
        assert stage.world.deeds() == []
    assert stage.extend().error is None
    assert untrue(stage, stage.check()) == []


def test_a_tool_that_is_missing_is_found_before(stage: Stage) -> None:
    with stage.change() as state:
        changes.without(state, "web1", "e2fsck")
    report = stage.extend(offline=True)
    assert report.exit_status == 3
    assert "e2fsck is missing on web1" in str(report.error)
    assert stage.world.deeds() == []


def test_of_two_hosts_that_could_one_does_it(tmp_path: Path) -> None:
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        build.filesystem(state, "web1", "sdb", "ext4")
        build.mount(state, "web1", "sdb", POINT)
        changes.unmount(state, "web1")
    report = stage.extend(offline=True)
    assert report.error is None
    deeds = [(one.machine, one.argv[0]) for one in stage.world.log if one.kind == "deed"]
    assert [tool for _, tool in deeds].count("e2fsck") == 1
    assert [tool for _, tool in deeds].count("resize2fs") == 1


def test_a_filesystem_that_another_host_has_mounted_is_not_grown_offline(tmp_path: Path) -> None:
    """web1 does not use it, and web2 writes to it: a check on web1 would destroy it."""
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        build.filesystem(state, "web2", "sdb", "ext4")
        build.mount(state, "web2", "sdb", POINT)
    report = stage.extend(offline=True)
    assert report.error is None
    deeds = [(one.machine, one.argv[0]) for one in stage.world.log if one.kind == "deed"]
    assert ("web2", "resize2fs") in deeds
    assert not [one for one in deeds if one[1] == "e2fsck"]


@pytest.mark.parametrize(("block", "limit"), [(4096, 16), (1024, 4)])
def test_it_grows_to_as_many_blocks_as_32_bits_count(stage: Stage, block: int, limit: int) -> None:
    """Resize2fs: "New size too large to be expressed in 32 bits", after all beneath has grown."""
    with stage.change() as state:
        settle(content(state), features="has_journal extent sparse_super", block_size=block)
    assert said(stage, limit * TIB) == []
    words = f"the ext4 /dev/sdb on web1 lacks `64bit`: {limit} TiB at most"
    assert said(stage, limit * TIB + block) == [words]


def test_what_another_machine_has_mounted_is_not_grown_offline(tmp_path: Path) -> None:
    """One that nobody has told of: what it has not finished stands in the journal."""
    stage = begin(shared(), tmp_path)
    inventory.detach(stage.means(), "vol1", inventory.Place("web2"))
    with stage.change() as state:
        build.filesystem(state, "web2", "sdb", "ext4")
        build.mount(state, "web2", "sdb", POINT)
    stage.world.forget()
    fault = refused(stage)
    assert "was not unmounted cleanly, or another machine has it mounted" in fault.message
    assert "attach that host" in fault.hint
    with stage.change() as state:
        changes.unmount(state, "web2")
    assert stage.extend(offline=True).error is None


def test_one_without_a_journal_tells_by_its_state(stage: Stage) -> None:
    with stage.change() as state:
        settle(content(state), type="ext2", features="extent 64bit", state="not clean")
    fault = refused(stage)
    assert "was not unmounted cleanly" in fault.message
    assert fault.hint == "where no machine has it mounted, run e2fsck -f /dev/sdb"


def test_what_resize2fs_does_only_when_it_is_forced_is_not_begun(stage: Stage) -> None:
    with stage.change() as state:
        settle(content(state), features="has_journal extent 64bit bigalloc")
    fault = refused(stage)
    assert "the ext4 /dev/sdb on web1 has bigalloc" in fault.message
    assert "resize2fs -f /dev/sdb" in fault.hint
    assert stage.extend().error is None
