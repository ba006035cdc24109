"""What somebody did behind the program's back: `check` names it, `extend` refuses or adopts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl.model import Outcome
from tests.extending import begin, codes, outgrow, untouched
from tests.world import build, changes
from tests.world.site import POINT, Site, iscsi_ext4, iscsi_fileio, iscsi_tgt, local_lvm, nvmet
from tests.world.state import GIB, State

Change = Callable[[State], None]
OTHER = "/srv/other"


def told(report: object) -> str:
    """All reasons, in one text."""
    error = getattr(report, "error", None)
    return "" if error is None else "\n".join(fault.message for fault in error.faults)


def other_lun(state: State) -> None:
    """The LUN was made anew on the target; the host still has its disk from the old one."""
    changes.another_backstore(state, "silo", "iblock_0/vol1")


def other_disk(state: State) -> None:
    """The host's `sdb` is another LUN now."""
    changes.another_disk(state, "web1", "sdb")


def logged_out(state: State) -> None:
    """The host has ended its session, and the disk is gone."""
    one = state.machines["web1"]
    one.mounts.clear()
    del one.devices["sdb"]


def no_target(state: State) -> None:
    """Somebody deleted the target and its backstore."""
    silo = state.machines["silo"]
    silo.targets.clear()
    silo.stores.clear()


def other_volume(state: State) -> None:
    """Another logical volume bears the name."""
    changes.another_volume(state, "silo", "vg0/vol1")


def renamed_volume(state: State) -> None:
    """Lvrename."""
    volumes = state.machines["silo"].groups["vg0"].volumes
    volumes["vol1_old"] = volumes.pop("vol1")


def no_volume(state: State) -> None:
    """Lvremove."""
    del state.machines["silo"].groups["vg0"].volumes["vol1"]


