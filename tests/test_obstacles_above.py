"""What stands in the way of a whole extension, on any layer: named first, and nothing touched."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from extendctl.errors import Refused
from extendctl.size import MIB
from tests.extending import Stage, begin, untouched
from tests.test_obstacles import assert_is_a_sentence, pick, settle
from tests.world import build, changes
from tests.world.site import (
    FILES,
    ISCSI,
    POINT,
    Site,
    file_loop_xfs,
    iscsi_btrfs_thin,
    iscsi_ext4,
    iscsi_fileio,
    iscsi_tgt,
    nvmet,
)
from tests.world.state import GIB, Content, Device, Group, Machine, State
from tests.world.tower import tower
from tests.world.world import World

Change = Callable[[State], object]
Make = Callable[[], Site]


class Case(NamedTuple):
    """What a site is, what is the matter with it, and what an extension must say of it.

    With `before`, it happens only when everything has been found: before `on` runs that tool.
    """

    what: str
    make: Make
    change: Change
    words: str
    before: str = ""
    on: str = "web1"
    size: str = "20G"


def web1(state: State) -> Machine:
    return state.machines["web1"]


def guest(state: State) -> Group:
    return web1(state).groups["0-vg"]


def table(state: State) -> Content:
    return state.contents["silo/vg0/vol1"]


def device(state: State, name: str, **values: object) -> None:
    settle(web1(state).devices[name], **values)


def settle_all(things: Mapping[str, object], **values: object) -> None:
    for thing in things.values():
        settle(thing, **values)


def elsewhere(state: State) -> None:
    """Another btrfs is mounted at the volume's mount point now."""
    one = web1(state)
    one.devices["sdq"] = Device(dev="8:250", size=GIB, content="web1/sdq")
    state.contents["web1/sdq"] = Content(type="btrfs", uuid="0" * 32, blocks=GIB // 4096)
    one.mounts[0].device = "sdq"


def served_twice(state: State) -> None:
    """Two backstores have the volume open: hosts see two disks."""
    stores = state.machines["silo"].stores
    stores["iblock_9/again"] = stores["iblock_0/vol1"].model_copy(update={"serial": "abc"})


def in_place_of_the_file(state: State) -> None:
    here = state.machines["here"]
    del here.files[f"{FILES}/vol1"]
    here.directories.append(f"{FILES}/vol1")


def small_btrfs() -> Site:
    """A btrfs of 100 MiB, which btrfs-progs makes, and which the kernel does not resize."""
    state = State()
    build.machine(state, "silo")
    build.group(state, "silo")
    build.volume(state, "silo", "vg0/vol1", 100 * MIB)
    build.machine(state, "web1")
    build.disk(state, "web1", build.export(state, "silo", "vg0/vol1"))
    build.filesystem(state, "web1", "sdb", "btrfs")
    build.mount(state, "web1", "sdb", POINT)
    return Site(World(None, state), ISCSI, "vol1", ("web1",))


CASES = [
    # Partitions
    Case("a table of another label", lambda: tower("gpt", "ext4"),
         lambda it: settle(table(it), type="sun"), "/dev/sdb on web1 has a sun table"),
    Case("not in the table", lambda: tower("gpt", "ext4"),
         lambda it: settle(table(it), table=[[2, 2048, 4096]]),
         "/dev/sdb on web1 has no partition 1 in its table"),
    Case("another partition", lambda: tower("gpt", "ext4"),
         lambda it: device(it, "sdb1", dev="8:99"),
         "sdb1 on web1 has become another device", before="sfdisk"),
    # LVM on the volume
    Case("nothing may be allocated", lambda: tower("lvm", "ext4"),
         lambda it: settle(guest(it), pv_attr="u--"),
         "nothing may be allocated on the physical volume /dev/sdb on web1"),
    Case("another physical volume", lambda: tower("lvm", "ext4"),
         lambda it: settle(guest(it), uuid="another"),
         "/dev/sdb on web1 is no longer the physical volume that it was", before="pvs"),
    Case("another logical volume", lambda: tower("lvm", "ext4"),
         lambda it: settle(guest(it).volumes["data"], uuid="another"),
         "0-vg/data on web1 is no longer the logical volume", before="lvs"),
    # Mappings and maps
    Case("another mapping", lambda: tower("luks", "ext4"),
         lambda it: device(it, "dm-20", dm_name="other"),
         "dm-20 on web1 is no longer the mapping crypt0", before="cat"),
    Case("another map", lambda: tower("multipath", "ext4"),
         lambda it: device(it, "dm-20", dm_uuid="mpath-3other"),
         "dm-20 on web1 is no longer the map mpatha", before="cat"),
    Case("a type that nobody knows", lambda: tower("luks", "ext4"),
         lambda it: device(it, "dm-20", dm_uuid=f"CRYPT-LUKS3-{0:032x}-crypt0"),
         "the mapping crypt0 on web1 is of the type LUKS3"),
    # NVMe
    Case("no controller is live", nvmet,
         lambda it: settle_all(web1(it).controllers, state="connecting"),
         "the controller nvme0 of nvme0n1 on web1 is connecting, not live"),
    Case("no controller", nvmet, lambda it: web1(it).controllers.clear(),
         "nvme0n1 on web1 has no controller"),
    # What is at the top
    Case("swap without a UUID", lambda: tower("swap"), lambda it: settle(table(it), uuid=""),
         "the swap space on /dev/sdb on web1 has no UUID to be kept"),
    Case("not in the btrfs", iscsi_btrfs_thin, elsewhere,
         "/dev/sdb is no device of the btrfs at /srv/vol1 on web1", before="btrfs"),
    Case("a small btrfs", small_btrfs, lambda _: None,
         "the btrfs at /srv/vol1 on web1 cannot be resized to less than 256 MiB", size="200M"),
    # A file and its loop device
    Case("a directory in place of the file", file_loop_xfs, in_place_of_the_file,
         f"{FILES}/vol1 on here is a directory, not a regular file", before="stat", on="here"),
    Case("a loop over another file", file_loop_xfs,
         lambda it: changes.another_file(it, "here", "loop0", "/tmp/other"),
         f"/dev/loop0 on here stands on /tmp/other now, not on {FILES}/vol1",
         before="cat", on="here"),
]  # fmt: skip


def refused(stage: Stage, size: str, words: str, *, dry_run: bool = False) -> None:
    """It exits with 3 and these words in one of the reasons, and nothing has been touched."""
    before = stage.volume().size
    report = stage.extend(size, dry_run=dry_run)
    assert report.exit_status == 3
    assert report.error is not None
    said = [fault for fault in report.error.faults if re.search(words, fault.message)]
    assert said, [fault.message for fault in report.error.faults]
    if said[0].code != "not-found":
        assert_is_a_sentence(said[0])
    assert len(report.error.faults) == len(set(report.error.faults))
    assert untouched(stage, before)


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry", "run"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_it_is_named_and_nothing_is_touched(case: Case, dry_run: bool, tmp_path: Path) -> None:
    stage = begin(case.make(), tmp_path)
    if case.before:
        stage.world.surprise(case.on, case.before, case.change)
    else:
        with stage.change() as state:
            case.change(state)
    refused(stage, case.size, case.words, dry_run=dry_run)


BACKENDS: dict[str, tuple[Make, Change, str]] = {
    "served twice": (iscsi_ext4, served_twice, "vol1 on silo is served several times"),
    "a LUN over a file disabled": (
        iscsi_fileio,
        lambda it: settle(it.machines["silo"].stores["fileio_0/vol1"], enabled=False),
        "the backstore fileio_0/vol1 on silo is not enabled",
    ),
    "a LUN of tgt offline": (
        iscsi_tgt,
        lambda it: settle(it.machines["silo"].tgt[f"{build.IQN}:vol1"].luns[1], online=False),
        "on silo is offline",
    ),
    "a namespace disabled": (
        nvmet,
        lambda it: settle_all(it.machines["silo"].namespaces, enabled=False),
        "on silo is not enabled",
    ),
    "the file is gone": (
        file_loop_xfs, lambda it: it.machines["here"].files.clear(), "there is no file .* on here",
    ),
    "a directory in its place": (
        file_loop_xfs, in_place_of_the_file, "there is no file .* on here",
    ),
    "the file of another machine": (
        file_loop_xfs,
        lambda it: settle(it.machines["here"], machine_id="f" * 32),
        "on here is not the file that was taken in",
    ),
    "a loop over another file": (
        file_loop_xfs,
        lambda it: changes.another_file(it, "here", "loop0", "/tmp/other"),
        "here does not see the volume: no loop device over the file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BACKENDS)
def test_what_is_wrong_where_a_volume_lives_is_named(what: str, tmp_path: Path) -> None:
    make, change, words = BACKENDS[what]
    stage = begin(make(), tmp_path)
    with stage.change() as state:
        change(state)
    refused(stage, "20G", words, dry_run=True)
    refused(stage, "20G", words)


def test_a_volume_that_too_many_serve_is_not_called_unserved(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        served_twice(state)
    assert "no target serves it" not in str(stage.extend().error)


def test_swap_space_whose_device_is_another_one_is_not_measured() -> None:
    """Before the first deed that cannot come to pass: what a host has is asked once until then."""
    site = tower("swap")
    hosts = site.hosts()
    layer = pick(site, "swap", hosts)
    with site.world.change() as state:
        device(state, "sdb", dev="8:99")
    hosts["web1"].forget()
    with pytest.raises(Refused, match="sdb on web1 has become another device"):
        layer.measure()


def test_swap_space_whose_device_becomes_another_one_is_left_in_use(tmp_path: Path) -> None:
    stage = begin(tower("swap"), tmp_path)
    stage.world.surprise("web1", "tee", lambda state: device(state, "sdb", dev="8:99"))
    report = stage.extend()
    assert report.exit_status == 5
    assert "sdb on web1 has become another device" in str(report.error)
    assert {argv[0] for argv in stage.world.deeds("web1")} == {"tee"}
