"""Volumes that passed their threshold grow by their rule, and no others, and nothing twice."""

from pathlib import Path
from typing import Any

import pytest

from extendctl.config import AutoextendRule, Limits, PolicyConfig
from extendctl.extension.autoextend import autoextend, matching
from extendctl.model import Outcome, VolumeReport
from tests.extending import SITES, VOLUME, Stage, begin, code, untouched, untrue
from tests.world.site import POINT, iscsi_ext4, iscsi_xfs, shared
from tests.world.state import GIB, MIB, State

RULE = AutoextendRule("vol*", 80.0, "+20%")


def ruled(stage: Stage, *rules: AutoextendRule, **more: Any) -> Stage:
    """The stage under these rules."""
    stage.configured(policy=PolicyConfig(autoextend=rules, **more))
    return stage


def fill(stage: Stage, percent: float) -> None:
    """Writes into the filesystem until df(1) would say that it is so full."""
    with stage.change() as state:
        content = _content(state)
        reserve = content.blocks // 20
        content.used = round((content.blocks - reserve) * percent / 100) * content.block_size


def _content(state: State) -> Any:
    mount = next(one for one in state.machines["web1"].mounts if one.point == POINT)
    return state.content("web1", mount.device)


def full(tmp_path: Path, *rules: AutoextendRule, percent: float = 85.0, **more: Any) -> Stage:
    """A stage whose filesystem is so full."""
    stage = ruled(begin(iscsi_ext4(), tmp_path), *(rules or (RULE,)), **more)
    fill(stage, percent)
    return stage


def run(stage: Stage, **more: bool) -> VolumeReport:
    return autoextend(stage.means(), VOLUME, **more)


@pytest.mark.parametrize("percent", [1.0, 79.0, 80.0])
def test_what_is_not_full_is_left_as_it_is(tmp_path: Path, percent: float) -> None:
    stage = full(tmp_path, percent=percent)
    report = run(stage)
    assert (report.outcome, report.exit_status) == (Outcome.UNCHANGED, 0)
    assert f"{POINT} on web1 is {percent:.1f}% full" in report.notices[0]
    assert untouched(stage)


def test_what_is_full_grows_by_its_rule_and_then_is_left(tmp_path: Path) -> None:
    stage = full(tmp_path)
    report = run(stage)
    assert (report.outcome, report.goal, stage.volume().size) == (Outcome.DONE, 12 * GIB, 12 * GIB)
    assert untrue(stage, report) == []
    reason = stage.store.operation(1).reason
    assert reason == f"autoextend: {POINT} on web1 is 85.0% full, above 80%"
    assert run(stage).outcome == Outcome.UNCHANGED
    assert set(stage.growths.values()) == {1}


@pytest.mark.parametrize("site", SITES)
def test_every_site_with_a_filesystem_grows_and_no_other(site: str, tmp_path: Path) -> None:
    """Above nothing at all everything that is mounted is too full."""
    stage = begin(SITES[site](None), tmp_path)
    rules = stage.config.policy.rules
    ruled(stage, AutoextendRule("*", 0.0, "+1G"), rules=rules)
    mounted = any(one.mountpoint for one in stage.volume().attachments)
    report = run(stage)
    assert report.outcome == (Outcome.DONE if mounted else Outcome.UNCHANGED), report
    assert report.size == report.goal
    assert (report.goal or 0) - 10 * GIB in (range(GIB, GIB + 64 * MIB) if mounted else {0})


def test_a_dry_run_foretells_and_changes_nothing(tmp_path: Path) -> None:
    stage = full(tmp_path)
    report = run(stage, dry_run=True)
    assert (report.outcome, report.goal) == (Outcome.PLANNED, 12 * GIB)
    assert untouched(stage)


def test_the_first_rule_that_matches_holds(tmp_path: Path) -> None:
    other = AutoextendRule("web-*", 10.0, "+1G")
    stage = full(tmp_path, other, AutoextendRule("v?l[0-9]", 90.0, "+1G"), RULE)
    assert run(stage).outcome == Outcome.UNCHANGED
    assert run(ruled(stage, other, RULE)).goal == 12 * GIB
    assert matching(stage.means()) == [VOLUME]
    assert matching(ruled(stage, other).means()) == []


