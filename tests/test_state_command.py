"""The commands about the state: what they say, and what `state check` finds."""

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extendctl.__main__ import run
from extendctl.cli.session import Session
from extendctl.owner import me
from extendctl.store import open_store
from extendctl.tables import REVISION
from tests.postgres import Server
from tests.test_imports import imported
from tests.test_state import DATA, contents, fill

pytestmark = pytest.mark.slow

CONFIG = """
state: {state}
hosts:
  web1: {{address: 192.0.2.21, identity_file: {key}, known_hosts: {known}}}
  silo: {{transport: local}}
backends: {{fast: {{driver: lvm, host: silo, volume_group: vg0}}}}
"""


@dataclass
class Site:
    """A configuration in a directory of its own, and its state."""

    directory: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def state(self) -> Path:
        return self.directory / "state.db"

    @property
    def config(self) -> Path:
        return self.directory / "config.yaml"

    def configured(self, state: str) -> Path:
        for name, mode in (("key", 0o600), ("known", 0o644)):
            (self.directory / name).touch()
            (self.directory / name).chmod(mode)
        self.config.write_text(CONFIG.format(
            state=json.dumps(state), key=self.directory / "key", known=self.directory / "known"
        ))  # fmt: skip
        return self.config

    def call(self, *words: str, config: Path | None = None) -> tuple[int, str, str]:
        status = run(["--config", str(config or self.config), *words], Session())
        said = self.capsys.readouterr()
        return status, said.out, said.err

    def data(self, *words: str) -> tuple[int, Any]:
        status, out, _ = self.call(*words, "-o", "json")
        return status, json.loads(out)


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    found = Site(tmp_path, capsys)
    tmp_path.chmod(0o700)
    found.configured("sqlite:///state.db")
    fill(f"sqlite:///{found.state}")
    return found


def test_backup_and_restore_say_what_they_did(site: Site) -> None:
    copy = str(site.directory / "copy")
    status, made = site.data("state", "backup", copy)
    assert (status, made["backup"], made["revision"]) == (0, copy, REVISION)
    assert len(made["sha256"]) == 64
    with open_store(f"sqlite:///{site.state}") as store:
        store.remove_volume("grün", me())
    status, out, _ = site.call("state", "restore", copy)
    assert status == 0
    assert f"as it was on {made['made_at']}: 3 volumes, 2 operations" in out
    assert "what was there before is kept in" in out
    assert "1 unfinished operation: extendctl volume resume --all" in out
    assert "grün" in site.call("volume", "list")[1]


def test_the_state_moves_to_a_server_with_one_command(site: Site, postgres: Server) -> None:
    url = postgres.database()
    site.configured(url)
    status, out, _ = site.call("state", "restore", str(site.state))
    assert status == 0
    assert f"{site.state} is left as it is; let no program use it any more" in out
    assert site.call("state", "check")[0] == 0
    assert contents(url) == contents(f"sqlite:///{site.state}")


def test_a_state_that_is_well_is_well(site: Site) -> None:
    status, found = site.data("state", "check")
    assert (status, found["findings"], found["error"]) == (0, [], None)
    assert (found["ok"], found["volumes"], found["operations"]) == (True, 3, 2)
    assert found["orphaned"] == [2]
    assert "operation 2 is open and its owner is gone" in site.call("state", "check")[1]


LOOSE: Sequence[tuple[str, int, str]] = (
    ("state.db", 0o644, "state.db can be read by others (mode 0644)"),
    ("state.db", 0o660, "state.db can be written by others (mode 0660)"),
    ("config.yaml", 0o666, "config.yaml can be written by others (mode 0666)"),
    ("key", 0o640, "key can be read by others (mode 0640)"),
    ("known", 0o664, "known can be written by others (mode 0664)"),
    (".", 0o777, "directory"),
)


