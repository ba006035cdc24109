"""A real filesystem fills up, and grows by the rule that the configuration has for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.place import MIB, Place

CONFIG = """\
state: sqlite:///state.db
hosts: {{local: {{transport: local}}}}
backends:
  files: {{driver: file, host: local, directory: {volumes}, capabilities: [in-use-extend]}}
policy:
  autoextend: [{{match: "vol*", above: 50%, grow: +20%, max: 400M}}]
"""


@pytest.fixture
def ruled(machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place with a rule for its volumes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(volumes=tmp_path / "extendctl" / "volumes"))
    config.chmod(0o600)
    place = Place(tmp_path, config)
    try:
        yield place
    finally:
        place.clean()


def percent(mount: Path) -> float:
    """How full it is in percent, as df(1) counts, not rounded up."""
    seen = os.statvfs(mount)
    used = seen.f_blocks - seen.f_bfree
    return 100 * used / (used + seen.f_bavail)


def test_a_filesystem_that_fills_up_grows_until_its_max(ruled: Place) -> None:
    volume = ruled.mounted("vol1", "xfs")
    assert volume.mount is not None
    (result,) = ruled.start("autoextend")
    assert (result["outcome"], volume.file_size) == ("unchanged", 320 * MIB)
    with (volume.mount / "data").open("wb") as file:
        file.write(os.urandom(220 * MIB))
        os.fsync(file.fileno())
    assert 60 < percent(volume.mount) < 95
    (planned,) = ruled.start("autoextend", "--dry-run")
    assert (planned["outcome"], volume.file_size) == ("planned", 320 * MIB)
    (done,) = ruled.start("autoextend")
    assert (done["outcome"], done["size"], volume.file_size) == ("done", 384 * MIB, 384 * MIB)
    assert percent(volume.mount) > 55
    (again,) = ruled.start("autoextend")
    assert (again["outcome"], volume.file_size) == ("done", 400 * MIB)
    assert percent(volume.mount) > 55
    (last,) = ruled.start("autoextend")
    assert (last["outcome"], volume.file_size) == ("unchanged", 400 * MIB)
    assert "grows no further" in last["notices"][0]
    assert ruled.check(volume)["outcome"] == "unchanged"
