"""What has taken the place of a layer's device, volume or file is refused, and not touched."""

from typing import NamedTuple

import pytest

from extendctl.errors import Refused
from extendctl.size import GIB
from extendctl.stack import grow, walk
from tests.test_obstacles import Change, group, pick
from tests.world import changes
from tests.world.site import ATTACHED, POINT

GOAL = 20 * GIB


class Swap(NamedTuple):
    """Something has taken the place of what a layer was made for."""

    what: str
    name: str
    kind: str
    change: Change
    words: str


SWAPS = [
    Swap("volume removed and made anew", "iscsi-ext4", "lv",
         lambda it: changes.another_volume(it, "silo", "vg0/vol1"), "is not the logical volume"),
    Swap("volume gone", "iscsi-ext4", "lv",
         lambda it: group(it).volumes.pop("vol1"), "there is no logical volume"),
    Swap("backstore made anew", "iscsi-ext4", "lun",
         lambda it: changes.another_backstore(it, "silo", "iblock_0/vol1"), "another unit serial"),
    Swap("sdb is another disk", "iscsi-ext4", "path",
         lambda it: changes.another_disk(it, "web1", "sdb"), "sdb on web1 is no longer"),
    Swap("sdc is another disk", "two-paths", "path",
         lambda it: changes.another_disk(it, "web1", "sdc"), "sdc on web1 is no longer"),
    Swap("sdb is gone", "iscsi-ext4", "path",
         lambda it: it.machines["web1"].devices.pop("sdb"), "No such file"),
    Swap("loop over another file", "file-loop-xfs", "loop",
         lambda it: changes.another_file(it, "here", "loop0", "/tmp/other"),
         "stands on /tmp/other now"),
    Swap("file gone", "file-loop-xfs", "file",
         lambda it: it.machines["here"].files.clear(), "No such file"),
    Swap("another xfs is mounted there", "iscsi-xfs", "xfs",
         lambda it: changes.another_mount(it, "web1", POINT, "sdq"), "sdq is mounted at /srv/vol1"),
    Swap("xfs not mounted any more", "iscsi-xfs", "xfs",
         lambda it: it.machines["web1"].mounts.clear(), "web1"),
    Swap("btrfs not mounted any more", "iscsi-btrfs-thin", "btrfs",
         lambda it: it.machines["web1"].mounts.clear(), "web1"),
]  # fmt: skip


@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: f"{swap.kind}-{swap.what}")
def test_what_has_taken_its_place_is_not_measured_and_not_touched(swap: Swap) -> None:
    site = ATTACHED[swap.name]()
    hosts = site.hosts()
    layer = pick(site, swap.kind, hosts)
    with site.world.change() as state:
        swap.change(state)
    for host in hosts.values():
        host.forget()
    with pytest.raises(Refused, match=swap.words):
        list(walk((layer,), GOAL, grow))
    assert site.world.deeds() == []


def test_a_source_of_the_same_name_is_not_the_volume_that_was_taken_in() -> None:
    site = ATTACHED["iscsi-ext4"]()
    known = site.trunk(site.hosts()).source_identity
    with site.world.change() as state:
        changes.another_volume(state, "silo", "vg0/vol1")
    with pytest.raises(Refused, match="is not the logical volume"):
        site.driver(site.hosts()).trunk("vol1", known)
