"""When one host has grown the content, the kernels of the others read it again."""

from pathlib import Path

import pytest

from extendctl.model import LayerOutcome, Outcome, VolumeReport
from tests.extending import GOAL, Stage, begin, codes, sizes, untouched, untrue
from tests.world import changes
from tests.world.failover import failover

pytestmark = pytest.mark.long

TOWERS = [
    ("gpt", "ext4"),
    ("dos", "xfs"),
    ("multipath", "gpt", "ext4"),
    ("gpt", "luks", "ext4"),
    ("multipath", "gpt", "luks", "lvm", "ext4"),
    ("luks1", "xfs"),
    ("multipath", "dos", "lvm", "ext4"),
]
each_tower = pytest.mark.parametrize("kinds", TOWERS, ids="-".join)


def of(report: VolumeReport, host: str) -> dict[str, str]:
    """A host's layers and their outcomes."""
    return {one.kind: str(one.outcome) for one in report.layers if one.host == host}


def written(stage: Stage) -> set[str]:
    """The machines that have written to a partition table."""
    return {
        one.machine for one in stage.world.log if one.argv[0] == "sfdisk" and one.kind == "deed"
    }


def shared_devices(stage: Stage) -> dict[str, tuple[int, int]]:
    """Sizes of what both kernels show, on web1 and on web2."""
    found = sizes(stage.world.state)
    names = [name for host, name in found if host == "web2" and not name.startswith("vd")]
    return {name: (found["web1", name], found["web2", name]) for name in names}


@each_tower
def test_both_kernels_see_the_new_size_and_one_host_has_written(
    kinds: tuple[str, ...], tmp_path: Path
) -> None:
    stage = begin(failover(*kinds), tmp_path)
    report = stage.extend()
    assert (report.outcome, report.error, report.size) == (Outcome.DONE, None, GOAL)
    assert untrue(stage, report) == []
    for name, (ours, theirs) in shared_devices(stage).items():
        assert ours == theirs > (9 << 30), name
    assert written(stage) <= {"web1"}
    assert set(stage.growths.values()) == {1}
    assert set(of(report, "web2").values()) <= {"grown", "skipped"}
    assert stage.check().error is None
    assert stage.extend().outcome == Outcome.UNCHANGED


@each_tower
def test_a_dry_run_foretells_what_the_others_will_read(
    kinds: tuple[str, ...], tmp_path: Path
) -> None:
    stage = begin(failover(*kinds), tmp_path)
    dry = stage.extend(dry_run=True)
    assert untouched(stage)
    run = stage.extend()
    foretold = [(one.host, one.kind, one.name, one.before, one.after) for one in dry.layers]
    assert foretold == [(one.host, one.kind, one.name, one.before, one.after) for one in run.layers]


@each_tower
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_line_to_who_reads_is_cut_at_each_deed(
    kinds: tuple[str, ...], when: str, tmp_path: Path
) -> None:
    """The volume and web1 are as they should be, web2 lags; one resume heals it."""
    for call in range(1, 12):
        place = tmp_path / str(call)
        place.mkdir()
        stage = begin(failover(*kinds), place)
        stage.world.cut("web2", call, when, only="deed")
        report = stage.extend()
        if report.error is None:
            break
        assert (report.exit_status, report.status, report.size) == (5, "in-use", GOAL)
        assert untrue(stage, report) == []
        assert {one.host for one in stage.volume().lagging} == {"web2"}
        healed = stage.resume()
        assert (healed.outcome, healed.error) == (Outcome.DONE, None)
        assert set(stage.growths.values()) == {1}
        assert stage.check().error is None
        stage.store.close()
    assert call > 1


def test_a_kernel_that_has_not_read_again_is_found(tmp_path: Path) -> None:
    """As every version of this program, and every hand, has left it until now."""
    stage = begin(failover("gpt", "ext4"), tmp_path)
    before = sizes(stage.world.state)["web2", "sdb1"]
    assert stage.extend().error is None
    with stage.change() as state:
        state.machines["web2"].devices["sdb1"].size = before
    found = stage.check()
    assert found.exit_status == 5
    assert "partition /dev/sdb1 on web2 is" in str(found.error)
    assert stage.extend().outcome == Outcome.DONE
    assert stage.check().error is None


def test_what_was_read_before_is_dropped_first(tmp_path: Path) -> None:
    """A mapping keeps the disk open on web2, and its page cache has the table as it was."""
    stage = begin(failover("gpt", "luks", "ext4"), tmp_path)
    assert stage.extend().error is None
    tools = [argv[0] for argv in stage.world.deeds("web2")]
    assert tools == ["tee", "blockdev", "partx", "cryptsetup"]


