"""Volumes on loop devices grow, with what is on them, while it is written to."""

from pathlib import Path

import pytest

from tests.live.place import MIB, Place, layers
from tests.live.writing import Writer

CAP_SYS_RESOURCE = 1 << 24  # linux/capability.h


def has_cap_sys_resource() -> bool:
    status = Path("/proc/self/status").read_text()
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(bounding.split()[1], 16) & CAP_SYS_RESOURCE)


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_mounted_filesystem_grows_under_a_writer(place: Place, kind: str) -> None:
    volume = place.mounted("vol1", kind)
    before = volume.sizes
    writer = Writer(place, volume)
    written = writer.written
    (result,) = place.start("volume", "extend", "vol1", "--size", "448M")
    assert writer.written > written, "the writer stood still"
    writer.wait_for(writer.written + 10)
    assert result["outcome"] == "done"
    assert result["status"] == "in-use"
    assert (result["before"], result["goal"], result["size"]) == (320 * MIB, 448 * MIB, 448 * MIB)
    assert {kind: one[2] for kind, one in layers(result).items()} == {
        "file": "grown", "loop": "grown", kind: "grown",
    }  # fmt: skip
    assert volume.sizes[:2] == (448 * MIB, 448 * MIB)
    assert volume.filesystem_size > before[2] + 110 * MIB
    assert writer.stop_and_verify() > 20
    assert place.check(volume)["outcome"] == "unchanged"


def test_ext4_grows_or_the_missing_capability_is_named(place: Place) -> None:
    volume = place.mounted("vol1", "ext4", "64M")
    before = volume.sizes
    if has_cap_sys_resource():
        result = place.extend(volume, "128M")
        assert result["outcome"] == "done"
        assert volume.filesystem_size > before[2] + 50 * MIB
        return
    result = place.extend(volume, "128M", status=3)
    assert result["outcome"] == "refused"
    assert result["error"]["code"] == "obstacle"
    assert "CAP_SYS_RESOURCE" in result["error"]["message"]
    assert volume.sizes == before
    assert place.call("operation", "list") == []


def test_an_available_file_grows(place: Place) -> None:
    file = place.created("vol1", "64M")
    (result,) = place.start("volume", "extend", "vol1", "--size", "96M")
    assert (result["outcome"], result["status"]) == ("done", "available")
    assert layers(result) == {"file": (64 * MIB, 96 * MIB, "grown")}
    assert file.stat().st_size == 96 * MIB


def test_several_volumes_grow_in_one_call_and_each_has_its_result(place: Place) -> None:
    mounted = place.mounted("vol1", "btrfs", "256M")
    free = place.created("vol2", "64M")
    both = place.call("volume", "extend", "vol1", "vol2", "nobody", "--size", "288M", status=3)
    assert [one["outcome"] for one in both] == ["done", "done", "refused"]
    assert both[2]["error"]["code"] == "not-found"
    assert (mounted.device_size, free.stat().st_size) == (288 * MIB, 288 * MIB)


def test_a_dry_run_measures_foretells_and_changes_nothing(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    before = volume.sizes
    planned = place.extend(volume, "384M", "--dry-run")
    assert (planned["outcome"], planned["operation"]) == ("planned", None)
    assert volume.sizes == before
    assert place.call("operation", "list") == []
    done = place.extend(volume, "384M")
    foretold = {kind: one[:2] for kind, one in layers(planned).items()}
    assert foretold == {kind: one[:2] for kind, one in layers(done).items()}
    assert {one[2] for one in layers(planned).values()} == {"planned"}


def test_a_mount_point_may_have_any_name(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", point="my 'odd' \"place\" $HOME;x")
    before = volume.sizes
    result = place.extend(volume, "384M")
    assert result["outcome"] == "done"
    assert volume.filesystem_size > before[2] + 50 * MIB
    assert place.call("volume", "show", "vol1")["attachments"][0]["mountpoint"] == str(volume.mount)


def test_a_device_with_nothing_on_it_grows(place: Place) -> None:
    volume = place.looped("vol1", "64M")
    place.attach(volume)
    result = place.extend(volume, "96M")
    assert set(layers(result)) == {"file", "loop", "raw"}
    assert "nothing that blkid knows is on /dev/loop" in " ".join(result["notices"])
    assert volume.device_size == 96 * MIB