@pytest.mark.parametrize("most", [11 * GIB, 11 * GIB + MIB])
def test_a_rule_s_max_bounds_what_the_backend_allocates(tmp_path: Path, most: int) -> None:
    """Between two extents there is nothing: rounded up it would be past the bound."""
    stage = full(tmp_path, AutoextendRule("*", 80.0, "+20%", most))
    assert run(stage).size == 11 * GIB
    fill(stage, 99.0)
    report = run(stage)
    assert (report.outcome, report.size) == (Outcome.UNCHANGED, 11 * GIB)
    assert "grows no further than 11 GiB" in report.notices[0]
    assert len(stage.store.operations()) == 1


def test_what_root_keeps_for_itself_is_not_left_to_others(tmp_path: Path) -> None:
    """A twentieth is root's: with 76% of all blocks taken df says 80%."""
    stage = full(tmp_path)
    with stage.change() as state:
        content = _content(state)
        content.used = content.blocks * 77 // 100 * content.block_size
    assert run(stage, dry_run=True).outcome == Outcome.PLANNED


def test_where_nothing_is_mounted_nothing_is_full(tmp_path: Path) -> None:
    stage = ruled(begin(shared(), tmp_path), AutoextendRule("*", 1.0, "+20%"))
    report = run(stage)
    assert (report.outcome, report.exit_status) == (Outcome.UNCHANGED, 0)
    assert "nothing that grows with it is mounted" in report.notices[0]
    assert stage.world.deeds() == []


def test_a_host_that_is_silent_may_be_the_full_one(tmp_path: Path) -> None:
    stage = full(tmp_path, percent=10.0)
    stage.world.down("web1")
    report = run(stage)
    assert (report.outcome, code(report), report.exit_status) == (
        Outcome.NOT_NOW, "unreachable", 4,
    )  # fmt: skip


def test_a_tool_that_says_nonsense_is_not_believed(tmp_path: Path) -> None:
    stage = full(tmp_path)
    stage.world.lie("web1", "stat", out="4096\n100\n200\n50\n", times=1)
    report = run(stage)
    assert report.exit_status in {3, 5}
    assert report.error is not None
    assert "stat" in str(report.error)
    assert stage.world.deeds() == []


def test_growth_is_not_added_to_what_lags(tmp_path: Path) -> None:
    stage = full(tmp_path)
    stage.world.lie("web1", "resize2fs", status=1, err="resize2fs: no", times=1)
    assert run(stage).outcome == Outcome.INCOMPLETE
    report = run(stage)
    assert (code(report), report.exit_status) == ("invalid-status", 3)
    assert report.error is not None
    assert report.error.fault.hint == f"extendctl volume resume {VOLUME}"
    assert stage.resume().size == 12 * GIB


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"rules": {"volume:extend_attached_volume": "deny"}}, "policy-denied"),
        ({"limits": Limits(max_growth=GIB)}, "limit-exceeded"),
        ({"limits": Limits(confirm_above=1.1)}, "confirmation-required"),
    ],
)
def test_the_policy_holds_as_for_everybody(
    tmp_path: Path, policy: dict[str, Any], expected: str
) -> None:
    stage = full(tmp_path, **policy)
    report = run(stage)
    assert (code(report), report.exit_status) == (expected, 3)
    assert untouched(stage)


def test_what_was_seen_at_the_same_moment_is_wanted_once(tmp_path: Path) -> None:
    """Two programs that found it full: the second one's wish is the same absolute size."""
    stage = ruled(begin(iscsi_xfs(), tmp_path), RULE)
    fill(stage, 85.0)
    goals = [run(stage, dry_run=True).goal for _ in range(2)]
    assert goals == [12 * GIB] * 2
    assert [stage.extend(str(goal >> 30)).size for goal in goals if goal] == [12 * GIB] * 2
