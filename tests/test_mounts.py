"""Filesystems as hosts mount them: in several places, bound, read-only, frozen, renamed, shared."""

from pathlib import Path

import pytest

from extendctl import inventory
from extendctl.size import GIB
from tests.extending import GOAL, Stage, begin, code, untouched, untrue
from tests.test_obstacles import content, settle
from tests.world import build
from tests.world.site import ATTACHED, POINT, iscsi_ext4, shared
from tests.world.state import Content, Device, Mount, State
from tests.world.tower import tower

pytestmark = pytest.mark.slow

BOUND = "/srv/bound"


def told(stage: Stage, *, dry_run: bool = False) -> str:
    """All reasons of an extension that is refused and has touched nothing."""
    report = stage.extend(dry_run=dry_run)
    assert report.exit_status == 3
    assert report.error is not None
    assert untouched(stage)
    return " ".join(fault.message for fault in report.error.faults)


def mounts(state: State, *found: Mount) -> None:
    state.machines["web1"].mounts = list(found)


FILESYSTEMS = ["iscsi-ext4", "iscsi-xfs", "iscsi-btrfs-thin"]


@pytest.mark.parametrize("name", FILESYSTEMS)
def test_a_filesystem_that_is_mounted_in_several_places_grows_once(
    name: str, tmp_path: Path
) -> None:
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        mounts(state, Mount(device="sdb", point=POINT), Mount(device="sdb", point="/srv/again"))
    report = stage.extend()
    assert report.error is None
    assert [line.name for line in report.layers[-1:]] == ["/srv/again"]
    assert set(stage.growths.values()) == {1}
    assert untrue(stage, report) == []


@pytest.mark.parametrize("name", FILESYSTEMS)
def test_a_directory_of_it_that_is_bound_elsewhere_is_enough(name: str, tmp_path: Path) -> None:
    """The place where all of it was mounted is gone; xfs_growfs takes the bound one, too."""
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        mounts(state, Mount(device="sdb", point=BOUND, root="/sub"))
    report = stage.extend()
    assert (report.error, report.layers[-1].name) == (None, BOUND)
    assert stage.volume().attachments[0].mountpoint == BOUND


@pytest.mark.parametrize("name", FILESYSTEMS)
def test_a_read_only_bind_mount_behind_the_first_is_no_obstacle(name: str, tmp_path: Path) -> None:
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        bound = Mount(device="sdb", point="/srv/a", root="/sub", read_only=True)
        mounts(state, Mount(device="sdb", point=POINT), bound)
    report = stage.extend()
    assert (report.error, report.layers[-1].name) == (None, POINT)


@pytest.mark.parametrize("name", FILESYSTEMS)
def test_a_read_only_mount_before_the_writable_one_hinders_ext4_alone(
    name: str, tmp_path: Path
) -> None:
    """resize2fs opens the first of the kernel's list; the others are told where to go."""
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        first = Mount(device="sdb", point="/srv/a", read_only=True)
        mounts(state, first, Mount(device="sdb", point=POINT))
    if name != "iscsi-ext4":
        assert stage.extend().error is None
    else:
        assert "/srv/a on web1, through which resize2fs would grow the ext4" in told(stage)


