"""`volume check`: the truth of every layer on every host, and nothing is changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extendctl.model import LayerOutcome, Outcome
from tests.extending import SITES, Rehearsal, Stage, begin, code, codes, outgrow, untrue
from tests.mortal import Fate, killed, start, stopped
from tests.world import changes
from tests.world.site import iscsi_ext4, shared
from tests.world.state import GIB


def small_filesystem(stage: Stage) -> None:
    with stage.change() as state:
        state.contents["silo/vg0/vol1"].blocks -= 262144


def larger_backend(stage: Stage) -> None:
    outgrow(stage, 15 * GIB)


def another_volume(stage: Stage) -> None:
    with stage.change() as state:
        changes.another_disk(state, "web1", "sdb")


@pytest.mark.parametrize("name", SITES)
def test_where_all_is_well_nothing_is_found(name: str, tmp_path: Path) -> None:
    """Unchanged, exit 0, every line measured, no deed."""
    stage = begin(SITES[name](None), tmp_path)
    report = stage.check()
    assert (report.outcome, report.exit_status) == (Outcome.UNCHANGED, 0)
    outcomes = {line.outcome for line in report.layers if line.kind != "raw"}
    assert outcomes == {LayerOutcome.FULL}
    assert untrue(stage, report) == []
    assert {one.size for one in report.attachments} == {stage.volume().size}
    assert stage.world.deeds() == []


@pytest.mark.parametrize("change", [small_filesystem, larger_backend, another_volume])
def test_what_lags_or_drifted_is_found(change: Callable[[Stage], None], tmp_path: Path) -> None:
    """Exit 5 with what it is, by name and in bytes; nothing is changed by looking."""
    stage = begin(iscsi_ext4(), tmp_path)
    change(stage)
    known, world = stage.volume(), stage.world.machine("web1")
    report = stage.check()
    assert (report.outcome, report.exit_status, code(report)) == (
        Outcome.INCOMPLETE, 5, "not-verified",
    )  # fmt: skip
    assert untrue(stage, report) == []
    assert (stage.world.deeds(), stage.volume(), stage.world.machine("web1")) == ([], known, world)


def test_the_hint_is_the_command_that_mends_it(tmp_path: Path) -> None:
    """With nothing unfinished it is an extension to the size that the volume has."""
    stage = begin(iscsi_ext4(), tmp_path)
    small_filesystem(stage)
    found = stage.check().error
    assert found is not None
    command, _, size = found.fault.hint.rpartition(" ")
    assert command == "extendctl volume extend vol1 --size"
    assert stage.extend(size).outcome is Outcome.DONE
    assert stage.check().exit_status == 0


def test_what_is_unfinished_is_to_be_resumed(tmp_path: Path) -> None:
    stage = Rehearsal(iscsi_ext4, tmp_path, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    found = stage.check()
    assert found.error is not None
    assert "extendctl volume resume vol1" in {fault.hint for fault in found.error.faults}
    assert stage.resume().exit_status == 0
    assert stage.check().exit_status == 0


def test_a_program_that_died_before_its_first_deed_is_found(tmp_path: Path) -> None:
    """All layers are as they were, and the volume is `extending` until somebody resumes it."""
    stage = Rehearsal(iscsi_ext4, tmp_path, shared=True).again()
    start(stage, Fate(1, killed, ("deed before",))).ended()
    found = stage.check()
    assert (found.status, found.exit_status) == ("extending", 5)
    assert "operation 1 was left open by its program" in str(found.error)
    assert stage.resume().exit_status == 0
    assert stage.check().exit_status == 0


def test_an_extension_that_failed_is_found(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "lvextend", status=5, err="  Insufficient free space", only="deed")
    assert stage.extend().exit_status == 5
    found = stage.check()
    assert (found.status, found.exit_status) == ("error_extending", 5)
    assert "operation 1 has failed" in str(found.error)


def test_a_volume_that_is_being_worked_on_is_not_now(tmp_path: Path) -> None:
    """Half of it has grown; that is no drift."""
    stage = Rehearsal(iscsi_ext4, tmp_path, shared=True).again()
    program = start(stage, Fate(1, stopped, ("deed after",)))
    assert program.frozen()
    found = stage.check()
    assert (found.outcome, found.exit_status, code(found)) == (Outcome.NOT_NOW, 4, "busy")
    program.thaw()
    assert program.ended() == 0
    assert stage.check().exit_status == 0


def test_a_host_that_is_away_is_not_now(tmp_path: Path) -> None:
    """Nothing found and not all asked: exit 4."""
    stage = begin(shared(), tmp_path)
    stage.world.down("web2")
    report = stage.check()
    assert (report.exit_status, codes(report)) == (4, ["unreachable"])
    assert [str(one.outcome) for one in report.attachments] == ["unchanged", "not-now"]


def test_what_lags_counts_for_more_than_who_is_away(tmp_path: Path) -> None:
    """One host lags and the other one is away: exit 5, and both are told."""
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].devices["sdb"].size = 9 * GIB
    stage.world.down("web2")
    report = stage.check()
    assert (report.exit_status, set(codes(report))) == (5, {"not-verified", "unreachable"})


def test_a_backend_that_is_away_is_not_now(tmp_path: Path) -> None:
    """Then nothing can be said but what the state says."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.down("silo")
    report = stage.check()
    assert (report.exit_status, report.status, report.size) == (4, "in-use", 10 * GIB)


def test_a_volume_that_was_made_again_is_a_finding(tmp_path: Path) -> None:
    """Another logical volume bears its name: drift, exit 5, and nothing is changed."""
    stage = begin(iscsi_ext4(None), tmp_path)
    with stage.change() as state:
        changes.another_volume(state, "silo", "vg0/vol1")
    report = stage.check()
    assert (report.outcome, report.exit_status) == (Outcome.INCOMPLETE, 5)
    assert "not the logical volume that was taken in" in str(report.error)
    assert stage.world.deeds() == []
