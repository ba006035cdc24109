"""Sizes: they only grow, are compared after rounding, are adopted, and never compound."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extendctl.config import Limits
from extendctl.model import LayerOutcome, Outcome
from extendctl.policy import EXTEND
from extendctl.views import summary
from tests.extending import (
    GOAL,
    SITES,
    VOLUME,
    Make,
    Stage,
    begin,
    code,
    grown,
    measured,
    outgrow,
    sizes,
    untouched,
    untrue,
)
from tests.world import changes
from tests.world.site import (
    file_loop_xfs,
    iscsi_ext4,
    iscsi_striped,
    local_lvm,
    shared,
)
from tests.world.state import GIB, MIB, State

pytestmark = pytest.mark.slow


def followed(stage: Stage, size: int) -> bool:
    """The state, the backend and every host have this size, and nothing is unfinished."""
    volume = stage.volume()
    return (
        (volume.size, volume.status, volume.lagging, stage.unfinished) == (size, "in-use", (), None)
        and {one.size for one in volume.attachments} == {size}
        and stage.world.machine("web1").devices["sdb"].size == size
    )


@pytest.mark.parametrize("name", SITES)
def test_equal_is_unchanged(name: str, tmp_path: Path) -> None:
    """The size that it has: success, outcome unchanged, no deed, no operation."""
    stage = begin(SITES[name](None), tmp_path)
    report = stage.extend(f"{stage.volume().size // MIB}M")
    assert (report.outcome, report.exit_status) == (Outcome.UNCHANGED, 0)
    assert {line.outcome for line in report.layers if line.kind != "raw"} == {LayerOutcome.FULL}
    assert (stage.world.deeds(), stage.store.operations()) == ([], [])


@pytest.mark.parametrize("size", ["9G", "1M", "10236M"])
def test_smaller_is_refused(size: str, tmp_path: Path) -> None:
    """A volume only ever grows: exit 3, size-not-greater, with both sizes in the message."""
    stage = begin(iscsi_ext4(), tmp_path)
    report = stage.extend(size)
    assert (code(report), report.exit_status) == ("size-not-greater", 3)
    assert str(10 * GIB) in str(report.error)
    assert untouched(stage)


@pytest.mark.parametrize(
    ("make", "size", "rounded"),
    [
        (iscsi_ext4, "10241M", 10 * GIB + 4 * MIB),
        (iscsi_ext4, "10244M", 10 * GIB + 4 * MIB),
        (iscsi_ext4, "10245M", 10 * GIB + 8 * MIB),
        (iscsi_striped, "10250M", 10 * GIB + 20 * MIB),
        (iscsi_striped, "10261M", 10 * GIB + 32 * MIB),
        (file_loop_xfs, "10485761K", 10 * GIB + 4096),
    ],
)
def test_sizes_are_rounded_up_to_what_the_backend_allots(
    make: Make, size: str, rounded: int, tmp_path: Path
) -> None:
    """Extents, times stripes: the goal that is told is the rounded one, and it is reached."""
    stage = begin(make(None), tmp_path)
    report = stage.extend(size)
    assert (report.outcome, report.goal, report.size) == (Outcome.DONE, rounded, rounded)
    assert stage.volume().size == rounded
    assert untrue(stage, report) == []


def test_sizes_are_compared_after_rounding(tmp_path: Path) -> None:
    """A size that rounds up to what is there is equal: neither smaller nor larger."""
    stage = begin(iscsi_striped(), tmp_path)
    for size in ("10247M", "10248M", "10237M"):
        assert stage.extend(size).outcome == Outcome.UNCHANGED
    assert code(stage.extend("10236M")) == "size-not-greater"
    assert stage.world.deeds() == []


def test_limits_apply_to_the_rounded_size(tmp_path: Path) -> None:
    """10241 MiB are within the limit, the extents that they take are not."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(Limits(max_size=10241 * MIB))
    assert code(stage.extend("10241M")) == "limit-exceeded"
    assert untouched(stage)
    stage.governed(Limits(max_size=10244 * MIB))
    assert stage.extend("10241M").outcome == Outcome.DONE


@pytest.mark.parametrize("found", [15 * GIB, 20 * GIB])
def test_a_backend_found_larger_up_to_the_goal_is_adopted(found: int, tmp_path: Path) -> None:
    """Somebody was there before: what is there is adopted, the rest follows, outcome done."""
    stage = begin(iscsi_ext4(), tmp_path)
    outgrow(stage, found)
    report = stage.extend()
    assert (report.outcome, report.before, report.goal) == (Outcome.DONE, 10 * GIB, GOAL)
    assert report.layers[0].before == found
    assert any("adopted" in notice for notice in report.notices)
    assert untrue(stage, report) == []
    assert followed(stage, GOAL)


