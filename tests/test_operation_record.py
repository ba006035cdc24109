"""What an operation keeps: commands with their results, and the way back in LVM's archive."""

from pathlib import Path

import pytest

from extendctl import views_operation
from extendctl.model import Outcome
from extendctl.page import Table
from extendctl.policy import Asker
from extendctl.records import Record
from extendctl.views_data import Story
from tests.extending import Stage, begin
from tests.mortal import Fate, killed, start
from tests.world.site import file_loop_xfs, iscsi_btrfs_thin, iscsi_ext4, local_lvm
from tests.world.state import GIB
from tests.world.tower import tower

ARCHIVE = "/etc/lvm/archive"


def kept(stage: Stage, number: int = 1) -> dict[str, str | None]:
    """What the records say of LVM's archive, by the layer's name."""
    return {one.name: one.archive for one in stage.store.records(number)}


def record(stage: Stage, kind: str) -> Record:
    (found,) = [one for one in stage.store.records(1) if one.kind == kind]
    return found


@pytest.mark.parametrize("make", [iscsi_ext4, iscsi_btrfs_thin, local_lvm])
def test_the_way_back_is_named(make: object, tmp_path: Path) -> None:
    """The file that LVM has written, and no other: there were copies of earlier changes."""
    stage = begin(make(), tmp_path)  # type: ignore[operator]
    with stage.change() as state:
        group = state.machines["silo"].groups["vg0"]
        group.archives = ["vg0_00000-1.vg", "vg0_00001-2.vg"]
        state.machines["silo"].groups["vg0_1"] = group.model_copy(
            update={"archives": ["vg0_1_00009-1.vg"], "volumes": {}, "uuid": "another"}
        )
    assert stage.extend().outcome == Outcome.DONE
    archives = stage.world.machine("silo").groups["vg0"].archives
    assert len(archives) == 3
    assert record(stage, "lv").archive == f"{ARCHIVE}/{archives[2]}"
    assert {one.kind for one in stage.store.records(1) if one.archive} == {"lv"}


def test_every_group_on_the_way_has_its_own(tmp_path: Path) -> None:
    """The backend's volume group, and the host's: for its physical and its logical volume."""
    stage = begin(tower("lvm", "ext4"), tmp_path)
    assert stage.extend().outcome == Outcome.DONE
    found = {one.kind: one.archive for one in stage.store.records(1) if one.archive is not None}
    assert found.keys() == {"lv", "pv", "guest-lv"}
    assert len(set(found.values())) == 3
    for host in stage.world.state.machines.values():
        for group in host.groups.values():
            for name in group.archives:
                assert f"{ARCHIVE}/{name}" in found.values()


def test_it_is_written_down_before_anything_is_changed(tmp_path: Path) -> None:
    """A program that dies in between leaves the name, but for LVM's number by chance."""
    stage = begin(iscsi_ext4(tmp_path / "world.json"), tmp_path)
    assert start(stage, Fate(1, killed, ("deed before",))).ended() < 0
    assert stage.world.deeds() == []
    assert kept(stage) == {"vg0/vol1": f"{ARCHIVE}/vg0_00000-*.vg"}
    assert stage.resume().outcome == Outcome.DONE
    first, second = [one for one in stage.store.records(1) if one.kind == "lv"]
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.archive == f"{ARCHIVE}/{stage.world.machine('silo').groups['vg0'].archives[0]}"


def test_what_lvm_did_not_keep_is_not_named(tmp_path: Path) -> None:
    """backup/archive = 0 in lvm.conf."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "find", out="", only="question")
    assert stage.extend().outcome == Outcome.DONE
    assert record(stage, "lv").archive is None


@pytest.mark.parametrize("status", [1, 124])
def test_an_archive_that_cannot_be_looked_at_is_no_obstacle(status: int, tmp_path: Path) -> None:
    """It is elsewhere, sudo does not allow the look, or it takes too long."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "find", status=status, err="find: Permission denied", only="question")
    report = stage.extend()
    assert (report.outcome, report.size) == (Outcome.DONE, 20 * GIB)
    assert record(stage, "lv").archive is None


def test_what_is_full_is_not_asked_for_its_archive(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    stage.extend()
    stage.world.forget()
    stage.extend(dry_run=True)
    stage.extend()
    assert not [one for one in stage.world.log if one.argv[:2] == ("find", ARCHIVE)]


def test_a_file_has_no_archive(tmp_path: Path) -> None:
    stage = begin(file_loop_xfs(), tmp_path)
    assert stage.extend().outcome == Outcome.DONE
    assert set(kept(stage).values()) == {None}


def test_every_command_that_changed_something_is_kept_with_what_it_read(tmp_path: Path) -> None:
    """The journal and the machines tell of the same commands, in the same order."""
    stage = begin(tower("gpt", "luks", "lvm", "ext4"), tmp_path)
    assert stage.extend(reason="ticket 4711").outcome == Outcome.DONE
    deeds = stage.store.deeds(1)
    log = [one for one in stage.world.log if one.kind == "deed"]
    assert [(one.host, one.argv, one.status) for one in deeds] == [
        (one.machine, one.argv, one.status) for one in log
    ]
    assert [one.stdin for one in deeds] == [one.stdin for one in log]
    written = next(one for one in deeds if one.argv[0] == "sfdisk")
    assert written.stdin is not None
    assert written.stdin.startswith(", ")
    assert all(one.ended_at is not None and one.started_at <= one.ended_at for one in deeds)
    for line in stage.store.records(1):
        assert line.after is None or line.after >= (line.target or 0) - 8 * (1 << 20)
    operation = stage.store.operation(1)
    assert operation.decision
    assert operation.reason == "ticket 4711"


def test_who_repeats_it_has_a_reason_of_their_own(tmp_path: Path) -> None:
    """The operation stays one; each run keeps why, what policy said, and what else was said."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "lvextend", status=5, err="  no", only="deed", times=1)
    assert stage.extend(reason="ticket 1").exit_status == 5
    stage.asker = Asker("bob", None, frozenset())
    assert stage.extend(reason="ticket 2", allow_lagging=True).outcome == Outcome.DONE
    (operation,) = stage.store.operations()
    first, second = stage.store.runs(operation.id)
    assert (first.reason, second.reason) == ("ticket 1", "ticket 2")
    assert [("alice" in " ".join(one.decision)) for one in (first, second)] == [True, False]
    assert [("bob" in " ".join(one.decision)) for one in (first, second)] == [False, True]
    assert (first.given, second.given) == ((), ("--allow-lagging",))
    stage.world.lie("silo", "lvextend", status=5, err="  no", only="deed", times=1)
    stage.extend("30G")
    stage.resume()
    resumed = stage.store.runs(2)[-1]
    assert (resumed.reason, resumed.decision) == (None, ())  # it was allowed when it was asked for
    story = Story(operation, [first, second], [], [], alive=False)
    told = [cell.text for part in views_operation.operation(story) if isinstance(part, Table)
            for row in part.rows for cell in row]  # fmt: skip
    assert "ticket 1" in told
    assert "--allow-lagging ticket 2" in told
