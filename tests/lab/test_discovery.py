"""A whole site is found, taken in with its attachments, and is then as if taken in by hand."""

from pathlib import Path
from typing import Any

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program
from tests.lab.volumes import VOLUMES


def _discover(ops: Program, backend: str, *words: str, status: int = 0) -> dict[str, Any]:
    found = ops.run("volume", "discover", backend, *words, status=status).json
    return {one["name"]: one for one in found}


def _outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {name: one["outcome"] for name, one in found.items()}


def test_a_site_is_taken_in_and_grows(fresh_lab: Lab, tmp_path: Path) -> None:
    lab = fresh_lab
    ops, hand = program.bare(lab, tmp_path), tmp_path / "hand"
    hand.mkdir()
    by_hand = program.known(lab, hand, *(volume.name for volume in VOLUMES))
    served = {volume.name for volume in VOLUMES if volume.exports}

    # What a target serves is not for the backend that knows none, and the other way round.
    local = _discover(ops, "fast")
    expected = {"freevol": "planned", "localvol": "planned"} | dict.fromkeys(served, "refused")
    assert _outcomes(local) == expected
    assert "served by a target" in local["ext4vol"]["error"]["message"]
    assert "in use on silo itself" in _discover(ops, "san")["localvol"]["error"]["message"]

    for backend in ("fast", "san", "files", "small"):
        _discover(ops, backend, "--import")
    listed = ops.run("volume", "list").json
    assert listed == by_hand.run("volume", "list").json
    for backend in ("san", "files", "small"):
        assert _discover(ops, backend, "--import") == {}
    assert _outcomes(_discover(ops, "fast", "--import")) == {}
    assert ops.run("volume", "list").json == listed

    for name, size in (("ext4vol", "600M"), ("tallvol", "1100M")):
        done = ops.run("volume", "extend", name, "--size", size).result
        assert (done["outcome"], done["size"]) == ("done", int(size[:-1]) * MIB)
    assert {name: lab.kernel_errors(name) for name in lab.names} == {
        "silo": [], "web1": [], "web2": []
    }  # fmt: skip


def test_a_host_that_is_away_is_told_and_found_later(fresh_lab: Lab, tmp_path: Path) -> None:
    lab = fresh_lab
    ops = program.bare(lab, tmp_path)
    lab.freeze("web2")
    try:
        found = _discover(ops, "san", "--import", status=4)
    finally:
        lab.thaw("web2")
    assert found["rawvol"]["unasked"] == ["web2"]
    assert [one["host"] for one in found["rawvol"]["attachments"]] == ["web1"]
    more = _discover(ops, "san", "--import")
    assert {name: [one["host"] for one in new["attachments"]] for name, new in more.items()} == {
        "btrfsvol": ["web2"], "rawvol": ["web2"], "localvol": [],
    }  # fmt: skip
