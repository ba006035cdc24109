"""A host that is attached with a device smaller than the volume lags from the beginning."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extendctl import discovery, inventory
from tests.extending import GOAL, Stage, codes, outgrow
from tests.test_discovery import bare
from tests.world import build
from tests.world.site import (
    FILES,
    Site,
    file_loop_xfs,
    iscsi_ext4,
    iscsi_tgt,
    local_lvm,
    nvmet,
    two_paths,
)
from tests.world.state import GIB, State
from tests.world.tower import tower

Way = Callable[[Stage, str], object]
Change = Callable[[State], None]


def by_name(stage: Stage, host: str) -> None:
    take(stage)
    inventory.attach(stage.means(), "vol1", inventory.Place(host))


def by_look(stage: Stage, _: str) -> None:
    take(stage)
    inventory.discover(stage.means(), "vol1")


def by_import(stage: Stage, _: str) -> None:
    (found,) = discovery.take_in(stage.means(), stage.site.backend.name).found
    assert found.outcome == "done"


WAYS: dict[str, Way] = {"attach": by_name, "attach-discover": by_look, "discover-import": by_import}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def take(stage: Stage) -> None:
    inventory.take(stage.means(), "vol1", stage.site.backend.name, stage.site.source)


def grown_behind(make: Callable[[], Site], directory: Path) -> Stage:
    """A backend that somebody has extended by hand, and a host that was never told."""
    stage = bare(make(), directory)
    if stage.site.backend.driver == "file":
        with stage.change() as state:
            state.machines["here"].files[f"{FILES}/vol1"] = GOAL
    else:
        outgrow(stage, GOAL)
    return stage


def multipath() -> Site:
    return tower("multipath", "ext4")


BEHIND = (iscsi_ext4, iscsi_tgt, nvmet, two_paths, multipath, file_loop_xfs)


@every_way
@pytest.mark.parametrize("make", BEHIND, ids=lambda make: make.__name__)
def test_a_smaller_device_lags_until_it_is_resumed(
    make: Callable[[], Site], way: Way, tmp_path: Path
) -> None:
    stage = grown_behind(make, tmp_path)
    (host,) = stage.site.users
    way(stage, host)
    (one,) = stage.volume().attachments
    assert (stage.volume().size, one.lagging) == (GOAL, True)
    assert stage.world.deeds() == []
    stage.world.forget()
    assert codes(stage.extend("+1G")) == ["invalid-status"]
    report = stage.resume()
    assert (report.outcome, report.error) == ("done", None)
    assert stage.volume().lagging == ()
    assert stage.check().error is None


@every_way
def test_of_two_paths_the_one_that_is_not_used_may_lag_too(way: Way, tmp_path: Path) -> None:
    stage = grown_behind(two_paths, tmp_path)
    with stage.change() as state:
        state.machines["web1"].devices["sdb"].size = GOAL
    way(stage, "web1")
    assert [one.lagging for one in stage.volume().attachments] == [True]


@every_way
def test_a_map_may_lag_over_paths_that_do_not(way: Way, tmp_path: Path) -> None:
    stage = grown_behind(multipath, tmp_path)
    with stage.change() as state:
        for name in ("sdb", "sdc"):
            state.machines["web1"].devices[name].size = GOAL
    way(stage, "web1")
    (one,) = stage.volume().attachments
    assert (one.lagging, one.size) == (True, 10 * GIB)


def _loop(state: State, file: int = 10 * GIB, **more: int) -> None:
    one = state.machines["here"]
    one.files[f"{FILES}/vol1"] = file
    one.mounts = []
    build.loop(state, "here", f"{FILES}/vol1", "loop0", **more)


def offset(state: State) -> None:
    _loop(state, offset=1 << 20, size=10 * GIB - (1 << 20))


def limited(state: State) -> None:
    _loop(state, sizelimit=GIB, size=GIB)


def odd_limit(state: State) -> None:
    _loop(state, sizelimit=GIB + 100, size=GIB)


def wide_limit(state: State) -> None:
    _loop(state, sizelimit=20 * GIB)


def behind_offset(state: State) -> None:
    _loop(state, file=GOAL, offset=1 << 20, size=10 * GIB - (1 << 20))


def odd(state: State) -> None:
    _loop(state, file=10 * GIB + 100, size=10 * GIB)


@every_way
@pytest.mark.parametrize("change", [offset, limited, odd_limit, wide_limit, odd])
def test_a_loop_device_that_was_set_up_smaller_does_not_lag(
    change: Change, way: Way, tmp_path: Path
) -> None:
    """It has all that it can have of its file."""
    stage = bare(file_loop_xfs(), tmp_path)
    with stage.change() as state:
        change(state)
    way(stage, "here")
    assert [one.lagging for one in stage.volume().attachments] == [False]


@every_way
def test_a_loop_device_behind_an_offset_lags_when_its_file_has_grown(
    way: Way, tmp_path: Path
) -> None:
    stage = bare(file_loop_xfs(), tmp_path)
    with stage.change() as state:
        behind_offset(state)
    way(stage, "here")
    assert [one.lagging for one in stage.volume().attachments] == [True]


@every_way
@pytest.mark.parametrize("make", [iscsi_ext4, local_lvm], ids=lambda make: make.__name__)
def test_a_device_as_large_as_the_volume_does_not_lag(
    make: Callable[[], Site], way: Way, tmp_path: Path
) -> None:
    stage = bare(make(), tmp_path)
    way(stage, *stage.site.users)
    assert [one.lagging for one in stage.volume().attachments] == [False]
