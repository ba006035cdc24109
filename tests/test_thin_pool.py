"""Thin pools beside an extension: looked at before and after, and left to dmeventd to extend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extendctl.config import Limits
from extendctl.model import Outcome
from extendctl.stack import Event, Measured, Settled
from tests.extending import GOAL, Stage, begin, code
from tests.world.site import iscsi_btrfs_thin, iscsi_ext4
from tests.world.state import GIB, Group, State


def group(state: State) -> Group:
    return state.machines["silo"].groups["vg0"]


def when(stage: Stage, moment: type[Event], kind: str, change: Callable[[State], object]) -> None:
    """Let something happen once, when the journal has told of a layer."""
    done: list[str] = []

    def told(_volume: str, event: Event) -> None:
        if not done and isinstance(event, moment) and event.layer.kind == kind:
            done.append(kind)
            with stage.change() as state:
                change(state)

    stage.listener = told


def filling(**percents: float) -> Callable[[State], object]:
    def fill(state: State) -> None:
        for name, percent in percents.items():
            setattr(group(state).volumes["tp0"], f"{name}_percent", percent)

    return fill


@pytest.mark.parametrize("part", ["data", "metadata"])
def test_a_pool_that_growth_has_nearly_filled_is_told(part: str, tmp_path: Path) -> None:
    """Growing a filesystem writes; what was well before may be no longer."""
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    when(stage, Settled, "btrfs", filling(**{part: 96.5}))
    report = stage.extend()
    assert (report.outcome, report.error) == (Outcome.DONE, None)
    assert f"the pool's {part} is 96.5% full after the extension: give it more room soon" in (
        report.notices
    )


def test_policy_says_from_where_on(tmp_path: Path) -> None:
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    stage.governed(Limits(max_thin_data=50.0))
    when(stage, Settled, "btrfs", filling(data=51.0))
    assert any("51% full after" in one for one in stage.extend().notices)
    refused = stage.extend("30G")
    assert (code(refused), refused.exit_status) == ("limit-exceeded", 3)


def test_a_pool_with_room_is_not_talked_about(tmp_path: Path) -> None:
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    assert stage.extend().notices == ()


def extended_by_dmeventd(state: State) -> None:
    """As recorded with lvm2 2.03.31: the pool passes its threshold and takes a fifth more."""
    pool = group(state).volumes["tp0"]
    pool.size = pool.size // 5 * 6
    pool.data_percent = (pool.data_percent or 0.0) / 1.2


@pytest.mark.parametrize(
    ("moment", "kind"), [(Measured, "lv"), (Settled, "lv"), (Settled, "btrfs")]
)
def test_a_pool_that_grows_by_itself_meanwhile_is_let_alone(
    moment: type[Event], kind: str, tmp_path: Path
) -> None:
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    when(stage, moment, kind, extended_by_dmeventd)
    report = stage.extend()
    assert (report.outcome, report.error, report.size) == (Outcome.DONE, None, GOAL)
    state = stage.world.state
    assert group(state).volumes["tp0"].size == 60 * GIB
    assert [argv[-1] for argv in stage.world.deeds("silo")] == ["vg0/vol1"]
    assert stage.check().error is None


def test_space_that_a_pool_took_first_fails_the_backend_and_nothing_else(tmp_path: Path) -> None:
    """A thick volume beside it: what preflight saw free is gone a moment later."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        pool = (
            group(state)
            .volumes["vol1"]
            .model_copy(
                update={"uuid": "p" * 38, "segtype": "thin-pool", "size": 80 * GIB, "device": None}
            )
        )
        group(state).volumes["tp0"] = pool
    when(stage, Measured, "lv", extended_by_dmeventd)
    report = stage.extend()
    assert (report.exit_status, code(report), report.status) == (
        5, "backend-failed", "error_extending",
    )  # fmt: skip
    assert "insufficient free space" in str(report.error).lower()
    assert stage.world.deeds("web1") == []
    with stage.change() as state:
        group(state).size = 200 * GIB
    assert stage.resume().outcome == Outcome.DONE


@pytest.mark.parametrize("part", ["data", "metadata"])
def test_a_pool_that_is_full_stops_what_is_left_to_grow(part: str, tmp_path: Path) -> None:
    """The volume has grown and its filesystem has not: that would write into the full pool."""
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    stage.world.lie("web1", "btrfs", status=1, out="", only="deed", times=1)
    assert stage.extend().exit_status == 5
    stage.world.heal()
    with stage.change() as state:
        filling(**{part: 100.0})(state)
    before = len(stage.world.deeds())
    for report in (stage.resume(), stage.extend()):
        assert (code(report), report.exit_status) == ("no-space", 3)
    assert len(stage.world.deeds()) == before
    with stage.change() as state:
        filling(**{part: 50.0})(state)
    assert stage.resume().error is None


def test_a_pool_that_needs_repair_is_found_before(tmp_path: Path) -> None:
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    with stage.change() as state:
        group(state).volumes["tp0"].health = "M"
    report = stage.extend()
    assert (code(report), report.exit_status) == ("obstacle", 3)
    assert "the thin pool vg0/tp0 on silo has read-only metadata" in str(report.error)
    assert stage.world.deeds() == []


def test_a_volume_that_pvmove_has_locked_is_found_before(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        group(state).volumes["vol1"].locked = True
    assert "vg0/vol1 on silo is locked" in str(stage.extend().error)
    assert stage.world.deeds() == []
