"""What the program cannot grow is named as the place where it stops, and all beneath it grows."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from extendctl import phrasebook
from extendctl.compute.foreign import FOREIGN
from extendctl.size import GIB, KIB, MIB
from extendctl.transport import Result
from tests.extending import GOAL, Stage, begin, code
from tests.world import build
from tests.world.site import iscsi_ext4, shared
from tests.world.state import Content, Device
from tests.world.tower import tower

SIZE = 64 * MIB
UUID = bytes(range(16))
_LABELS = (0, 256 * KIB, SIZE - 512 * KIB, SIZE - 256 * KIB)

Pieces = list[tuple[int, bytes]]


def _linux_raid() -> Pieces:
    """Version 1.2: magic and version, the array's UUID and name, and its own place in sectors."""
    head = struct.pack("<IIII", 0xA92B4EFC, 1, 0, 0) + UUID + b"web1:0".ljust(112, b"\0")
    return [(4096, head + struct.pack("<Q", 8))]


def _raid_at_the_end() -> Pieces:
    """Version 1.0: the same, 8 KiB before the end, on a boundary of 4 KiB."""
    place = (SIZE // 512 - 16) // 8 * 8
    ((_, head),) = _linux_raid()
    return [(place * 512, head[:-8] + struct.pack("<Q", place))]


def _old_raid() -> Pieces:
    """Version 0.90: 64 KiB before the end, rounded down to 64 KiB."""
    return [((SIZE & ~0xFFFF) - 0x10000, struct.pack("<IIII", 0xA92B4EFC, 0, 90, 0) + bytes(240))]


def _bcache() -> Pieces:
    magic = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
    return [(4096, struct.pack("<QQQ", 0, 8, 1) + magic + UUID)]


def _zfs() -> Pieces:
    """The ring of uberblocks in each of the four labels."""
    block = struct.pack("<QQQQQ", 0x00BAB10C, 5000, 100, 1, 1)
    return [(at + 128 * KIB + n * KIB, block) for at in _LABELS for n in range(128)]


HEADERS: dict[str, Pieces] = {
    "zfs_member": _zfs(),
    "linux_raid_member": _linux_raid(),
    "bcache": _bcache(),
    "drbd": [(SIZE - 4096 + 60, struct.pack(">I", 0x8374026D))],
    "ceph_bluestore": [(0, b"bluestore block device\n00112233-4455-6677-8899-aabbccddeeff\n")],
    "VMFS_volume_member": [(MIB, b"\x0d\xd0\x01\xc0")],
    "VMFS": [(2 * MIB, b"\x5e\xf1\xab\x2f")],
    "oracleasm": [(32, b"ORCLDISKDATA01")],
    "vdo": [(0, b"dmvdo001".ljust(200, b"\x01"))],
}
"""The least that blkid knows each of them by, and where it stands on a device."""


SAFE = [kind for kind in FOREIGN if kind != "drbd"]
"""What growth beneath it does no harm, in the form that blkid tells here."""


def blkid(image: Path) -> dict[str, str]:
    """What this machine's blkid says, asked and read as the program does."""
    question = phrasebook.signature("/dev/sdb")
    if shutil.which("blkid") is None:
        pytest.skip("no blkid here (Debian: util-linux)")
    argv = (*question.argv[:-1], str(image))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return question.parse(Result(argv, done.returncode, done.stdout, done.stderr))


AT_AN_END: dict[str, tuple[str, str, Pieces]] = {
    "raid 1.0": ("linux_raid_member", "1.0", _raid_at_the_end()),
    "raid 0.90": ("linux_raid_member", "0.90.0", _old_raid()),
    "drbd": ("drbd", "v09", HEADERS["drbd"]),
}
"""What is not found any more once the end is elsewhere: TYPE, VERSION, and its header."""


def test_all_that_cannot_be_grown_has_a_header_here() -> None:
    assert set(HEADERS) == set(FOREIGN)


@pytest.mark.parametrize("kind", HEADERS)
def test_blkid_calls_it_so(kind: str, tmp_path: Path) -> None:
    assert blkid(_image(tmp_path, HEADERS[kind]))["TYPE"] == kind


def _image(directory: Path, pieces: Pieces) -> Path:
    image = directory / "image"
    with image.open("wb") as file:
        file.truncate(SIZE)
        for place, piece in pieces:
            file.seek(place)
            file.write(piece)
    return image


def stopped(stage: Stage, kind: str, words: str, device: str = "/dev/sdb") -> None:
    """It all grows up to a device, and dry run and run say where they stop and why."""
    planned = stage.extend(dry_run=True)
    done = stage.extend()
    for report in (planned, done):
        assert report.error is None
        assert (report.layers[-1].kind, report.layers[-1].outcome) == (kind, "skipped")
        assert words in " ".join(report.notices)
        assert device in " ".join(report.notices)
    assert (done.outcome, done.exit_status) == ("done", 0)
    assert done.attachments[0].size == GOAL
    assert stage.world.machine("web1").devices["sdb"].size == GOAL
    assert stage.check().error is None


@pytest.mark.parametrize("name", AT_AN_END)
def test_blkid_tells_the_version_of_what_stands_at_the_end(name: str, tmp_path: Path) -> None:
    """And finds it no more when the device has grown, as nobody else does."""
    kind, version, pieces = AT_AN_END[name]
    image = _image(tmp_path, pieces)
    assert (blkid(image)["TYPE"], blkid(image)["VERSION"]) == (kind, version)
    with image.open("r+b") as file:
        file.truncate(SIZE + 16 * MIB)
    assert blkid(image) == {}


@pytest.mark.parametrize("name", AT_AN_END)
def test_what_would_not_be_found_again_is_an_obstacle(name: str, tmp_path: Path) -> None:
    kind, version, _ = AT_AN_END[name]
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
        state.contents["silo/vg0/vol1"] = Content(type=kind, version=version)
    report = stage.extend()
    assert (code(report), report.exit_status) == ("obstacle", 3)
    assert report.error is not None
    assert "does not run" in report.error.fault.message
    assert "start it first" in report.error.fault.hint
    assert stage.world.deeds() == []
    assert stage.store.operations() == []


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_metadata_at_the_start_are_found_again(version: str, tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
        one = Content(type="linux_raid_member", version=version)
        state.contents["silo/vg0/vol1"] = one
    stopped(stage, "linux_raid_member", "a software RAID on")


@pytest.mark.parametrize("kind", [*SAFE, "ambivalent", "ntfs"])
def test_growth_stops_there_and_says_so(kind: str, tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
        state.contents["silo/vg0/vol1"] = Content(type=kind)
    known = "contradicting signatures" if kind == "ambivalent" else "is not in use on this host"
    words = f"{FOREIGN[kind].name} on" if kind in FOREIGN else known
    stopped(stage, kind, words)


@pytest.mark.parametrize("kinds", [("gpt",), ("multipath", "gpt"), ("luks",), ("lvm",)])
def test_also_high_up_in_a_stack(kinds: tuple[str, ...], tmp_path: Path) -> None:
    """A member of a pool on a partition, as ZFS makes it; an OSD of Ceph on a logical volume."""
    stage = begin(tower(*kinds), tmp_path)
    with stage.change() as state:
        machine = state.machines["web1"]
        top = next(one for one in reversed(machine.devices) if machine.devices[one].content)
        state.contents[machine.devices[top].content or ""] = Content(type="zfs_member")
        path = machine.node(top)
    stopped(stage, "zfs_member", "ZFS on", path)


def beside(stage: Stage, kind: str) -> None:
    """Two partitions that nobody is seen to use, as ZFS makes them: the data, and 8 MiB."""
    with stage.change() as state:
        rest = 8 * MIB // 512
        table = state.contents["silo/vg0/vol1"].table
        table[0][2] -= rest
        table.append([9, table[0][1] + table[0][2], rest])
        state.contents["web1/sdb1"] = Content(type=kind)
        devices = state.machines["web1"].devices
        devices["sdb1"].size -= 8 * MIB
        devices["sdb9"] = Device(
            dev="8:25", size=8 * MIB, parent="sdb", partition=9, start=table[1][1]
        )


def test_a_pool_on_a_whole_disk_is_named_by_its_partition(tmp_path: Path) -> None:
    """Nobody can tell whether it is imported, so nothing is said about that."""
    stage = begin(tower("gpt"), tmp_path)
    beside(stage, "zfs_member")
    stopped(stage, "zfs_member", "ZFS on /dev/sdb1 cannot be grown by this program", "/dev/sdb1")
    assert "is in use" not in " ".join(stage.extend("30G", dry_run=True).notices)
    assert {argv[0] for argv in stage.world.deeds("web1")} == {"tee"}


def test_partitions_of_which_nothing_is_known_are_not_said_to_be_unused(tmp_path: Path) -> None:
    stage = begin(tower("gpt"), tmp_path)
    beside(stage, "ntfs")
    stopped(stage, "partition", "none of its partitions is seen to be in use on this host")


COMMANDS = {
    "zfs_member": "zpool online -e POOL DEVICE",
    "linux_raid_member": "mdadm --grow ARRAY --size=max",
    "drbd": "drbdadm resize RESOURCE",
    "ceph_bluestore": "ceph-bluestore-tool bluefs-bdev-expand --path /var/lib/ceph/osd/",
    "oracleasm": "ALTER DISKGROUP NAME RESIZE ALL",
    "vdo": "vdo growPhysical --name=NAME",
}
AT_THE_END = {"linux_raid_member": "before it is stopped"}


@pytest.mark.parametrize("kind", SAFE)
def test_the_command_that_its_own_tools_want_is_named(kind: str, tmp_path: Path) -> None:
    """And that it matters, where the metadata stand at an end that is elsewhere now."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
        state.contents["silo/vg0/vol1"] = Content(type=kind)
    (notice,) = stage.extend(dry_run=True).notices
    assert ("when the device has grown: " in notice) == (kind in COMMANDS)
    assert COMMANDS.get(kind, "") in notice
    assert AT_THE_END.get(kind, "") in notice


RUNNING: dict[str, tuple[Device, str]] = {
    "md0": (Device(dev="9:0", size=10 * GIB), COMMANDS["linux_raid_member"]),
    "bcache0": (Device(dev="252:0", size=10 * GIB), "cannot be grown by this program"),
    "drbd0": (Device(dev="147:0", size=10 * GIB), COMMANDS["drbd"]),
    "dm-9": (
        Device(dev="253:9", size=10 * GIB, dm_name="vdo0", dm_uuid="VDO-0011"), COMMANDS["vdo"],
    ),
    "dm-8": (
        Device(dev="253:8", size=10 * GIB, dm_name="other"), "cannot be grown by this program",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNNING)
def test_what_is_at_work_on_it_is_named_by_its_own_device(name: str, tmp_path: Path) -> None:
    """What the kernel has made of the disk holds it: md, bcache and the like look alike."""
    stage = begin(iscsi_ext4(), tmp_path)
    device, words = RUNNING[name]
    with stage.change() as state:
        web1 = state.machines["web1"]
        held = {"slaves": ["sdb"], "content": f"web1/{name}"}
        web1.devices[name] = device.model_copy(update=held)
        build.filesystem(state, "web1", name, "ext4")
        web1.mounts[0].device = name
        path = web1.node(name)
    stopped(stage, "device", "it holds /dev/sdb, and cannot be grown", path)
    assert words in " ".join(stage.extend("30G", dry_run=True).notices)


def test_a_disk_with_nothing_known_on_it_is_where_growth_stops(tmp_path: Path) -> None:
    """A raw database may be there, which goes on with the size that it was told."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
        del state.contents["silo/vg0/vol1"]
    stopped(stage, "raw", "nothing that blkid knows is on /dev/sdb: growth stops here")
    assert stage.extend().outcome == "unchanged"


@pytest.mark.parametrize("kinds", [("gpt",), ("multipath", "gpt"), ("luks",), ("lvm",)])
def test_also_where_that_is_high_up_in_a_stack(kinds: tuple[str, ...], tmp_path: Path) -> None:
    """All that stands beneath it grows, and it is named by the device that a database would use."""
    stage = begin(tower(*kinds), tmp_path)
    machine = stage.world.machine("web1")
    top = next(one for one in reversed(machine.devices) if machine.devices[one].content)
    stopped(stage, "raw", "a raw database has to be told itself", machine.node(top))
    assert stage.world.machine("web1").devices[top].size > machine.devices[top].size


def test_each_host_says_so_for_itself_in_a_plan_a_run_and_what_a_person_reads(
    tmp_path: Path,
) -> None:
    stage = begin(shared(), tmp_path)
    planned, done = stage.extend(dry_run=True), stage.extend()
    marks = [(line.host, line.kind, line.name) for line in done.layers if line.kind == "raw"]
    assert marks == [("web1", "raw", "/dev/sdb"), ("web2", "raw", "/dev/sdb")]
    assert planned.notices == done.notices
    assert [line.as_dict()["outcome"] for line in done.layers].count("skipped") == len(marks)
    assert [line.key for line in planned.layers] == [line.key for line in done.layers]
