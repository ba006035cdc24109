"""Partitions: the last one, an MBR's end, mappings that kpartx has made, loop devices."""

from pathlib import Path

import pytest

from extendctl.size import GIB, MIB, TIB
from tests.extending import GOAL, Stage, begin, untouched, untrue
from tests.world import build
from tests.world.site import file_loop_xfs
from tests.world.state import Content, Device
from tests.world.tower import tower

SECTORS = 1 << 32  # of an MBR


def told(stage: Stage, size: str = "20G") -> str:
    """All reasons of an extension that is refused and has touched nothing."""
    report = stage.extend(size, confirmed=True)
    assert report.exit_status == 3
    assert report.error is not None
    assert stage.world.deeds() == []
    return " ".join(fault.message for fault in report.error.faults)


def large(stage: Stage, size: int) -> None:
    """The volume, its disk and the one partition on it are of another size; all of it is known."""
    with stage.change() as state:
        silo, web1 = state.machines["silo"], state.machines["web1"]
        silo.groups["vg0"].size = 16 * TIB
        silo.groups["vg0"].volumes["vol1"].size = size
        for name, machine in (("dm-0", silo), ("sdb", web1)):
            machine.devices[name].size = size
        table = state.contents["silo/vg0/vol1"].table
        table[0][2] = min(size // 512, SECTORS) - table[0][1]
        web1.devices["sdb1"].size = table[0][2] * 512
        web1.devices["sdb"].cached = None
        fs = state.contents["web1/sdb1"]
        fs.blocks = table[0][2] // 8
    stage.store.set_size("vol1", size)


@pytest.mark.parametrize(("before", "goal"), [(TIB, "3T"), (2 * TIB, "3T"), (3 * TIB, "4T")])
def test_an_mbr_ends_at_2_tib_whatever_the_disk_gains(
    before: int, goal: str, tmp_path: Path
) -> None:
    """Also where the partition is full already: what the disk gained would be lost."""
    stage = begin(tower("dos", "xfs"), tmp_path)
    large(stage, before)
    assert "has an MBR table, which ends at 2 TiB" in told(stage, goal)


def test_an_mbr_grows_up_to_its_end_and_a_check_asks_for_no_more(tmp_path: Path) -> None:
    stage = begin(tower("dos", "xfs"), tmp_path)
    large(stage, TIB)
    report = stage.extend("2047G", confirmed=True)
    assert report.error is None
    large(stage, 3 * TIB)
    assert stage.check().error is None


def test_a_gpt_does_not_end_there(tmp_path: Path) -> None:
    stage = begin(tower("gpt", "xfs"), tmp_path)
    report = stage.extend("3T", confirmed=True)
    assert "MBR" not in str(report.error)


@pytest.mark.parametrize("label", ["gpt", "dos"])
@pytest.mark.parametrize("bottom", [(), ("multipath",)])
def test_what_follows_a_partition_is_named(
    bottom: tuple[str, ...], label: str, tmp_path: Path
) -> None:
    """In the table alone: the kernel was not told of it, and nobody uses it."""
    stage = begin(tower(*bottom, label, "ext4"), tmp_path)
    with stage.change() as state:
        content = next(one for one in state.contents.values() if one.table)
        content.table[0][2] -= 4096
        content.table.append([2, content.table[0][1] + content.table[0][2], 4096])
        part = next(one for one in state.machines["web1"].devices.values() if one.partition == 1
                    or (one.dm_uuid or "").startswith("part1-"))  # fmt: skip
        part.size -= 4096 * 512
    name = "/dev/mapper/mpatha-part" if bottom else "/dev/sdb"
    assert f"is followed by {name}2, so that it cannot grow" in told(stage)
    assert untouched(stage)


def test_a_logical_partition_is_refused(tmp_path: Path) -> None:
    stage = begin(tower("dos", "ext4"), tmp_path)
    with stage.change() as state:
        state.contents["silo/vg0/vol1"].table[0][0] = 5
        state.machines["web1"].devices["sdb1"].partition = 5
    assert "is a logical partition" in told(stage)


@pytest.mark.parametrize("delimiter", ["-part", "p", "", "_part"])
def test_kpartx_is_told_the_delimiter_that_is_in_use(delimiter: str, tmp_path: Path) -> None:
    """Where udev does not grow the mapping, and another delimiter would rename it."""
    stage = begin(tower("multipath", "gpt", "ext4"), tmp_path)
    name = f"mpatha{delimiter}1"
    with stage.change() as state:
        web1 = state.machines["web1"]
        web1.udev_grows = False
        part = next(one for one in web1.devices.values() if one.dm_name == "mpatha-part1")
        part.dm_name = name
    report = stage.extend()
    assert report.error is None
    assert untrue(stage, report) == []
    deeds = [argv for argv in stage.world.deeds("web1") if argv[0] == "kpartx"]
    assert deeds == [("kpartx", "-u", "-p", delimiter, "/dev/mapper/mpatha")]
    assert name in {one.dm_name for one in stage.world.machine("web1").devices.values()}


def looped(stage: Stage, *, mapped: bool) -> None:
    """A loop device with a GPT; its partition is the kernel's (losetup -P), or kpartx's."""
    with stage.change() as state:
        here = state.machines["here"]
        disk = here.devices["loop0"]
        sectors = disk.size // 512 - 2048 - 33
        state.contents[disk.content or ""] = Content(type="gpt", table=[[1, 2048, sectors]])
        if mapped:
            part = Device(dev="253:9", size=sectors * 512, slaves=["loop0"], dm_name="loop0p1",
                          dm_uuid="part1-devnode_7:0_Wh5pYvM", content="here/part")  # fmt: skip
        else:
            part = Device(dev="259:4", size=sectors * 512, parent="loop0", partition=1, start=2048,
                          content="here/part")  # fmt: skip
        name = "dm-9" if mapped else "loop0p1"
        here.devices[name] = part
        here.udev_grows = False
        build.filesystem(state, "here", name, "xfs")
        here.mounts[0].device = name


@pytest.mark.parametrize("mapped", [True, False])
def test_a_partition_on_a_loop_device_grows(mapped: bool, tmp_path: Path) -> None:
    stage = begin(file_loop_xfs(), tmp_path)
    looped(stage, mapped=mapped)
    report = stage.extend()
    assert report.error is None
    kinds = [line.kind for line in report.layers]
    assert kinds == ["file", "loop", "partition", "xfs"]
    assert report.layers[2].after == GOAL - MIB - 33 * 512
    assert report.layers[3].after == (GOAL - MIB - 33 * 512) // 4096 * 4096
    assert untrue(stage, report) == []
    tools = {argv[0] for argv in stage.world.deeds()}
    assert ("kpartx" in tools, "partx" in tools) == (mapped, not mapped)


def test_a_partition_that_nobody_uses_is_left_alone_among_others(tmp_path: Path) -> None:
    """With several unused ones there is no telling which to grow."""
    stage = begin(tower("gpt", "ext4"), tmp_path)
    with stage.change() as state:
        web1 = state.machines["web1"]
        web1.mounts.clear()
        table = state.contents["silo/vg0/vol1"].table
        table[0][2] -= 4096
        table.append([2, table[0][1] + table[0][2], 4096])
        web1.devices["sdb1"].size -= 4096 * 512
        web1.devices["sdb2"] = Device(
            dev="8:18", size=4096 * 512, parent="sdb", partition=2, start=table[1][1]
        )
    report = stage.extend()
    assert report.error is None
    assert report.layers[-1].outcome == "skipped"
    assert "none of its partitions is seen to be in use on this host" in " ".join(report.notices)
    assert stage.world.machine("web1").devices["sdb"].size == 20 * GIB


def test_a_map_whose_name_ends_in_a_digit_is_no_partition_of_another(tmp_path: Path) -> None:
    """With a map data11 beside data1, sfdisk calls the latter's first partition like the former."""
    stage = begin(tower("multipath", "gpt", "ext4"), tmp_path)
    with stage.change() as state:
        devices = state.machines["web1"].devices
        for one in list(devices.values()):
            if one.dm_name is not None:
                one.dm_name = one.dm_name.replace("mpatha", "data1")
        other = {"dev": "253:77", "dm_name": "data11", "dm_uuid": "mpath-36001405", "slaves": []}
        devices["dm-77"] = next(iter(devices.values())).model_copy(update=other)
    assert stage.extend().error is None
    assert stage.check().error is None