def test_an_ext4_that_is_frozen_is_found_before_anything_grows(tmp_path: Path) -> None:
    """resize2fs would hang until it is thawed; a frozen one has nothing to recover."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        one = content(state)
        one.features = one.features.replace(" needs_recovery", "")
    assert "the ext4 at /srv/vol1 on web1 is frozen" in told(stage)
    assert "frozen" in told(stage, dry_run=True)
    assert stage.extend(no_filesystem=True).error is None


def test_an_ext4_without_a_journal_is_not_taken_for_frozen(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        settle(content(state), features="ext_attr resize_inode extent 64bit sparse_super")
    assert stage.extend().error is None


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_logical_volume_that_was_renamed_under_its_mount_is_told_before(
    kind: str, tmp_path: Path
) -> None:
    stage = begin(tower("lvm", kind), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts[0].source = "/dev/mapper/0--vg-old"
    assert "was mounted as /dev/mapper/0--vg-old, which is called" in told(stage)


def test_a_btrfs_knows_no_name_of_its_device_and_may_be_renamed(tmp_path: Path) -> None:
    stage = begin(tower("lvm", "btrfs"), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts[0].source = "/dev/mapper/0--vg-data"
    assert stage.extend().error is None


def several(state: State, *, first: bool) -> None:
    """The btrfs has a second device of its own; the volume's is the first of them, or not."""
    machine = state.machines["web1"]
    mine = content(state)
    machine.devices["sdz"] = Device(dev="65:144", size=30 * GIB, content="web1/sdz")
    other = Content(type="btrfs", uuid=mine.uuid, blocks=5 * GIB // 4096)
    state.contents["web1/sdz"] = other
    mine.devid, other.devid = (1, 2) if first else (2, 1)
    if not first:
        machine.mounts[0].device, machine.mounts[0].source = "sdz", "/dev/sdz"


@pytest.mark.parametrize("first", [True, False])
def test_of_several_devices_of_a_btrfs_the_volume_s_own_grows(first: bool, tmp_path: Path) -> None:
    stage = begin(ATTACHED["iscsi-btrfs-thin"](), tmp_path)
    with stage.change() as state:
        several(state, first=first)
    report = stage.extend()
    assert report.error is None
    resized = [argv for argv in stage.world.deeds("web1") if argv[0] == "btrfs"]
    assert resized == [("btrfs", "filesystem", "resize", f"{1 if first else 2}:max", POINT)]
    after = stage.world.state
    assert content(after).size == GOAL
    assert content(after, device="sdz").size == 5 * GIB
    assert report.layers[-1].after == GOAL


def test_a_btrfs_with_a_seed_grows_by_what_was_added_to_it(tmp_path: Path) -> None:
    """Another member that is never written to is no obstacle to the volume's own."""
    stage = begin(ATTACHED["iscsi-btrfs-thin"](), tmp_path)
    with stage.change() as state:
        several(state, first=False)
        content(state, device="sdz").writable = False
    assert stage.extend().error is None
    with stage.change() as state:
        content(state).writable, content(state, device="sdz").writable = False, True
    stage.world.forget()
    report = stage.extend("24G")
    assert (report.exit_status, code(report), stage.world.deeds()) == (3, "obstacle", [])
    assert stage.extend("24G", no_filesystem=True).error is None


@pytest.mark.parametrize(
    ("busy", "hint"),
    [
        ("device replace", "wait for its end"),
        ("balance paused", f"wait for its end, or cancel it: btrfs balance cancel {POINT}"),
    ],
)
def test_a_btrfs_that_is_busy_is_waited_for(busy: str, hint: str, tmp_path: Path) -> None:
    stage = begin(ATTACHED["iscsi-btrfs-thin"](), tmp_path)
    with stage.change() as state:
        content(state).busy = busy
    assert f"is busy with another operation: {busy}" in told(stage)
    report = stage.extend()
    assert report.error is not None
    assert report.error.fault.hint == hint
    with stage.change() as state:
        content(state).busy = "none"
    assert stage.extend().error is None


def both(state: State, kind: str, *, read_only: bool = False) -> None:
    build.filesystem(state, "web1", "sdb", "ext4").type = kind
    for host in ("web1", "web2"):
        build.mount(state, host, "sdb", POINT).read_only = read_only and host == "web2"


@pytest.mark.parametrize("kind", ["ext4", "vfat"])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_filesystem_on_two_hosts_is_found_by_a_check_as_well(
    kind: str, read_only: bool, tmp_path: Path
) -> None:
    """What this program cannot grow is destroyed in the same way, and a reader reads nonsense."""
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        both(state, kind, read_only=read_only)
    words = f"{kind} is no cluster filesystem and is mounted on web1 and web2"
    assert words in told(stage)
    report = stage.check()
    assert (report.exit_status, words in str(report.error)) == (5, True)


@pytest.mark.parametrize("kind", ["gfs2", "ocfs2"])
def test_a_cluster_filesystem_may_be_mounted_on_two_hosts(kind: str, tmp_path: Path) -> None:
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        both(state, kind)
    report = stage.extend()
    assert (report.outcome, report.error) == ("done", None)
    assert any("gfs2" in one or "ocfs2" in one for one in report.notices)


def test_swap_space_in_use_on_two_hosts_is_a_danger(tmp_path: Path) -> None:
    """Each host writes its memory over the other's."""
    stage = begin(tower("swap"), tmp_path)
    with stage.change() as state:
        build.machine(state, "web2")
        build.disk(state, "web2", "silo/iblock_0/vol1")
    stage.configured(hosts=stage.site.configs())
    inventory.attach(stage.means(), "vol1", inventory.Place("web2"))
    assert stage.extend("12G").error is None  # web2 leaves it alone, and so web1 grows it
    with stage.change() as state:
        state.machines["web2"].swapped["sdb"] = list(state.machines["web1"].swapped["sdb"])
    stage.world.forget()
    report = stage.extend()
    assert (code(report), stage.world.deeds()) == ("obstacle", [])
    assert "the swap space is in use on web1 and web2" in str(report.error)
    assert stage.check().exit_status == 5


@pytest.mark.parametrize(
    ("kind", "features"),
    [
        ("ext2", "ext_attr resize_inode dir_index filetype sparse_super large_file"),
        (
            "ext3",
            "has_journal ext_attr resize_inode dir_index filetype needs_recovery sparse_super",
        ),
    ],
)
def test_ext2_and_ext3_grow_as_ext4_does(kind: str, features: str, tmp_path: Path) -> None:
    """One set of tools and one report of the superblock for all three."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        settle(content(state), type=kind, features=features)
    planned = stage.extend(dry_run=True)
    report = stage.extend()
    assert (report.error, report.layers[-1].kind) == (None, "ext4")
    assert report.layers[-1].after == planned.layers[-1].after
    assert untrue(stage, report) == []
    assert stage.check().error is None
