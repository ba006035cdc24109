"""What is refused on real devices: the reason is named, and nothing is changed."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.place import MIB, Place, Volume, tool


def refused(place: Place, volume: Volume, code: str, *words: str) -> Any:
    """An extension that is refused with this code and has changed nothing; gives its error."""
    before = volume.sizes
    result = place.extend(volume, "448M", *words, status=3)
    assert result["outcome"] == "refused"
    assert result["error"]["code"] == code
    assert volume.sizes == before
    assert place.call("operation", "list") == []
    return result["error"]


def test_two_loop_devices_over_one_file_are_an_obstacle(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    other = tool("losetup", "--find", "--show", str(volume.file))
    words = refused(place, volume, "obstacle")["message"]
    assert volume.device in words
    assert other in words


def test_a_loop_device_of_fixed_size_is_an_obstacle(place: Place) -> None:
    volume = place.looped("vol1", "128M", "--sizelimit", str(128 * MIB))
    place.attach(volume)
    assert "sizelimit" in refused(place, volume, "obstacle")["message"]


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_read_only_mount_is_an_obstacle(place: Place, kind: str) -> None:
    volume = place.mounted("vol1", kind)
    tool("mount", "-o", "remount,ro", str(volume.mount))
    error = refused(place, volume, "obstacle")
    assert "read-only" in error["message"]
    assert str(volume.mount) in error["message"]


def test_beneath_a_read_only_mount_all_grows_when_it_is_left_out(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    tool("mount", "-o", "remount,ro", str(volume.mount))
    result = place.extend(volume, "288M", "--no-filesystem")
    assert result["outcome"] == "done"
    assert volume.device_size == 288 * MIB


def test_a_smaller_size_is_refused_and_an_equal_one_is_unchanged(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "256M")
    before = volume.sizes
    smaller = place.extend(volume, "255M", status=3)
    assert smaller["error"]["code"] == "size-not-greater"
    equal = place.extend(volume, "256M")
    assert (equal["outcome"], equal["operation"]) == ("unchanged", None)
    assert volume.sizes == before


def test_a_file_that_was_put_in_the_place_of_another_is_an_obstacle(place: Place) -> None:
    """The loop device keeps the old file; growing the new one would grow nobody's volume."""
    volume = place.mounted("vol1", "btrfs", "256M")
    volume.file.rename(volume.file.with_name("old"))
    volume.file.touch()
    os.truncate(volume.file, 256 * MIB)
    result = place.extend(volume, "288M", status=3)
    assert result["outcome"] == "refused"
    assert volume.sizes[:2] == (256 * MIB, 256 * MIB)


def test_a_file_that_is_gone_is_named(place: Place) -> None:
    file = place.created("vol1", "64M")
    file.unlink()
    result = place.extend("vol1", "96M", status=3)
    assert str(file) in result["error"]["message"]
    assert not file.exists()


def test_a_symbolic_link_is_no_volume(place: Place) -> None:
    file = place.created("vol1", "64M")
    file.rename(place.top / "elsewhere")
    file.symlink_to(place.top / "elsewhere")
    place.extend("vol1", "96M", status=3)
    assert (place.top / "elsewhere").stat().st_size == 64 * MIB


def test_a_volume_cannot_be_attached_where_no_loop_device_shows_it(place: Place) -> None:
    place.created("vol1", "64M")
    error = place.call("volume", "attach", "vol1", "local", status=3)["error"]
    assert error["code"] == "not-found"


def test_btrfs_grows_to_no_less_than_256_mib(place: Place) -> None:
    """btrfs_ioctl_resize: `if (new_size < SZ_256M)` ends with EINVAL, and the backend has grown."""
    volume = place.mounted("vol1", "btrfs", "128M")
    before = volume.sizes
    error = place.extend(volume, "160M", status=3)["error"]
    assert f"the btrfs at {volume.mount} on local cannot be resized to less than 256 MiB" in (
        one["message"] for one in error["reasons"]
    )
    assert volume.sizes == before


def test_a_seed_of_a_btrfs_never_grows(place: Place) -> None:
    """`btrfs filesystem show` lists it, and its resizing is not permitted."""
    volume = place.mounted("vol1", "btrfs", "256M")
    tool("umount", str(volume.mount))
    tool("btrfstune", "-S", "1", volume.device)
    sprout = place.looped("vol2", "256M")
    tool("mount", volume.device, str(volume.mount))
    tool("btrfs", "device", "add", "--nodiscard", sprout.device, str(volume.mount))
    tool("mount", "-o", "remount,rw", str(volume.mount))
    listed = tool("btrfs", "filesystem", "show", "--raw", str(volume.mount))
    assert all(f"path {one.device}" in listed for one in (volume, sprout))
    words = ("btrfs", "filesystem", "resize", "1:max", str(volume.mount))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Operation not permitted" in done.stderr
    assert (
        f"never writes to {volume.device}, its device 1"
        in (refused(place, volume, "obstacle")["message"])
    )
    place.attach(sprout)
    assert place.extend(sprout, "288M")["outcome"] == "done"


def test_a_btrfs_in_balance_is_waited_for(place: Place) -> None:
    volume = place.mounted("vol1", "btrfs", "1G")
    assert volume.mount is not None
    for number in range(3):
        (volume.mount / f"file{number}").write_bytes(os.urandom(80 * MIB))
    os.sync()
    paused(volume)
    result = place.extend(volume, "1200M", status=3)
    words = f"the btrfs at {volume.mount} on local is busy with another operation: balance paused"
    assert result["error"]["message"] == words
    assert volume.device_size == 1024 * MIB
    tool("btrfs", "balance", "cancel", str(volume.mount))
    assert place.extend(volume, "1200M")["outcome"] == "done"


def paused(volume: Volume) -> None:
    """A balance of a btrfs that has begun and is held up."""
    uuid = tool("blkid", "-s", "UUID", "-o", "value", volume.device)
    file = Path(f"/sys/fs/btrfs/{uuid}/exclusive_operation")
    words = ("btrfs", "balance", "start", "--full-balance", str(volume.mount))
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as balance:
        while file.read_text() != "balance\n":
            assert balance.poll() is None
        tool("btrfs", "balance", "pause", str(volume.mount))
    assert file.read_text() == "balance paused\n"


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_device_that_became_write_protected_is_an_obstacle(place: Place, kind: str) -> None:
    volume = place.mounted("vol1", kind)
    tool("blockdev", "--setro", volume.device)
    try:
        words = refused(place, volume, "obstacle")["message"]
    finally:
        tool("blockdev", "--setrw", volume.device)
    assert words == f"{volume.device} on local is write-protected"
    assert place.extend(volume, "448M")["outcome"] == "done"