def test_a_backend_found_larger_than_the_goal_is_adopted_and_the_hosts_follow(
    tmp_path: Path,
) -> None:
    """30 GiB are there where 20 were asked for: nothing shrinks, all follow, the notice says so."""
    stage = begin(iscsi_ext4(), tmp_path)
    outgrow(stage, 30 * GIB)
    dry = stage.extend(dry_run=True)
    report = stage.extend()
    assert (report.outcome, report.goal, report.size) == (Outcome.DONE, GOAL, 30 * GIB)
    assert (dry.goal, "vol1: 10 GiB -> 30 GiB, planned" in summary(dry)) == (GOAL, True)
    assert [line.after for line in dry.layers] == [line.after for line in report.layers]
    assert any("30 GiB" in notice and "adopted" in notice for notice in report.notices)
    assert "lvextend" not in {argv[0] for argv in stage.world.deeds()}
    assert followed(stage, 30 * GIB)


def test_all_that_somebody_grew_by_hand_is_adopted_without_a_deed(tmp_path: Path) -> None:
    """Backend and hosts are at the goal already: the state learns of it, and that is all."""
    stage = begin(shared(), tmp_path)
    outgrow(stage, GOAL)
    with stage.change() as state:
        for host in ("web1", "web2"):
            state.machines[host].devices["sdb"].size = GOAL
    report = stage.extend()
    assert (report.outcome, report.size, stage.world.deeds()) == (Outcome.DONE, GOAL, [])
    assert followed(stage, GOAL)


@pytest.mark.parametrize(
    ("size", "goal"), [("+5G", 15 * GIB), ("+10%", 11 * GIB), ("+50%", 15 * GIB)]
)
def test_growth_is_made_absolute_once(size: str, goal: int, tmp_path: Path) -> None:
    """Relative sizes are counted from what the state says, and the record has the total."""
    stage = begin(iscsi_ext4(), tmp_path)
    report = stage.extend(size)
    assert (report.outcome, report.goal, report.size) == (Outcome.DONE, goal, goal)
    assert stage.store.operation(1).goal == goal
    assert stage.world.deeds()[0][3] == f"{goal}b"


def test_growth_while_something_lags_is_refused(tmp_path: Path) -> None:
    """+5G while a host lags: exit 3, with the advice to resume first; an absolute size is fine."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "resize2fs", status=1, err="resize2fs: no", times=1)
    assert stage.extend().exit_status == 5
    deeds = stage.world.deeds()
    report = stage.extend("+5G")
    assert (code(report), report.exit_status) == ("invalid-status", 3)
    assert report.error is not None
    assert report.error.fault.hint == "extendctl volume resume vol1"
    assert stage.world.deeds() == deeds
    assert stage.extend("25G").outcome == Outcome.DONE


def test_growth_that_failed_and_is_asked_for_again_does_not_compound(tmp_path: Path) -> None:
    """+10G of which the answer was lost, and +10G again: 20 GiB in the end."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.cut("silo", when="after", only="deed")
    assert stage.extend("+10G").exit_status == 5
    assert stage.status == "error_extending"
    report = stage.extend("+10G")
    assert (report.outcome, report.size) == (Outcome.DONE, GOAL)
    assert set(stage.growths.values()) == {1}


def test_equal_finishes_what_lagged(tmp_path: Path) -> None:
    """Extending to the size that it has, while a host lags, is done and not unchanged."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "resize2fs", status=1, err="resize2fs: no", times=1)
    stage.extend()
    report = stage.extend()
    assert (report.outcome, report.before, report.size) == (Outcome.DONE, GOAL, GOAL)
    assert followed(stage, GOAL)
    assert stage.extend().outcome == Outcome.UNCHANGED


def test_equal_finishes_a_lag_that_the_state_knows_nothing_of(tmp_path: Path) -> None:
    """A filesystem smaller than its device beforehand is filled, and the plan shows it."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.contents["silo/vg0/vol1"].blocks -= 262144
    dry = stage.extend("10G", dry_run=True)
    assert (dry.outcome, dry.layers[-1].before, dry.layers[-1].after) == (
        Outcome.PLANNED, 9 * GIB, 10 * GIB,
    )  # fmt: skip
    report = stage.extend("10G")
    assert (report.outcome, report.layers[-1].outcome) == (Outcome.DONE, LayerOutcome.GROWN)
    assert untrue(stage, report) == []


