"""Volume groups on a volume: broken, shared, with snapshots, thin pools and neighbours."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extendctl.errors import Refused
from extendctl.model import VolumeReport
from extendctl.size import GIB, MIB
from tests.extending import Stage, begin, code, codes, untouched
from tests.world import build
from tests.world.site import Site, iscsi_ext4, shared, unexported
from tests.world.state import Device, Group, LogicalVolume, State
from tests.world.tower import LEFT, tower

GROUP, DATA = "0-vg", "0-vg/data"
GAIN = 10 * GIB


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A physical volume on sdb, and an ext4 on the one logical volume of its group."""
    return begin(tower("lvm", "ext4"), tmp_path)


def group(state: State) -> Group:
    return state.machines["web1"].groups[GROUP]


def told(stage: Stage, **options: object) -> str:
    """All reasons of an extension that is refused and has touched nothing."""
    report = stage.extend(**options)  # type: ignore[arg-type]
    assert (code(report), report.exit_status) == ("obstacle", 3)
    assert report.error is not None
    assert untouched(stage)
    return " ".join(fault.message for fault in report.error.faults)


def mapped(state: State, name: str, suffix: str, *slaves: str) -> str:
    """A device of device mapper's as LVM makes it, for a volume of the group."""
    devices = state.machines["web1"].devices
    number = next(n for n in range(60, 99) if f"dm-{n}" not in devices)
    volume, one = name.partition("_")[0] if suffix == "-tpool" else name, group(state)
    uuid = (one.uuid + one.volumes[volume].uuid).replace("-", "")
    layer = suffix if suffix in {"-real", "-cow", "-tpool"} else ""
    devices[f"dm-{number}"] = Device(
        dev=f"253:{number}", size=64 * MIB, dm_name=f"0--vg-{name}{layer}",
        dm_uuid=f"LVM-{uuid}{suffix}", slaves=list(slaves),
    )  # fmt: skip
    return f"dm-{number}"


def stopped(report: VolumeReport, *names: str) -> None:
    """Growth has stopped at the physical volume, for these volumes' sake, and says so."""
    assert (report.error, report.exit_status) == (None, 0)
    on_host = [line for line in report.layers if line.host == "web1"]
    assert [line.kind for line in on_host] == ["path", "pv", "guest-lv"]
    assert on_host[-1].outcome == "skipped"
    words = f"on it are {', '.join(names)}; --grow-lv says which one grows"
    assert words in " ".join(report.notices)


@pytest.mark.parametrize(
    ("attr", "words"),
    [
        ("wz-pn-", "is partial: a physical volume is missing"),
        ("wz--nc", "is shared between hosts"),
        ("wz--ns", "is shared between hosts"),
        ("rz--n-", "is read-only"),
        ("w---n-", "may not be resized"),
        ("wzx-n-", "is exported"),
    ],
)
def test_a_group_that_must_not_be_changed_is_found_before(
    attr: str, words: str, stage: Stage
) -> None:
    with stage.change() as state:
        group(state).attr = attr
    assert f"the volume group {GROUP} on web1 {words}" in told(stage)
    assert words in told(stage, no_filesystem=True)


def test_a_group_is_looked_at_too_when_only_its_volume_grows(stage: Stage) -> None:
    """The physical volume is full already; who takes what was free changes the group as well."""
    stage.extend()
    with stage.change() as state:
        group(state).attr = "wz-pn-"
    stage.world.forget()
    report = stage.extend(fill=True)
    assert "is partial" in str(report.error)
    assert stage.world.deeds() == []


def with_snapshot(state: State) -> None:
    """As the kernel shows it: the origin and what was copied are two layers each."""
    one = group(state)
    data = one.volumes["data"]
    data.origin_of = "snap"
    uuid = "SnapSn-apSn-apSn-apSn-apSn-apSn-apSnap"
    one.volumes["snap"] = LogicalVolume(uuid=uuid, size=64 * MIB, letter="s")
    real, cow = mapped(state, "data", "-real", "sdb"), mapped(state, "snap", "-cow", "sdb")
    one.volumes["snap"].device = mapped(state, "snap", "", real, cow)
    state.machines["web1"].devices[data.device or ""].slaves = [real]


