"""Real files, loop devices and mounts are found and taken in, whatever the files are called."""

from pathlib import Path

from tests.live.place import MIB, Place, tool

STRANGE = ("two words", "line\n4096 vol9", "\x1b[31mred", "-rf", "[bold]x")


def _made(place: Place) -> None:
    """One file under a loop device and a mounted xfs, one that nobody uses, and strange ones."""
    place.volumes.mkdir(parents=True)
    for name in ("vol1", "vol2", *STRANGE):
        with (place.volumes / name).open("wb") as file:
            file.truncate(320 * MIB)
    device = tool("losetup", "--find", "--show", str(place.volumes / "vol1"))
    tool("mkfs.xfs", "-q", device)
    (place.top / "mnt").mkdir()
    tool("mount", device, str(place.top / "mnt"))
    (place.volumes / "lost+found").mkdir()
    (place.volumes / "link").symlink_to("vol1")


def _finds(place: Place, host: str) -> None:
    found = place.call("volume", "discover", place.backend)
    named = {one["name"]: one for one in found}
    assert {name for name, one in named.items() if one["outcome"] == "planned"} == {"vol1", "vol2"}
    assert {name for name, one in named.items() if one["outcome"] == "refused"} == {*STRANGE}
    assert named["vol1"]["size"] == 320 * MIB
    (use,) = named["vol1"]["attachments"]
    assert (use["host"], use["mountpoint"]) == (host, str(place.top / "mnt"))
    assert Path(use["device"]).is_block_device()
    assert named["vol2"]["attachments"] == []
    assert place.call("volume", "list") == []


def test_what_is_there_is_taken_in_and_grows(place: Place) -> None:
    _made(place)
    _finds(place, "local")
    taken = place.call("volume", "discover", "files", "--import")
    assert {one["name"] for one in taken if one["outcome"] == "done"} == {"vol1", "vol2"}
    listed = place.call("volume", "list")
    assert [(one["name"], one["status"]) for one in listed] == [
        ("vol1", "in-use"), ("vol2", "available"),
    ]  # fmt: skip
    again = place.call("volume", "discover", "files", "--import")
    assert {one["name"]: one["outcome"] for one in again} == dict.fromkeys(STRANGE, "refused")
    assert place.call("volume", "list") == listed
    result = place.extend("vol1", "384M")
    assert (result["outcome"], result["status"]) == ("done", "in-use")
    assert {one["kind"] for one in result["layers"]} == {"file", "loop", "xfs"}


def test_the_same_over_ssh(ssh_place: Place) -> None:
    _made(ssh_place)
    _finds(ssh_place, "here2")
    ssh_place.call("volume", "discover", "far", "--import")
    assert ssh_place.extend("vol1", "384M")["outcome"] == "done"