@pytest.mark.parametrize(("name", "mode", "said"), LOOSE)
def test_who_else_may_read_and_write_is_told(
    site: Site, name: str, mode: int, said: str
) -> None:  # fmt: skip
    path = site.directory / name
    path.chmod(mode)
    status, found = site.data("state", "check")
    assert status == 2
    assert {one["concern"] for one in found["findings"]} == {"permissions"}
    assert any(said in one["message"] for one in found["findings"])
    assert found["error"]["code"] == "config"
    assert path.stat().st_mode & 0o777 == mode  # looked at, and left as it is


def test_a_password_that_others_can_read_is_told(site: Site) -> None:
    site.configured(f"sqlite:///{site.state}")
    text = site.config.read_text().replace(
        json.dumps(f"sqlite:///{site.state}"),
        "{url: postgresql://extendctl@192.0.2.1/x, password_file: secret}",
    )
    site.config.write_text(text)
    (site.directory / "secret").write_text("hunter2")
    (site.directory / "secret").chmod(0o644)
    from extendctl.config_load import load
    from extendctl.config_permissions import loose

    (said,) = loose(load(site.config), None)
    assert said.startswith(f"a password {site.directory}/secret can be read by others")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_state_of_another_user_is_told(site: Site) -> None:
    os.chown(site.config, 65534, 65534)
    _, found = site.data("state", "check")
    assert "belongs to another user (uid 65534)" in found["findings"][0]["message"]


def test_what_the_configuration_does_not_have_is_told(site: Site) -> None:
    site.config.write_text("state: sqlite:///state.db\nhosts: {}\nbackends: {}\n")
    _, found = site.data("state", "check")
    assert [(one["concern"], one["message"]) for one in found["findings"]] == [
        ("references", "the backend fast of grün, vol1, vol2 is not in the configuration"),
        ("references", "the host web1 of vol1 is not in the configuration"),
    ]


def test_a_damaged_state_is_told(site: Site) -> None:
    with site.state.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    status, found = site.data("state", "check")
    assert (status, found["findings"][0]["concern"]) == (2, "integrity")


def test_a_check_makes_no_state(site: Site) -> None:
    site.state.unlink()
    status, found = site.data("state", "check")
    assert (status, found["error"]["message"]) == (2, f"there is no state {site.state} yet")
    assert not site.state.exists()


def earlier(site: Site) -> None:
    site.state.unlink()
    with sqlite3.connect(site.state) as raw:
        raw.executescript((DATA / "state-0001-sqlite.sql").read_text())
    raw.close()
    site.state.chmod(0o600)


def test_a_command_says_that_it_brought_the_state_up_to_date(site: Site) -> None:
    earlier(site)
    status, out, err = site.call("volume", "list", "-o", "json")
    assert (status, len(json.loads(out))) == (0, 4)
    assert "the state was brought from revision 0001 to 0003" in err
    assert f"what it was is kept in {site.state}.0001-" in err
    assert "revision" not in site.call("volume", "list")[2]


def test_check_and_upgrade_know_an_earlier_state(site: Site) -> None:
    earlier(site)
    _, found = site.data("state", "check")
    assert ("revision", "`extendctl state upgrade`") in [
        (one["concern"], one["hint"]) for one in found["findings"]
    ]
    _, copy = site.data("state", "backup", str(site.directory / "copy"))
    assert copy["revision"] == "0001"
    status, done = site.data("state", "upgrade")
    assert (status, done["before"], done["after"]) == (0, "0001", REVISION)
    assert Path(done["backup"]).exists()
    assert site.data("state", "upgrade")[1]["backup"] is None


def test_alembic_is_loaded_for_a_migration_alone(tmp_path: Path) -> None:
    place = tmp_path / "extendctl"
    place.mkdir()
    with sqlite3.connect(place / "state.db") as raw:
        raw.executescript((DATA / "state-0001-sqlite.sql").read_text())
    raw.close()
    assert "alembic" in imported("volume", "list", home=tmp_path)
    assert "alembic" not in imported("volume", "list", home=tmp_path)
    assert "alembic" not in imported("state", "upgrade", home=tmp_path)