REFUSED: dict[str, tuple[Change, str]] = {
    "the LUN was made anew": (other_lun, "does not see the volume"),
    "the device's name has passed on": (other_disk, "does not see the volume"),
    "the host has logged out": (logged_out, "does not see the volume"),
    "the target is gone": (no_target, "no target serves it"),
    "another volume of that name": (other_volume, "not the logical volume that was taken in"),
    "the volume was renamed": (renamed_volume, "there is no logical volume vg0/vol1"),
    "the volume was removed": (no_volume, "there is no logical volume vg0/vol1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_the_volume_any_more_is_named_and_left_alone(name: str, tmp_path: Path) -> None:
    """`check` exits 5 with it, `extend` 3, `resume` finds nothing to do; no machine is touched."""
    change, words = REFUSED[name]
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        change(state)
    checked = stage.check()
    assert (checked.outcome, checked.exit_status) == (Outcome.INCOMPLETE, 5)
    assert words in told(checked)
    for report in (stage.extend(), stage.extend("10G")):
        assert (report.outcome, report.exit_status) == (Outcome.REFUSED, 3)
        assert words in told(report)
    assert stage.resume().outcome is Outcome.UNCHANGED
    assert untouched(stage)


@pytest.mark.parametrize("make", [iscsi_tgt, nvmet, iscsi_fileio])
def test_a_target_of_another_kind_that_is_gone_is_named(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    stage = begin(make(), tmp_path)
    with stage.change() as state:
        silo = state.machines["silo"]
        for gone in (silo.targets, silo.stores, silo.tgt, silo.namespaces):
            gone.clear()
    assert stage.check().exit_status == 5
    report = stage.extend()
    assert (report.exit_status, stage.world.deeds()) == (3, [])
    assert "no target serves it" in told(report)


def smaller(state: State, size: int = 5 * GIB) -> None:
    """Lvreduce, under all that stands on it."""
    silo = state.machines["silo"]
    volume = silo.groups["vg0"].volumes["vol1"]
    volume.size = silo.devices[volume.device or ""].size = size


@pytest.mark.parametrize("size", ["20G", "10G", "+5G"])
def test_a_backend_that_has_become_smaller_is_not_grown_over(size: str, tmp_path: Path) -> None:
    """What stood on its end is gone; growing it again would hide that until somebody reads it."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        smaller(state)
    for report in (stage.extend(size, dry_run=True), stage.extend(size)):
        assert (report.outcome, report.exit_status) == (Outcome.REFUSED, 3)
        assert f"was 10 GiB ({10 * GIB} bytes): somebody has made it smaller" in told(report)
        assert report.error is not None
        assert "import it again" in report.error.fault.hint
    assert untouched(stage)
    checked = stage.check()
    assert checked.exit_status == 5
    assert "somebody has made it smaller" in told(checked)
    assert "a larger size is adopted" not in str(checked.error and checked.error.as_dict())


@pytest.mark.parametrize("make", [iscsi_ext4, local_lvm])
def test_a_filesystem_larger_than_its_device_is_not_grown(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    """The device was shrunk and grown again in part, and the host has seen both."""
    stage = begin(make(), tmp_path)
    host = stage.site.users[0]
    with stage.change() as state:
        content = next(one for one in state.contents.values() if one.type == "ext4")
        content.blocks += 1024
    for report in (stage.extend(), stage.check()):
        assert f"ext4 {POINT} on {host} is" in told(report)
        assert "and stands on" in told(report)
    assert untouched(stage)


def test_what_was_grown_by_hand_is_named_and_adopted(tmp_path: Path) -> None:
    """The backend first: `check` has both sizes, `extend` takes the larger one, hosts follow."""
    stage = begin(iscsi_ext4(), tmp_path)
    outgrow(stage, 15 * GIB)
    checked = stage.check()
    assert checked.exit_status == 5
    assert f"{15 * GIB} bytes" in told(checked)
    assert f"{10 * GIB} bytes" in told(checked)
    assert checked.error is not None
    assert all("resume" not in fault.hint for fault in checked.error.faults)  # it is `unchanged`
    assert stage.world.deeds() == []
    report = stage.extend("12G")
    assert (report.outcome, report.size) == (Outcome.DONE, 15 * GIB)
    assert stage.check().exit_status == 0
    assert not [argv for argv in stage.world.deeds("silo") if argv[0] == "lvextend"]


def test_what_is_not_mounted_any_more_is_told_and_is_no_fault(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
    checked = stage.check()
    assert checked.exit_status == 0
    assert (
        f"{checked.volume} is not mounted on web1, the state has it at {POINT}" in checked.notices
    )


def test_what_is_mounted_elsewhere_is_named_and_adopted(tmp_path: Path) -> None:
    """The state knew another mount point: `check` has both, `extend` goes by what is there."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts[0].point = OTHER
    checked = stage.check()
    assert (checked.exit_status, codes(checked)) == (5, ["not-verified"])
    assert OTHER in told(checked)
    assert POINT in told(checked)
    assert stage.world.deeds() == []
    assert stage.extend("10G").outcome is Outcome.UNCHANGED
    assert stage.volume().attachments[0].mountpoint == OTHER
    assert stage.check().exit_status == 0
    assert stage.extend().outcome is Outcome.DONE


def test_where_something_else_is_mounted_it_is_left_alone(tmp_path: Path) -> None:
    """The mount point is another's now: the volume's own filesystem is not mounted, and skipped."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        changes.another_mount(state, "web1", POINT, "sdz")
        before = state.contents["web1/sdz"].blocks
    report = stage.extend()
    assert report.outcome is Outcome.DONE
    assert any("not mounted" in notice for notice in report.notices)
    assert stage.world.state.contents["web1/sdz"].blocks == before
    assert not [argv for argv in stage.world.deeds() if argv[0] in {"resize2fs", "xfs_growfs"}]


def test_a_host_that_the_configuration_calls_otherwise_is_named(tmp_path: Path) -> None:
    """The attachment names a host that is no longer there: a fault of the configuration."""
    stage = begin(iscsi_ext4(), tmp_path)
    hosts = dict(stage.config.hosts)
    hosts["www1"] = replace(hosts.pop("web1"), name="www1")
    stage.configured(hosts=hosts)
    for report in (stage.check(), stage.extend()):
        assert report.exit_status in {2, 5}
        assert "web1" in told(report)
    assert untouched(stage)


@pytest.mark.parametrize(("name", "words"), [("web1", "does not see"), ("silo", "volume group")])
def test_a_name_that_means_another_machine_now_is_found_out(
    name: str, words: str, tmp_path: Path
) -> None:
    """`web1` or `silo` is another machine under the same name: it does not have the volume."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines.pop(name)
        build.machine(state, name)
    assert stage.check().exit_status == 5
    report = stage.extend()
    assert (report.exit_status, stage.world.deeds()) == (3, [])
    assert words in told(report)
