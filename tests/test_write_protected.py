"""A disk that became write-protected is found where a layer would write to it, and is named."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from extendctl.size import GIB
from tests.extending import Stage, begin, untouched
from tests.world import changes
from tests.world.failover import failover
from tests.world.site import ATTACHED
from tests.world.tower import tower

TOWERS = {
    "partition": ("gpt", "xfs"),
    "physical volume": ("lvm", "xfs"),
    "physical volume on a partition": ("gpt", "lvm", "ext4"),
    "physical volume on LUKS": ("luks", "lvm", "ext4"),
    "swap": ("swap",),
    "filesystem on LUKS": ("luks", "xfs"),
    "partition of a map": ("multipath", "gpt", "btrfs"),
}


def told(stage: Stage, *, offline: bool = False) -> set[str]:
    """Why it is not even begun."""
    report = stage.extend(offline=offline)
    assert report.exit_status == 3
    assert report.error is not None
    assert untouched(stage)
    return {one.message for one in report.error.faults}


def protect(stage: Stage, device: str, *, on: bool = True) -> None:
    with stage.change() as state:
        state.machines["web1"].devices[device].ro = on


def lowest(kinds: Sequence[str]) -> str:
    """The device that all stands on, and that is written through."""
    return "dm-20" if kinds[0] == "multipath" else "sdb"


@pytest.mark.parametrize("name", TOWERS)
def test_a_disk_that_would_be_written_to_is_named(name: str, tmp_path: Path) -> None:
    kinds = TOWERS[name]
    stage = begin(tower(*kinds), tmp_path)
    protect(stage, lowest(kinds))
    node = stage.world.state.machines["web1"].node(lowest(kinds))
    assert told(stage) == {f"{node} on web1 is write-protected"}
    protect(stage, lowest(kinds), on=False)
    assert stage.extend().error is None


@pytest.mark.parametrize("name", ["iscsi-ext4", "iscsi-xfs", "iscsi-btrfs-thin"])
def test_so_it_is_beneath_a_mounted_filesystem(name: str, tmp_path: Path) -> None:
    stage = begin(ATTACHED[name](), tmp_path)
    protect(stage, "sdb")
    assert told(stage) == {"/dev/sdb on web1 is write-protected"}
    assert stage.extend(no_filesystem=True).error is None


def test_so_it_is_beneath_one_that_is_not_mounted(tmp_path: Path) -> None:
    stage = begin(ATTACHED["iscsi-ext4"](), tmp_path)
    with stage.change() as state:
        changes.unmount(state, "web1")
    protect(stage, "sdb")
    assert told(stage, offline=True) == {"/dev/sdb on web1 is write-protected"}


def test_luks_alone_is_resized_all_the_same(tmp_path: Path) -> None:
    """Its header holds no size of the whole, and is only read."""
    stage = begin(tower("luks", "xfs"), tmp_path)
    protect(stage, "sdb")
    report = stage.extend(no_filesystem=True)
    assert (report.error, report.size) == (None, 20 * GIB)
    assert {one.kind: one.outcome for one in report.layers}["luks"] == "grown"


def test_a_path_that_is_passive_does_not_stand_for_its_map(tmp_path: Path) -> None:
    stage = begin(tower("multipath", "gpt", "xfs"), tmp_path)
    protect(stage, "sdc")
    assert stage.extend().error is None


def test_who_only_reads_the_table_again_may_have_it_protected(tmp_path: Path) -> None:
    """One host writes the partition table; the other's kernel is told."""
    stage = begin(failover("gpt", "ext4"), tmp_path)
    with stage.change() as state:
        state.machines["web2"].devices["sdb"].ro = True
    assert stage.extend().error is None
