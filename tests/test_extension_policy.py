"""Policy and capability in an extension: what is refused, in which order, and with all reasons."""

from pathlib import Path
from typing import Any

import pytest

from extendctl.config import Limits
from extendctl.errors import EXIT_STATUS
from extendctl.inventory import Place, detach
from extendctl.model import Outcome
from extendctl.policy import EXTEND, EXTEND_ATTACHED, Asker
from tests.extending import GOAL, VOLUME, begin, code, codes, untouched
from tests.world import changes
from tests.world.site import file_loop_xfs, iscsi_btrfs_thin, iscsi_ext4, shared
from tests.world.state import GIB

ORDER = list(EXIT_STATUS)


@pytest.mark.parametrize("rule", [EXTEND, EXTEND_ATTACHED])
def test_a_rule_that_denies_is_asked_before_any_machine(rule: str, tmp_path: Path) -> None:
    """policy-denied, exit 3, and not one command was sent."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(rules={rule: "deny"})
    report = stage.extend()
    assert (code(report), report.exit_status) == ("policy-denied", 3)
    assert rule in str(report.error)
    assert stage.world.count() == 0
    assert untouched(stage)


def test_online_extension_alone_can_be_switched_off(tmp_path: Path) -> None:
    """volume:extend_attached_volume denied: the detached volume is extended all the same."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(rules={EXTEND_ATTACHED: "deny"})
    assert code(stage.extend()) == "policy-denied"
    detach(stage.means(), VOLUME, Place("web1"))
    assert stage.extend().outcome == Outcome.DONE


def test_who_called_sudo_is_who_is_asked_about(tmp_path: Path) -> None:
    """Root by sudo has the rights of the one who called it, and both are in the record's owner."""
    rules: dict[str, tuple[str, ...]] = {EXTEND: ("user:alice", "group:storage")}
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(rules=rules)
    stage.asker = Asker("root", "bob", frozenset({"staff"}))
    assert code(stage.extend()) == "policy-denied"
    assert "bob" in str(stage.extend().error)
    stage.asker = Asker("root", "bob", frozenset({"storage"}))
    assert stage.extend("15G").outcome == Outcome.DONE
    stage.asker = Asker("root", "alice")
    assert stage.extend("20G").outcome == Outcome.DONE
    assert f"{EXTEND} allows alice" in stage.store.operation(2).decision


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(max_size=15 * GIB), "max_size"),
        (Limits(max_growth=5 * GIB), "max_growth"),
        (Limits(min_pool_free=85.0), "min_pool_free"),
    ],
)
def test_a_limit_is_no_and_nothing_is_changed(limits: Limits, word: str, tmp_path: Path) -> None:
    """limit-exceeded, exit 3, with the limit's name and both numbers."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(limits)
    report = stage.extend()
    assert (code(report), report.exit_status, report.status) == ("limit-exceeded", 3, "in-use")
    assert word in str(report.error)
    assert untouched(stage)
    assert stage.extend("10G").outcome == Outcome.UNCHANGED


def test_a_project_is_not_overdrawn(tmp_path: Path) -> None:
    """max_total counts the project's other volumes at what they were promised."""
    stage = begin(iscsi_ext4(), tmp_path, project="web")
    stage.store.add_volume(
        "other", backend="san", source="other", identity="lv:other", size=35 * GIB, project="web"
    )
    stage.governed(projects={"web": 50 * GIB})
    assert code(stage.extend()) == "limit-exceeded"
    assert stage.extend("15G").outcome == Outcome.DONE


@pytest.mark.parametrize("make", [iscsi_btrfs_thin, file_loop_xfs])
def test_a_thin_pool_has_its_own_limit(make: Any, tmp_path: Path) -> None:
    """max_thin_data: what the pool holds already, data and metadata, and the disk under files."""
    stage = begin(make(None), tmp_path)
    stage.governed(Limits(max_thin_data=5.0))
    report = stage.extend()
    assert (code(report), report.exit_status) == ("limit-exceeded", 3)
    assert "max_thin_data" in str(report.error)
    stage.governed(Limits(max_thin_data=95.0))
    assert stage.extend().outcome == Outcome.DONE


