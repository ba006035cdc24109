"""An ext4 on a loop device that nobody has mounted, as the real e2fsck and resize2fs treat it."""

import shutil
import subprocess

import pytest

from tests.live.place import MIB, Place, Volume, tool
from tests.live.test_no import refused


def idle(place: Place, *options: str, size: str = "64M") -> Volume:
    """A volume with an ext4 of 64 MiB in small blocks, attached and not mounted."""
    volume = place.looped("vol1", size)
    tool("mkfs.ext4", "-q", "-b", "1024", *options, volume.device, "64M")
    place.attach(volume)
    return volume


def superblock(volume: Volume) -> str:
    return tool("dumpe2fs", "-h", volume.device)


def test_it_is_checked_and_grown(place: Place) -> None:
    volume = idle(place)
    assert place.extend(volume, "128M", "--offline")["outcome"] == "done"
    assert f"Block count:              {128 * MIB // 1024}" in superblock(volume)
    assert tool("e2fsck", "-f", "-n", volume.device)


@pytest.mark.parametrize("kind", ["ext4", "ext2"])
def test_what_somebody_has_mounted_elsewhere_is_refused(place: Place, kind: str) -> None:
    """The file is copied while it is mounted, as another machine would see it."""
    volume = idle(place, *(["-O", "^has_journal"] if kind == "ext2" else []))
    point = place.top / "mnt"
    point.mkdir()
    tool("mount", volume.device, str(point))
    (point / "file").write_text("written")
    tool("sync", "--file-system", str(point))
    copy = place.top / "copy"
    shutil.copyfile(volume.file, copy)
    tool("umount", str(point))
    tool("dd", f"if={copy}", f"of={volume.device}", "bs=1M", "conv=fsync", "status=none")
    words = refused(place, volume, "obstacle", "--offline")["message"]
    assert "was not unmounted cleanly, or another machine has it mounted" in words


def test_more_blocks_than_32_bits_count_are_refused(place: Place) -> None:
    """Resize2fs says so when all beneath has grown; they are of 1 KiB here."""
    volume = idle(place, "-O", "^64bit,^resize_inode", size="500G")
    result = place.extend(volume, "4100G", "--offline", status=3)
    words = [one["message"] for one in result["error"]["reasons"]]
    assert f"the ext4 {volume.device} on local lacks `64bit`: 4 TiB at most" in words


def test_bigalloc_is_refused_as_resize2fs_does(place: Place) -> None:
    volume = idle(place, "-O", "bigalloc", size="128M")
    tool("e2fsck", "-f", "-p", volume.device)
    done = subprocess.run(["resize2fs", volume.device], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Resizing bigalloc file systems has not been fully tested" in done.stderr
    assert "has bigalloc" in refused(place, volume, "obstacle", "--offline")["message"]
