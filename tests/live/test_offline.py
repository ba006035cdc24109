"""An ext4 on a loop device that nobody has mounted, as the real e2fsck and resize2fs treat it."""

import shutil
import subprocess
from pathlib import Path

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
    (alone,) = place.start("volume", "extend", "vol1", "--size", "96M")
    assert "--offline checks and grows it" in str(alone["notices"])
    assert f"Block count:              {64 * MIB // 1024}" in superblock(volume)
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


def test_errors_that_the_kernel_has_counted_are_refused(place: Place) -> None:
    volume = idle(place, size="128M")
    point = place.top / "mnt"
    point.mkdir()
    tool("mount", volume.device, str(point))
    trigger = Path("/sys/fs/ext4") / volume.device.removeprefix("/dev/") / "trigger_fs_error"
    trigger.write_text("a test")
    tool("umount", str(point))
    words = refused(place, volume, "obstacle", "--offline")["message"]
    assert "has errors (clean with errors, 1 counted by the kernel)" in words
    tool("e2fsck", "-f", "-p", volume.device)
    assert place.extend(volume, "448M", "--offline")["outcome"] == "done"


def test_what_e2fsck_does_not_mend_unasked_is_told_in_its_words(place: Place) -> None:
    volume = idle(place, size="128M")
    tool("mkfs.ext4", "-q", "-F", "-d", str(Path(__file__).parent.parent), volume.device, "64M")
    tool("debugfs", "-w", "-R", "clri /live", volume.device)
    report = place.extend(volume, "448M", "--offline", status=5)
    assert "RUN fsck MANUALLY" in report["error"]["message"]
    assert "clean with errors" in superblock(volume)
    place.call("volume", "resume", "vol1", status=5)
    subprocess.run(["e2fsck", "-f", "-y", volume.device], capture_output=True, check=False)
    assert place.call("volume", "resume", "vol1")[0]["outcome"] == "done"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at a chosen write")
@pytest.mark.parametrize("cut", ["e2fsck -f -p", "resize2fs"])
@pytest.mark.parametrize("write", [1, 2, 3, 8, 20])
def test_what_was_killed_in_the_middle_is_begun_again(place: Place, cut: str, write: int) -> None:
    """Resize2fs leaves `clean with errors`, which must not be taken for errors of the kernel's."""
    volume = idle(place, "-O", "^resize_inode", "-d", str(Path(__file__).parent), size="256M")
    tool("e2fsck", "-f", "-p", volume.device)
    if cut != "resize2fs":  # so that it has something to write
        tool("debugfs", "-w", "-R", "sif <2> links_count 9", volume.device)
    kill = ("strace", "-o", "/dev/null", "-e", f"inject=pwrite64:signal=KILL:when={write}")
    tool(*kill, *cut.split(), volume.device, check=False)
    left = superblock(volume)
    if cut == "resize2fs":
        assert "Block count:              65536" in left
        assert ("clean with errors" in left) == (write > 1)
    assert "not clean" not in left
    assert place.extend(volume, "448M", "--offline")["outcome"] == "done"
    assert f"Block count:              {448 * MIB // 1024}" in superblock(volume)
    assert tool("e2fsck", "-f", "-n", volume.device)
