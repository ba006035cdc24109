"""The same over SSH: a real sshd on loopback, as root, and names that a shell would read."""

from tests.live.place import MIB, Place, layers, tool
from tests.live.writing import Writer


def test_a_mounted_filesystem_grows_under_a_writer(ssh_place: Place) -> None:
    volume = ssh_place.mounted("vol1", "xfs", point="my 'odd' \"place\" $HOME;x")
    before = volume.filesystem_size
    writer = Writer(ssh_place, volume)
    (result,) = ssh_place.start("volume", "extend", "vol1", "--size", "384M")
    assert (result["outcome"], result["status"]) == ("done", "in-use")
    assert {one["host"] for one in result["layers"]} == {"here2"}
    assert {one[2] for one in layers(result).values()} == {"grown"}
    assert volume.sizes[:2] == (384 * MIB, 384 * MIB)
    assert volume.filesystem_size > before + 50 * MIB
    assert writer.stop_and_verify() > 10


def test_an_obstacle_is_named_there_too(ssh_place: Place) -> None:
    volume = ssh_place.mounted("vol1", "btrfs", "256M")
    tool("mount", "-o", "remount,ro", str(volume.mount))
    before = volume.sizes
    result = ssh_place.extend(volume, "288M", status=3)
    assert "read-only" in result["error"]["message"]
    assert volume.sizes == before


def test_what_fell_behind_is_found_and_healed(ssh_place: Place) -> None:
    volume = ssh_place.mounted("vol1", "btrfs", "256M")
    tool("truncate", "--size", "288M", str(volume.file))
    assert ssh_place.check(volume, status=5)["outcome"] == "incomplete"
    assert ssh_place.extend(volume, "288M")["outcome"] == "done"
    assert volume.device_size == 288 * MIB