def test_less_than_what_failed_is_what_is_given(tmp_path: Path) -> None:
    """The backend could not give 100 GiB; asked for 15 it gives 15 and not what failed before."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "lvextend", status=5, err="  device-mapper: no", times=1)
    assert stage.extend("100G").exit_status == 5
    dry = stage.extend("15G", dry_run=True)
    assert (dry.goal, dry.layers[0].after) == (15 * GIB, 15 * GIB)
    report = stage.extend("15G")
    assert (report.outcome, report.goal, report.size) == (Outcome.DONE, 15 * GIB, 15 * GIB)
    assert followed(stage, 15 * GIB)


@pytest.mark.parametrize(
    ("size", "change", "goal"),
    [
        ("5000M", lambda _: None, 5000 * MIB),  # smaller, in whole extents as it is
        ("5001M", lambda _: None, 5004 * MIB),
        ("5001M", lambda stage: stage.governed(rules={EXTEND: "deny"}), 5001 * MIB),
        ("10241M", lambda stage: stage.governed(Limits(max_size=GIB)), 10241 * MIB),
        ("10241M", lambda stage: stage.governed(Limits(min_pool_free=100.0)), 10244 * MIB),
        ("10241M", lambda stage: stage.granted(), 10241 * MIB),
        ("10241M", lambda stage: stage.store.set_admin_status(VOLUME, "error"), 10241 * MIB),
        ("+5G", lambda stage: stage.store.set_admin_status(VOLUME, "error"), 15 * GIB),
        ("10241M", lambda stage: stage.world.down("web1"), 10244 * MIB),
        ("10241M", lambda stage: stage.world.down("silo"), 10241 * MIB),
        ("64T", lambda _: None, 64 << 40),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_the_goal_of_a_refusal_is_the_size_that_was_asked_for(
    size: str, change: Callable[[Stage], None], goal: int, dry_run: bool, tmp_path: Path
) -> None:
    """Rounded as far as the backend was looked at; and `size` stays what the state has."""
    stage = begin(iscsi_ext4(), tmp_path)
    change(stage)
    report = stage.extend(size, dry_run=dry_run)
    assert report.exit_status in {3, 4}
    assert (report.before, report.goal, report.size) == (10 * GIB, goal, 10 * GIB)


def test_growth_that_could_not_be_counted_has_no_goal(tmp_path: Path) -> None:
    """Of a volume that is not there, and while something lags."""
    stage = begin(iscsi_ext4(), tmp_path)
    assert stage.extend("+5G", name="other").goal is None
    assert stage.extend("5G", name="other").goal == 5 * GIB
    stage.world.lie("web1", "resize2fs", status=1, err="resize2fs: no", times=1)
    assert stage.extend().goal == GOAL
    report = stage.extend("+5G")
    assert (report.goal, report.size) == (None, GOAL)


def test_less_than_what_was_done_unseen_is_adopted(tmp_path: Path) -> None:
    """The backend grew to 20 GiB and its answer was lost; asked for 15, the 20 are adopted."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.cut("silo", when="after", only="deed")
    assert stage.extend().exit_status == 5
    report = stage.extend("15G")
    assert (report.outcome, report.goal, report.size) == (Outcome.DONE, 15 * GIB, GOAL)
    assert followed(stage, GOAL)


def in_the_way(state: State) -> None:
    changes.offline(state, "web1", "sdb")


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("size", ["10500M", "20G", "64G"])
def test_a_dry_run_foretells_what_the_run_does(name: str, size: str, tmp_path: Path) -> None:
    """Each line's size before and after is foretold; no deed, nothing written to the state."""
    stage = begin(SITES[name](None), tmp_path)
    before, known = sizes(stage.world.state), stage.volume()
    dry = stage.extend(size, dry_run=True)
    assert (dry.outcome, dry.exit_status, dry.operation) == (Outcome.PLANNED, 0, None)
    assert stage.world.deeds() == []
    assert grown(before, sizes(stage.world.state)) == {}
    assert (stage.volume(), stage.store.operations()) == (known, [])
    report = stage.extend(size)
    assert [(one.key, one.before, one.after) for one in report.layers] == [
        (one.key, one.before, one.after) for one in dry.layers
    ]
    lines = [one for one in dry.layers if one.kind != "raw"]
    assert {one.outcome for one in lines} == {LayerOutcome.PLANNED}
    assert (report.goal, report.size) == (dry.goal, dry.goal)
    assert [one.size for one in report.attachments] == [one.size for one in dry.attachments]
    assert all(one.after == measured(stage.world.state, one) for one in lines)


@pytest.mark.parametrize("change", [in_the_way, lambda state: state.down.update(web1="no route")])
def test_a_dry_run_is_refused_as_the_run_would_be(
    change: Callable[[State], None], tmp_path: Path
) -> None:
    """The same reasons, the same exit status, and as little is touched."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        change(state)
    dry, report = stage.extend(dry_run=True), stage.extend()
    assert dry.as_dict() == report.as_dict()
    assert untouched(stage)


def test_a_local_volume_grows_with_its_filesystem(tmp_path: Path) -> None:
    """Backend and host are one machine: one volume, one filesystem, nothing is asked twice."""
    stage = begin(local_lvm(), tmp_path)
    report = stage.extend("+1G")
    assert [line.kind for line in report.layers] == ["lv", "ext4"]
    assert untrue(stage, report) == []
