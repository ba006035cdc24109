"""Frozen filesystems and several mounts of one, as this kernel and its tools really treat them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.place import MIB, Place, Volume, tool
from tests.live.test_growth import has_cap_sys_resource
from tests.live.test_no import refused


@contextmanager
def frozen(volume: Volume) -> Iterator[None]:
    tool("fsfreeze", "--freeze", str(volume.mount))
    try:
        yield
    finally:
        tool("fsfreeze", "--unfreeze", str(volume.mount))


def bound(place: Place, volume: Volume, name: str, *, read_only: bool = False) -> Path:
    """The filesystem once more, at a point of its own."""
    point = place.top / name
    point.mkdir()
    tool("mount", "--bind", str(volume.mount), str(point))
    if read_only:
        tool("mount", "-o", "remount,bind,ro", str(point))
    return point


def reasons(error: dict[str, list[dict[str, str]]]) -> str:
    return " ".join(one["message"] for one in error["reasons"])


def test_a_frozen_ext4_is_known_by_its_journal(place: Place) -> None:
    """Recorded with Linux 6.18 and e2fsprogs 1.47: frozen, it has no `needs_recovery`."""
    volume = place.mounted("vol1", "ext4", "128M")
    words = f"the ext4 at {volume.mount} on local is frozen"
    with frozen(volume):
        assert words in reasons(refused(place, volume, "obstacle"))
    status = 0 if has_cap_sys_resource() else 3
    thawed = place.extend(volume, "448M", "--dry-run", status=status)
    assert words not in str(thawed)


def test_a_frozen_xfs_holds_nobody_up_and_is_made_up_for(home: Path, machine: None) -> None:
    """No file of the kernel's tells; xfs_growfs hangs past its limit and cannot be killed."""
    config = home / "short.yaml"
    hosts = "hosts: {local: {transport: local}}\nssh: {command_timeout: 3}\n"
    where = f"directory: {home}/extendctl/volumes, capabilities: [in-use-extend]"
    config.write_text(f"{hosts}backends: {{files: {{driver: file, host: local, {where}}}}}\n")
    (home / "extendctl" / "volumes").mkdir(parents=True)
    place = Place(home, config)
    try:
        volume = place.mounted("vol1", "xfs")
        with frozen(volume):
            lagging = place.extend(volume, "448M", status=5)
        assert (lagging["status"], volume.device_size) == ("in-use", 448 * MIB)
        assert "outcome-unknown" in {one["code"] for one in lagging["error"]["reasons"]}
        healed = place.call("volume", "resume", "vol1")
        assert [one["outcome"] for one in healed] == ["done"]
        assert volume.filesystem_size > 350 * MIB
        assert place.check(volume)["error"] is None
    finally:
        place.clean()


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_read_only_mount_beside_a_writable_one_is_passed_by(place: Place, kind: str) -> None:
    volume = place.mounted("vol1", kind)
    bound(place, volume, "a-copy", read_only=True)
    assert place.extend(volume, "448M")["outcome"] == "done"
    assert volume.filesystem_size > 350 * MIB


def test_resize2fs_works_through_the_first_mount(place: Place) -> None:
    """It names that mount, whether or not this machine lets it go on."""
    volume = place.mounted("vol1", "ext4", "128M")
    bound(place, volume, "another")
    tool("mount", "-o", "remount,bind,ro", str(volume.mount))
    file = f"{volume.file}"
    tool("truncate", "--size", "160M", file)
    tool("losetup", "--set-capacity", volume.device)
    said = tool("resize2fs", volume.device, check=False)
    assert f"is mounted on {volume.mount}; on-line resizing required" in said
    error = place.extend(volume, "160M", status=3)["error"]
    assert f"{volume.mount} on local, through which resize2fs would grow" in reasons(error)


@contextmanager
def covered(point: Path, *source: str) -> Iterator[None]:
    """Another filesystem is mounted over a directory."""
    tool("mount", *source, str(point))
    try:
        yield
    finally:
        tool("umount", str(point))


def test_an_xfs_over_another_one_is_not_grown_in_its_place(place: Place) -> None:
    """Without a look at the mounts, xfs_growfs would do so and name the right device."""
    volume = place.mounted("vol1", "xfs")
    assert volume.mount is not None
    foreign = place.top / "foreign"
    tool("truncate", "-s", "600M", str(foreign))
    tool("mkfs.xfs", "-q", "-d", "size=320m", str(foreign))
    before = volume.sizes
    with covered(volume.mount, "-o", "loop", str(foreign)):
        words = f"something else is mounted over {volume.mount} on local"
        assert words in reasons(refused(place, volume, "obstacle"))
        assert "data     =                       bsize=4096   blocks=81920," in (
            tool("xfs_info", str(volume.mount))
        )
    assert volume.sizes == before
    assert place.extend(volume, "448M")["outcome"] == "done"


def test_what_a_container_has_mounted_is_not_called_unmounted(place: Place) -> None:
    volume = place.mounted("vol1", "xfs")
    words = ["unshare", "--mount", "--propagation", "private", "sleep", "60"]
    with subprocess.Popen(words) as container:
        try:
            time.sleep(0.5)
            tool("umount", str(volume.mount))
            found = place.extend(volume, "448M")
            said = "is mounted where this login does not see it"
            assert any(said in notice for notice in found["notices"])
        finally:
            container.kill()