def test_a_host_that_cannot_write_the_table_has_nothing_to_tell(tmp_path: Path) -> None:
    """The other is named as the one that waits, and resume finishes both."""
    stage = begin(failover("gpt", "ext4"), tmp_path)
    stage.world.lie("web1", "sfdisk", status=1, err="sfdisk: cannot open", only="deed")
    report = stage.extend()
    assert report.exit_status == 5
    assert of(report, "web2") == {"path": "grown", "partition": "unknown", "ext4": "skipped"}
    assert "waits for web1, which has not finished" in str(report.error)
    assert [argv[0] for argv in stage.world.deeds("web2")] == ["tee"]
    assert {one.host for one in stage.volume().lagging} == {"web1", "web2"}
    stage.world.heal()
    assert stage.resume().outcome == Outcome.DONE
    assert stage.check().error is None


@pytest.mark.parametrize("kinds", [("gpt", "ext4"), ("multipath", "gpt", "luks", "lvm", "ext4")])
def test_what_fails_above_does_not_keep_the_others_from_reading(
    kinds: tuple[str, ...], tmp_path: Path
) -> None:
    """The table is written: web2 must not keep a small partition under what is on it now."""
    stage = begin(failover(*kinds), tmp_path)
    stage.world.lie("web1", "resize2fs", status=1, err="resize2fs: no", only="deed")
    report = stage.extend()
    assert report.exit_status == 5
    assert of(report, "web2")["partition"] == "grown"
    assert {one.host for one in stage.volume().lagging} == {"web1"}
    for name, (ours, theirs) in shared_devices(stage).items():
        assert ours == theirs, name
    stage.world.heal()
    assert stage.resume().outcome == Outcome.DONE
    assert stage.check().error is None


def test_who_has_nothing_to_read_does_not_lag_with_the_other(tmp_path: Path) -> None:
    """A filesystem straight on the disk: web2 has its device, whatever becomes of web1."""
    stage = begin(failover("ext4"), tmp_path)
    stage.world.lie("web1", "resize2fs", status=1, err="resize2fs: no", only="deed")
    assert stage.extend().exit_status == 5
    assert {one.host for one in stage.volume().lagging} == {"web1"}


def test_a_tool_that_reading_needs_is_missed_before(tmp_path: Path) -> None:
    stage = begin(failover("gpt", "ext4"), tmp_path)
    with stage.change() as state:
        changes.without(state, "web2", "partx")
    report = stage.extend()
    assert report.exit_status == 3
    assert "partx is missing on web2" in str(report.error)
    assert untouched(stage)


def test_nobody_writes_for_a_host_that_is_silent_and_may_have_it_in_use(tmp_path: Path) -> None:
    """--allow-lagging: web1 may be alive with the filesystem mounted; web2 grows its path only."""
    stage = begin(failover("multipath", "gpt", "lvm", "ext4"), tmp_path)
    stage.world.down("web1")
    report = stage.extend(allow_lagging=True)
    assert (report.exit_status, report.size) == (5, GOAL)
    layers = of(report, "web2")
    assert (layers.pop("path"), layers.pop("multipath")) == ("grown", "grown")
    assert set(layers.values()) == {"skipped"}
    assert any("web1 did not answer, and may have it in use" in one for one in report.notices)
    assert written(stage) == set()
    stage.world.heal()
    assert stage.resume().outcome == Outcome.DONE
    assert stage.check().error is None


def test_a_logical_volume_of_the_others_is_to_be_refreshed(tmp_path: Path) -> None:
    """It is not run: nobody but the operator knows which host may touch the group."""
    stage = begin(failover("gpt", "lvm", "ext4"), tmp_path)
    with stage.change() as state:
        ours, theirs = state.machines["web1"], state.machines["web2"]
        theirs.groups["1-vg"] = ours.groups["1-vg"].model_copy(deep=True)
        kernel = ours.groups["1-vg"].volumes["data"].device or ""
        theirs.devices[kernel] = ours.devices[kernel].model_copy(deep=True)
    report = stage.extend()
    assert report.error is None
    assert any("lvchange --refresh 1-vg/data" in one for one in report.notices), report.notices


def test_who_has_it_mounted_goes_on_without_the_silent_one(tmp_path: Path) -> None:
    stage = begin(failover("gpt", "ext4"), tmp_path)
    stage.world.down("web2")
    report = stage.extend(allow_lagging=True)
    assert (report.exit_status, of(report, "web1")["ext4"]) == (5, "grown")
    assert "unreachable" in codes(report)
    stage.world.heal()
    again = stage.resume()
    assert (again.outcome, of(again, "web2")["partition"]) == (Outcome.DONE, LayerOutcome.GROWN)
