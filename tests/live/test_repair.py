"""What was left unfinished, or fell behind, is found and finished by repeating the command."""

import os

from tests.live.place import MIB, Place, layers, tool


def test_a_filesystem_that_was_left_out_follows_by_extending_again(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    before = volume.filesystem_size
    first = place.extend(volume, "384M", "--no-filesystem")
    assert first["outcome"] == "done"
    assert layers(first)["xfs"][2] == "skipped"
    assert volume.sizes == (384 * MIB, 384 * MIB, before)
    second = place.extend(volume, "384M")
    assert second["outcome"] == "done"
    assert [one[2] for one in layers(second).values()] == ["full", "full", "grown"]
    assert volume.filesystem_size > before + 50 * MIB


def test_a_filesystem_that_was_left_out_does_not_make_the_volume_lag(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    place.extend(volume, "288M", "--no-filesystem")
    (resumed,) = place.call("volume", "resume", "vol1")
    assert resumed["outcome"] == "unchanged"
    assert place.check(volume, status=5)["outcome"] == "incomplete"


def test_an_unmounted_filesystem_is_skipped_and_told(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    tool("umount", str(volume.mount))
    result = place.extend(volume, "384M")
    assert result["outcome"] == "done"
    assert layers(result)["xfs"][2] == "skipped"
    assert (volume.file_size, volume.device_size) == (384 * MIB, 384 * MIB)
    tool("mount", volume.device, str(volume.mount))
    small = volume.filesystem_size
    assert place.extend(volume, "384M")["outcome"] == "done"
    assert volume.filesystem_size > small + 50 * MIB


def test_the_notice_of_what_is_skipped_reaches_a_person(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    tool("umount", str(volume.mount))
    result = place.extend(volume, "288M", "--dry-run")
    line = next(one for one in result["layers"] if one["kind"] == "btrfs")
    assert line["outcome"] == "skipped"
    assert result["notices"], "nothing tells that the filesystem is left as it is"


def test_a_device_that_lags_behind_its_file_is_found_and_healed(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    before = volume.filesystem_size
    os.truncate(volume.file, 384 * MIB)
    found = place.check(volume, status=5)
    assert found["outcome"] == "incomplete"
    assert any("loop" in one["message"] for one in found["error"]["reasons"])
    assert volume.sizes == (384 * MIB, 320 * MIB, before), "a check changes nothing"
    healed = place.extend(volume, "384M")
    assert healed["outcome"] == "done"
    assert healed["size"] == 384 * MIB
    assert volume.device_size == 384 * MIB
    assert volume.filesystem_size > before + 50 * MIB
    assert place.check(volume)["outcome"] == "unchanged"


def test_a_file_larger_than_the_goal_is_adopted_and_followed(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    os.truncate(volume.file, 320 * MIB)
    result = place.extend(volume, "288M")
    assert (result["outcome"], result["size"]) == ("done", 320 * MIB)
    assert volume.device_size == 320 * MIB
    assert volume.filesystem_size > 310 * MIB


def test_an_obstacle_that_is_out_of_the_way_leaves_nothing_behind(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    other = tool("losetup", "--find", "--show", str(volume.file))
    place.extend(volume, "288M", status=3)
    tool("losetup", "--detach", other)
    assert place.extend(volume, "288M")["outcome"] == "done"


def test_the_same_command_again_changes_nothing(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    place.extend(volume, "384M")
    sizes, operations = volume.sizes, place.call("operation", "list")
    again = place.extend(volume, "384M")
    assert again["outcome"] == "unchanged"
    assert volume.sizes == sizes
    assert place.call("operation", "list") == operations