def test_a_full_thin_pool_is_no_space(tmp_path: Path) -> None:
    """A virtual size is no space: a pool that is full refuses before anything grows."""
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    with stage.change() as state:
        state.machines["silo"].groups["vg0"].volumes["tp0"].metadata_percent = 100.0
    report = stage.extend()
    assert (code(report), report.exit_status) == ("no-space", 3)
    assert "metadata 100%" in str(report.error)
    assert untouched(stage)


def test_more_than_the_pool_has_left_is_worth_a_notice(tmp_path: Path) -> None:
    """A thin volume may promise what is not there; it is said aloud."""
    stage = begin(iscsi_btrfs_thin(), tmp_path)
    report = stage.extend("90G")
    assert report.outcome == Outcome.DONE
    assert any("less than the growth" in notice for notice in report.notices)


def test_much_growth_wants_to_be_confirmed(tmp_path: Path) -> None:
    """confirmation-required, exit 3, and `--yes` is the answer."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(Limits(confirm_above=1.5))
    report = stage.extend()
    assert (code(report), report.exit_status) == ("confirmation-required", 3)
    assert report.error is not None
    assert "--yes" in report.error.fault.hint
    assert untouched(stage)
    assert stage.extend(confirmed=True).outcome == Outcome.DONE


def test_all_reasons_are_told_and_the_first_names_the_result(tmp_path: Path) -> None:
    """Policy, capability, limits and confirmation together; the code is policy's."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.granted()
    stage.governed(Limits(max_size=15 * GIB, confirm_above=1.5), rules={EXTEND: "deny"})
    report = stage.extend()
    assert sorted(set(codes(report)), key=ORDER.index) == [
        "policy-denied", "capability-missing", "limit-exceeded", "confirmation-required",
    ]  # fmt: skip
    assert (code(report), report.exit_status) == ("policy-denied", 3)
    assert report.error is not None
    assert len(report.as_dict()["error"]["reasons"]) == len(report.error.faults) == 4


def test_status_comes_before_all_other_reasons(tmp_path: Path) -> None:
    """A volume in maintenance, too small a size, denied: invalid-status names it."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.store.set_admin_status(VOLUME, "maintenance")
    stage.governed(rules={EXTEND: "deny"})
    report = stage.extend("5G")
    assert codes(report)[0] == code(report) == "invalid-status"
    assert {"invalid-status", "size-not-greater", "policy-denied"} == set(codes(report))


def test_reach_comes_before_space_and_space_before_obstacles(tmp_path: Path) -> None:
    """One host away, no space, a snapshot in the way: not now, and all three are told."""
    stage = begin(shared(), tmp_path)
    stage.world.down("web2")
    with stage.change() as state:
        changes.snapshot(state, "silo", "vg0/vol1")
        changes.leave_free(state, "silo", "vg0", GIB)
    report = stage.extend()
    assert (code(report), report.exit_status) == ("unreachable", 4)
    assert {"unreachable", "no-space", "obstacle"} == set(codes(report))
    stage.world.up("web2")
    again = stage.extend()
    assert (code(again), again.exit_status) == ("no-space", 3)
    assert untouched(stage)


def test_capability_says_can_and_policy_cannot_make_it_so(tmp_path: Path) -> None:
    """A rule that allows does not stand in for a capability that is not granted."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.granted()
    stage.governed(rules={EXTEND: "allow", EXTEND_ATTACHED: "allow"})
    assert code(stage.extend(confirmed=True, allow_lagging=True)) == "capability-missing"


def test_what_was_allowed_once_is_finished(tmp_path: Path) -> None:
    """Policy changed between the failure and the resume: resume asks nobody's leave again."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "tee", status=1, err="tee: no", times=1)
    assert stage.extend().exit_status == 5
    stage.granted()
    stage.governed(Limits(max_size=1), rules={EXTEND: "deny"})
    report = stage.resume()
    assert (report.outcome, report.size) == (Outcome.DONE, GOAL)


def test_the_decision_is_in_the_record(tmp_path: Path) -> None:
    """Each reason for it, as it was given."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.governed(Limits(max_size=30 * GIB))
    stage.extend()
    decision = stage.store.operation(1).decision
    assert decision[:2] == (f"{EXTEND} allows alice", f"{EXTEND_ATTACHED} allows alice")
    assert any(line.startswith("max_size:") for line in decision)