def test_beneath_a_thick_snapshot_growth_stops_at_the_physical_volume(stage: Stage) -> None:
    with stage.change() as state:
        with_snapshot(state)
    stopped(stage.extend(), "0-vg/data", "0-vg/snap")


def test_an_origin_that_is_named_is_refused_with_the_reason(stage: Stage) -> None:
    with stage.change() as state:
        with_snapshot(state)
    assert f"{DATA} on web1 has a thick snapshot, and is active" in told(stage, grow_lv=DATA)
    assert "0-vg/snap on web1 is a snapshot" in told(stage, grow_lv="0-vg/snap")


def with_pool(state: State, *, active: bool = True) -> None:
    """The logical volume gives way to a thin pool with one thin volume, where the ext4 is."""
    one, devices = group(state), state.machines["web1"].devices
    data = one.volumes.pop("data")
    size = data.size - 8 * MIB
    letters = "abcdef"
    for number, (name, segtype, hidden) in enumerate(
        (("tp", "thin-pool", ""), ("tp_tdata", "linear", "T"), ("tp_tmeta", "linear", "e"))
    ):
        uuid = "-".join(letters[number] * count for count in (6, 4, 4, 4, 4, 4, 6))
        one.volumes[name] = LogicalVolume(uuid=uuid, size=size, segtype=segtype, hidden=hidden)
    one.volumes["tp"].elsewhere = True  # lvs gives the pool's own line no device of the group's
    one.volumes["thin"] = data.model_copy(update={"segtype": "thin", "pool": "tp"})
    if not active:
        devices.pop(data.device or "")
        state.machines["web1"].mounts.clear()
        return
    parts = [mapped(state, part, part[2:].replace("_", "-"), "sdb") for part in one.volumes
             if "_" in part]  # fmt: skip
    pool = mapped(state, "tp", "-tpool", *parts)
    devices[data.device or ""].slaves = [pool]
    devices[data.device or ""].dm_name = "0--vg-thin"


def test_beneath_a_thin_pool_growth_stops_at_the_physical_volume(stage: Stage) -> None:
    with stage.change() as state:
        with_pool(state)
    stopped(stage.extend(), "0-vg/tp")
    assert stage.world.machine("web1").groups[GROUP].free >= GAIN


@pytest.mark.parametrize(("name", "segtype"), [("0-vg/tp", "thin-pool"), ("0-vg/thin", "thin")])
def test_a_thin_pool_or_volume_that_is_named_is_refused(
    name: str, segtype: str, stage: Stage
) -> None:
    with stage.change() as state:
        with_pool(state)
    assert f"{name} on web1 is of the type {segtype}" in told(stage, grow_lv=name)


def test_a_pool_that_is_not_active_is_not_grown_by_its_parts(stage: Stage) -> None:
    """Only the pool's data lie on this physical volume, and a part has no life of its own."""
    with stage.change() as state:
        with_pool(state, active=False)
        for name in ("tp_tmeta", "thin"):
            group(state).volumes[name].elsewhere = True
    stopped(stage.extend(), "0-vg/tp")
    assert not [argv for argv in stage.world.deeds("web1") if argv[0] == "lvextend"]


def two(stage: Stage) -> None:
    with stage.change() as state:
        group(state).volumes["data"].size -= GIB
        state.machines["web1"].devices[group(state).volumes["data"].device or ""].size -= GIB
        state.contents[f"web1/{DATA}"].blocks -= GIB // 4096
        build.volume(state, "web1", f"{GROUP}/more", GIB)


def test_of_several_volumes_the_named_one_grows_by_what_was_gained(stage: Stage) -> None:
    two(stage)
    stopped(stage.extend(dry_run=True), "0-vg/data", "0-vg/more")
    report = stage.extend(grow_lv=DATA)
    assert (report.error, report.layers[-1].kind) == (None, "ext4")
    volumes = stage.world.machine("web1").groups[GROUP].volumes
    assert volumes["more"].size == GIB
    assert stage.world.machine("web1").groups[GROUP].free == LEFT
    assert stage.check().error is None or "guest-lv" not in str(stage.check().error)


def test_a_volume_that_is_not_there_cannot_be_named(stage: Stage) -> None:
    report = stage.extend(grow_lv="0-vg/nosuch")
    assert (code(report), report.exit_status) == ("not-found", 3)
    assert "there is no logical volume 0-vg/nosuch in 0-vg on web1" in str(report.error)
    assert untouched(stage)


