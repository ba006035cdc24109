"""What a volume is used for is seen as it is: covered, out of sight, or on two hosts at once."""

from pathlib import Path

import pytest

from extendctl.mounts import mounts
from extendctl.size import GIB
from tests.extending import begin, code
from tests.test_guest_groups import told
from tests.world import build
from tests.world.failover import failover
from tests.world.site import ATTACHED, POINT, iscsi_xfs, shared
from tests.world.state import Content, Device, Mount, State

pytestmark = pytest.mark.slow
OVER = Device(dev="8:200", size=20 * GIB, content="web1/over")


def cover(state: State, point: str, kind: str) -> None:
    """Another filesystem, with room to grow, is mounted at a directory."""
    state.machines["web1"].devices["sdq"] = OVER.model_copy(deep=True)
    state.contents["web1/over"] = Content(type=kind, blocks=2 * GIB // 4096, uuid="9" * 36)
    state.machines["web1"].mounts.append(Mount(device="sdq", point=point))


@pytest.mark.parametrize("point", [POINT, "/srv"], ids=["over it", "over a directory above it"])
@pytest.mark.parametrize("name", ["iscsi-ext4", "iscsi-xfs", "iscsi-btrfs-thin"])
def test_what_is_mounted_over_a_filesystem_does_not_grow_in_its_place(
    name: str, point: str, tmp_path: Path
) -> None:
    """xfs_growfs takes the device from the mount table, and works on what it finds at the path."""
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        cover(state, point, "xfs")
    assert f"something else is mounted over {POINT} on web1" in told(stage)
    assert stage.world.state.contents["web1/over"].blocks == 2 * GIB // 4096


@pytest.mark.parametrize("name", ["iscsi-xfs", "iscsi-btrfs-thin"])
def test_another_place_where_it_is_mounted_will_do(name: str, tmp_path: Path) -> None:
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.append(Mount(device="sdb", point="/srv/other"))
        cover(state, POINT, "xfs")
    report = stage.extend()
    assert (report.error, report.layers[-1].name) == (None, "/srv/other")
    assert stage.world.state.contents["web1/over"].blocks == 2 * GIB // 4096


def test_an_xfs_that_is_covered_after_preflight_is_not_taken_for_the_other(tmp_path: Path) -> None:
    stage = begin(iscsi_xfs(), tmp_path)

    def late(_volume: str, event: object) -> None:
        if not stage.world.state.contents.get("web1/over"):
            with stage.change() as state:
                cover(state, POINT, "xfs")

    stage.listener = late
    report = stage.extend()
    assert (report.exit_status, code(report)) == (5, "host-failed")
    assert stage.world.state.contents["web1/over"].blocks == 2 * GIB // 4096


LINES = [
    "21 1 254:1 / / rw - ext4 /dev/vda1 rw",
    "40 21 8:16 / /srv rw - ext4 /dev/sdb rw",
    "41 40 8:32 / /srv/a rw - xfs /dev/sdc rw",
    "42 41 8:48 / /srv/a rw - xfs /dev/sdd rw",
    "43 21 0:50 / /srv-b rw - tmpfs none rw",
]


@pytest.mark.parametrize(
    ("more", "covered"),
    [
        ([], {"41"}),
        (["44 40 0:51 / /srv rw - tmpfs none rw"], {"40", "41", "42"}),
        (["44 21 0:51 / /mnt rw - tmpfs none rw"], {"41"}),
        (["44 42 0:51 / /srv/a rw - tmpfs none rw"], {"41", "42"}),
    ],
)
def test_a_mount_is_covered_when_its_path_leads_elsewhere(
    more: list[str], covered: set[str]
) -> None:
    found = list(mounts([*LINES, *more]))
    ids = [line.split()[0] for line in (*LINES, *more)]
    assert {one for one, mount in zip(ids, found, strict=True) if mount.covered} == covered


def test_without_a_root_nothing_is_taken_for_covered() -> None:
    assert not any(one.covered for one in mounts(LINES[1:]))


@pytest.mark.parametrize("name", ["iscsi-ext4", "iscsi-xfs"])
def test_what_a_container_has_mounted_is_not_called_unmounted(name: str, tmp_path: Path) -> None:
    stage = begin(ATTACHED[name](), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
        state.machines["web1"].unseen = {"sdb"}
    words = "the filesystem on /dev/sdb is mounted where this login does not see it"
    assert words in told(stage, offline=True)
    report = stage.extend()
    assert (report.error, report.exit_status) == (None, 0)
    assert any(words in one for one in report.notices)


def test_of_several_volumes_of_a_group_one_is_mounted_on_two_hosts(tmp_path: Path) -> None:
    """The climb ends at the physical volume, and the danger above it is seen all the same."""
    stage = begin(failover("lvm", "ext4"), tmp_path)
    with stage.change() as state:
        ours, theirs = state.machines["web1"], state.machines["web2"]
        second = (
            ours.groups["0-vg"]
            .volumes["data"]
            .model_copy(update={"uuid": "x" * 38, "size": 64 << 20, "device": None})
        )
        ours.groups["0-vg"].volumes["second"] = second
        for name, device in ours.devices.items():
            theirs.devices.setdefault(name, device.model_copy(deep=True))
        theirs.mounts = [one.model_copy() for one in ours.mounts]
    words = "ext4 is no cluster filesystem and is mounted on web1 and web2"
    assert words in told(stage)
    checked = stage.check()
    assert checked.error is not None
    assert checked.exit_status == 5
    assert any(words in fault.message for fault in checked.error.faults)


def test_the_host_that_has_it_active_is_elected_whatever_is_grown(tmp_path: Path) -> None:
    """With --no-filesystem, too; web2 is written down first, and nothing is active there."""
    stage = begin(failover("lvm", "ext4"), tmp_path)
    with stage.change() as state:
        machines = state.machines
        machines["web1"], machines["web2"] = machines["web2"], machines["web1"]
        machines["web1"].groups["0-vg"] = machines["web2"].groups["0-vg"].model_copy(deep=True)
        machines["web1"].groups["0-vg"].volumes["data"].device = None
    report = stage.extend(no_filesystem=True)
    assert report.error is None
    done = {(one.machine, one.argv[0]) for one in stage.world.log if one.kind == "deed"}
    assert ("web2", "pvresize") in done
    assert ("web1", "pvresize") not in done


@pytest.mark.parametrize(
    ("read_only", "status"), [((True, True), 0), ((True, False), 5), ((False, False), 5)]
)
def test_many_may_read_what_nobody_writes(
    read_only: tuple[bool, bool], status: int, tmp_path: Path
) -> None:
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        build.filesystem(state, "web1", "sdb", "ext4")
        for name, ro in zip(("web1", "web2"), read_only, strict=True):
            build.mount(state, name, "sdb", POINT).read_only = ro
    assert stage.check().exit_status == status


def test_what_is_served_and_mounted_on_the_storage_machine_itself_is_a_danger(
    tmp_path: Path,
) -> None:
    stage = begin(iscsi_xfs(), tmp_path)
    with stage.change() as state:
        build.mount(state, "silo", "dm-0", "/srv/backup")
    words = "xfs is no cluster filesystem and is mounted on silo and web1"
    assert words in told(stage)
    checked = stage.check()
    assert (checked.exit_status, words in str(checked.error)) == (5, True)