def test_a_name_that_is_no_name_is_refused(stage: Stage) -> None:
    for wrong in ("other/data", "data", "-x/y"):
        report = stage.extend(grow_lv=wrong)
        assert report.exit_status in {2, 3}, wrong
        assert isinstance(report.error, Refused), wrong
    assert stage.world.deeds() == []


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("make", [iscsi_ext4, shared, unexported])
def test_where_there_is_no_group_none_of_it_can_be_named(
    make: Callable[[], Site], dry_run: bool, tmp_path: Path
) -> None:
    one = begin(make(), tmp_path)
    report = one.extend(grow_lv=DATA, dry_run=dry_run)
    assert (codes(report), report.exit_status) == (["not-found"], 3)
    assert f"no attached host has a volume group on vol1, and so not {DATA}" in str(report.error)
    assert (one.world.deeds(), one.store.operations()) == ([], [])
    assert one.extend().error is None


def test_a_host_that_is_away_may_have_the_group(tmp_path: Path) -> None:
    one = begin(shared(), tmp_path)
    one.world.down("web2")
    assert codes(one.extend(grow_lv=DATA)) == ["unreachable"]


def test_a_suspended_volume_is_found_before(stage: Stage) -> None:
    with stage.change() as state:
        group(state).volumes["data"].suspended = True
    assert f"{DATA} on web1 is suspended" in told(stage)


@pytest.mark.parametrize("chosen", ["0-vg/data", "2-vg/data"])
def test_the_volume_that_grows_may_be_named_where_lvm_stands_on_lvm(
    chosen: str, tmp_path: Path
) -> None:
    stage = begin(tower("lvm", "luks1", "lvm", "xfs"), tmp_path)
    assert stage.extend(grow_lv="1-vg/data").error is not None
    assert untouched(stage)
    report = stage.extend(grow_lv=chosen)
    assert report.error is None
    assert [one.kind for one in report.layers if one.outcome == "grown"][-1] == "xfs"


def test_one_that_pvmove_has_locked_is_found_before(stage: Stage) -> None:
    with stage.change() as state:
        group(state).volumes["data"].locked = True
    assert f"{DATA} on web1 is locked: pvmove is at work on it" in told(stage)


def test_what_a_striped_one_cannot_take_is_told(stage: Stage) -> None:
    """Each stripe wants a physical volume of its own, and one alone has gained."""
    with stage.change() as state:
        one = group(state).volumes["data"]
        one.segtype, one.stripes = "striped", 2
    report = stage.extend()
    assert report.error is None
    words = f"web1: {DATA} stays as it is: the 10 GiB that /dev/sdb gains are free in its group"
    assert any(words in notice for notice in report.notices)


def test_a_mapping_that_lags_behind_lvm_s_metadata_takes_them_over(stage: Stage) -> None:
    """Another host has extended it, or the reload failed: nothing is left to extend but the map."""
    with stage.change() as state:
        one = group(state).volumes["data"]
        group(state).size += GAIN
        one.size += GAIN
        disk = state.machines["web1"].devices["sdb"]
        disk.size += GAIN
        state.machines["silo"].groups["vg0"].volumes["vol1"].size += GAIN
        state.machines["silo"].devices["dm-0"].size += GAIN
    checked = stage.check()
    assert checked.error is not None
    assert checked.exit_status == 5
    assert f"guest-lv {DATA} on web1" in str(checked.error.as_dict())
    assert stage.extend("20G").error is None
    assert ("lvchange", "--refresh", DATA) in stage.world.deeds("web1")
    assert not [argv for argv in stage.world.deeds("web1") if argv[0] == "lvextend"]
    assert stage.check().error is None


def test_what_else_is_left_alone_is_told_beside_an_inactive_neighbour(stage: Stage) -> None:
    with stage.change() as state:
        volumes = group(state).volumes
        volumes["second"] = volumes["data"].model_copy(
            update={"uuid": "x" * 38, "size": 64 * MIB, "device": None}
        )
    notices = " ".join(stage.extend(no_filesystem=True).notices)
    assert "left alone, as asked by --no-filesystem" in notices
    assert "on it are 0-vg/data, 0-vg/second" in notices
