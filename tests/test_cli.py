"""The commands on the embedded default and on real files: what they do, and how they end."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import paramiko
import pytest

from extendctl.__main__ import run
from extendctl.cli import main as commands
from extendctl.cli.command import command
from extendctl.cli.failure import wanted_output
from extendctl.cli.interrupt import on_signals
from extendctl.cli.session import Session
from extendctl.owner import me
from extendctl.store import open_store

GIB = 1 << 30

deeds = pytest.mark.skipif(os.geteuid() != 0, reason="the file backend grows files as root")


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Done]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("EXTENDCTL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "extendctl"


@pytest.fixture
def call(state: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def made(*words: str, session: Session | None = None) -> Done:
        status = run(words, session or Session())
        said = capsys.readouterr()
        return Done(status, said.out, said.err)

    return made


@pytest.fixture
def vol1(call: Call, state: Path) -> Path:
    assert call("volume", "create", "vol1", "--backend", "files", "--size", "1G").status == 0
    made = state / "volumes" / "vol1"
    assert made.stat().st_mode & 0o777 == 0o600
    return made


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, entry in commands.entries.items():
        entries = getattr(entry, "entries", None)
        found += [(name, sub) for sub in entries] if entries else [(name,)]
    return found


each_command = pytest.mark.parametrize("words", every_command(), ids=" ".join)


@each_command
def test_help_ends_with_exit_statuses_and_an_example(call: Call, words: tuple[str, ...]) -> None:
    done = call(*words, "--help")
    assert done.status == 0
    statuses, _, example = done.out.partition("EXAMPLE:")
    assert "EXIT STATUS:" in statuses
    assert "130  interrupted" in statuses
    assert example.strip().startswith(("extendctl", "eval"))


@each_command
def test_help_is_the_same_in_short_and_long(call: Call, words: tuple[str, ...]) -> None:
    group = commands.entries[words[0]]
    entry = getattr(group, "entries", {words[0]: group})[words[-1]]
    assert entry.short.endswith(".")
    assert isinstance(entry.load(), click.Command)


WRONG_LVS = ("data", "vg0/", "/data", "vg0/a/b", "/dev/vg0/data", "-x/y", "vg0/..", "v g/a", "")


@pytest.mark.parametrize("wrong", WRONG_LVS)
def test_a_grow_lv_that_is_no_name_is_a_wrong_call(call: Call, state: Path, wrong: str) -> None:
    words = ("vol1", "vol2", "--size", "2G", f"--grow-lv={wrong}")
    done = call("volume", "extend", *words, "-o", "json")
    assert done.status == 2
    assert [one["error"]["code"] for one in done.data] == ["usage", "usage"]
    assert not state.exists()


GROUPS = ("config", "host", "backend", "volume", "operation", "policy", "state")


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_shows_its_help_and_is_a_wrong_call(call: Call, group: str) -> None:
    done = call(group)
    assert done.status == 2
    assert done.out == ""
    assert "EXIT STATUS" in done.err
    assert call(group, "-o", "json").data["error"]["code"] == "usage"


# What each command is called with to succeed, and to fail, after vol1 has been made.
GOOD: dict[tuple[str, ...], Sequence[str]] = {
    ("init",): (),
    ("config", "check"): (),
    ("config", "show"): (),
    ("config", "schema"): (),
    ("host", "list"): (),
    ("host", "check"): (),
    ("backend", "list"): (),
    ("backend", "show"): ("files",),
    ("volume", "create"): ("vol2", "--backend", "files", "--size", "1M"),
    ("volume", "discover"): ("files",),
    ("volume", "list"): (),
    ("volume", "show"): ("vol1",),
    ("volume", "extend"): ("vol1", "--size", "2G"),
    ("volume", "resume"): ("vol1",),
    ("volume", "check"): (),
    ("volume", "set-status"): ("vol1", "maintenance"),
    ("volume", "remove"): ("vol1",),
    ("operation", "list"): (),
    ("policy", "check"): ("vol1", "--size", "2G"),
    ("autoextend",): (),
    ("state", "backup"): ("copy",),
    ("state", "check"): (),
    ("state", "upgrade"): (),
    ("completion",): ("bash",),
}


@deeds
@pytest.mark.parametrize("words", GOOD, ids=" ".join)
@pytest.mark.parametrize("form", ["json", "yaml", "table"])
def test_success_is_one_document(
    call: Call, vol1: Path, words: tuple[str, ...], form: str
) -> None:  # fmt: skip
    done = call(*words, *GOOD[words], "-o", form)
    assert (done.status, done.err.count("error")) == (0, 0), done.err
    assert done.out
    if form == "json":
        assert done.data is not None


BAD: dict[tuple[str, ...], tuple[Sequence[str], int, str]] = {
    ("init",): (("--config", "/dev/null/x.yaml"), 2, "config"),
    ("config", "check"): (("--config", "/nowhere.yaml"), 2, "config"),
    ("config", "show"): (("--config", "/nowhere.yaml"), 2, "config"),
    ("config", "schema"): (("--nonsense",), 2, "usage"),
    ("host", "list"): (("--config", "/nowhere.yaml"), 2, "config"),
    ("host", "check"): (("nowhere",), 3, "not-found"),
    ("host", "sudoers"): (("nowhere",), 3, "not-found"),
    ("backend", "list"): (("too many",), 2, "usage"),
    ("backend", "show"): (("nowhere",), 3, "not-found"),
    ("volume", "discover"): (("nowhere",), 3, "not-found"),
    ("volume", "create"): (("vol2", "--backend", "file", "--size", "1M"), 3, "not-found"),
    ("volume", "import"): (("v", "--backend", "files", "--source", "none"), 3, "not-found"),
    ("volume", "attach"): (("vol1", "nowhere"), 3, "not-found"),
    ("volume", "detach"): (("vol1", "nowhere"), 3, "not-found"),
    ("volume", "list"): (("too many",), 2, "usage"),
    ("volume", "show"): (("nothing",), 3, "not-found"),
    ("volume", "set-status"): (("vol1", "fine"), 2, "usage"),
    ("volume", "remove"): (("nothing",), 3, "not-found"),
    ("operation", "list"): (("--volume", "nothing"), 3, "not-found"),
    ("operation", "show"): (("99",), 3, "not-found"),
    ("operation", "abandon"): (("99",), 3, "not-found"),
    ("policy", "check"): (("nothing", "--size", "2G"), 3, "not-found"),
    ("autoextend",): (("too many",), 2, "usage"),
    ("state", "backup"): (("/dev/null/copy",), 2, "config"),
    ("state", "restore"): (("nothing",), 2, "config"),
    ("state", "check"): (("--config", "/nowhere.yaml"), 2, "config"),
    ("state", "upgrade"): (("too many",), 2, "usage"),
    ("completion",): (("tcsh",), 2, "usage"),
}
BAD_LISTS: dict[tuple[str, ...], tuple[Sequence[str], int, str]] = {
    ("volume", "extend"): (("nothing", "--size", "2G"), 3, "not-found"),
    ("volume", "resume"): (("nothing",), 3, "not-found"),
    ("volume", "check"): (("nothing",), 3, "not-found"),
}


@deeds
@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_failure_is_one_document_too(call: Call, vol1: Path, words: tuple[str, ...]) -> None:
    arguments, status, code = BAD[words]
    done = call(*words, *arguments, "--output=json")
    assert done.status == status
    assert done.data["error"]["code"] == code
    assert done.data["error"]["reasons"]


@pytest.mark.parametrize("words", BAD_LISTS, ids=" ".join)
def test_failure_is_a_list_where_volumes_are_named(call: Call, words: tuple[str, ...]) -> None:
    arguments, status, code = BAD_LISTS[words]
    done = call(*words, *arguments, "-ojson")
    assert done.status == status
    assert [(one["volume"], one["error"]["code"]) for one in done.data] == [("nothing", code)]


def test_all_commands_are_tried(call: Call) -> None:
    assert set(every_command()) == BAD.keys() | BAD_LISTS.keys()
    assert GOOD.keys() <= set(every_command())


@pytest.mark.parametrize(
    "size", ["0", "-5", "20GB", "abc", "1e3", "+0", "", "+", "5X", "9" * 400, "8E", "+0%", "nan"]
)
def test_a_bad_size_is_a_wrong_call_and_no_state_is_made(
    call: Call, state: Path, size: str
) -> None:  # fmt: skip
    done = call("volume", "extend", "vol1", "vol2", "--size", size, "-o", "json")
    assert done.status == 2
    assert [one["volume"] for one in done.data] == ["vol1", "vol2"]
    assert {one["error"]["code"] for one in done.data} == {"usage"}
    assert not state.exists()


def test_an_ambiguous_size_is_shown_in_both_readings(call: Call) -> None:
    done = call("volume", "extend", "vol1", "--size", "20GB")
    assert "20000000000 bytes" in done.err
    assert "21474836480 bytes" in done.err


@deeds
def test_a_size_that_no_file_can_have_is_no_bug(call: Call, vol1: Path) -> None:
    done = call("volume", "extend", "vol1", "--size", "7E", "--yes")
    assert done.status in {3, 5}, done.err
    assert vol1.stat().st_size == GIB


def test_a_missing_size_names_the_volumes(call: Call) -> None:
    done = call("volume", "extend", "vol1", "-o", "json")
    assert (done.status, done.data[0]["error"]["code"]) == (2, "usage")
    assert "--size" in done.data[0]["error"]["message"]


def test_a_wrong_option_has_a_suggestion(call: Call) -> None:
    done = call("volume", "extend", "vol1", "--siez", "5")
    assert done.status == 2
    assert "--size" in done.err


def test_a_wrong_command_has_a_suggestion(call: Call) -> None:
    assert "Did you mean extend?" in call("volume", "extnd", "vol1").err
    assert call("frobnicate", "-o", "json").data["error"]["code"] == "usage"


@deeds
def test_wrong_names_have_suggestions(call: Call, vol1: Path) -> None:
    assert "did you mean vol1?" in call("volume", "show", "vol2").err
    wrong = call("volume", "create", "v", "--backend", "file", "--size", "1M")
    assert "did you mean files?" in wrong.err
    assert "did you mean local?" in call("volume", "attach", "vol1", "locla").err


@deeds
def test_extend_makes_the_file_grow(call: Call, vol1: Path) -> None:
    done = call("volume", "extend", "vol1", "--size", "2G", "-o", "json")
    assert done.status == 0, done.err
    assert vol1.stat().st_size == 2 * GIB
    (report,) = done.data
    assert report["outcome"] == "done"
    assert (report["before"], report["goal"], report["size"]) == (GIB, 2 * GIB, 2 * GIB)
    assert report["layers"] == [
        {
            "host": "local",
            "kind": "file",
            "name": str(vol1),
            "before": GIB,
            "after": 2 * GIB,
            "outcome": "grown",
        }
    ]
    assert report["error"] is None


@deeds
@pytest.mark.parametrize("option", ["offline", "no_filesystem", "fill"])
def test_an_option_is_kept_with_the_operation_for_resume(
    call: Call, vol1: Path, option: str
) -> None:
    assert call("volume", "extend", "vol1", "--size", "2G").status == 0
    flag = f"--{option.replace('_', '-')}"
    assert call("volume", "extend", "vol1", "--size", "3G", flag).status == 0
    kept = [call("operation", "show", one, "-o", "json").data["options"] for one in ("1", "2")]
    assert [one[option] for one in kept] == [False, True]
    assert sum(bool(value) for value in kept[1].values()) == 1


@deeds
def test_a_relative_size_is_growth(call: Call, vol1: Path) -> None:
    assert call("volume", "extend", "vol1", "--size", "+10%").status == 0
    assert vol1.stat().st_size == GIB + -(-GIB // 10 // 4096) * 4096


@deeds
def test_a_dry_run_changes_nothing(call: Call, vol1: Path) -> None:
    done = call("volume", "extend", "vol1", "--size", "2G", "--dry-run", "-o", "json")
    assert done.status == 0
    assert done.data[0]["outcome"] == "planned"
    assert done.data[0]["layers"][0]["after"] == 2 * GIB
    assert vol1.stat().st_size == GIB
    assert call("operation", "list", "-o", "json").data == []


@deeds
def test_smaller_is_refused_and_equal_is_unchanged(call: Call, vol1: Path) -> None:
    smaller = call("volume", "extend", "vol1", "--size", "512M", "-o", "json")
    assert (smaller.status, smaller.data[0]["error"]["code"]) == (3, "size-not-greater")
    equal = call("volume", "extend", "vol1", "--size", "1G", "-o", "json")
    assert (equal.status, equal.data[0]["outcome"]) == (0, "unchanged")
    assert vol1.stat().st_size == GIB


@deeds
def test_an_administrative_status_blocks_until_it_is_lifted(call: Call, vol1: Path) -> None:
    assert call("volume", "set-status", "vol1", "maintenance").status == 0
    assert call("volume", "show", "vol1", "-o", "json").data["status"] == "maintenance"
    done = call("volume", "extend", "vol1", "--size", "2G", "-o", "json")
    assert (done.status, done.data[0]["error"]["code"]) == (3, "invalid-status")
    assert call("volume", "set-status", "vol1", "clear").status == 0
    assert call("volume", "extend", "vol1", "--size", "2G").status == 0
    assert vol1.stat().st_size == 2 * GIB


@deeds
def test_growth_past_ten_times_wants_yes(call: Call, vol1: Path) -> None:
    done = call("volume", "extend", "vol1", "--size", "11G", "-o", "json")
    assert (done.status, done.data[0]["error"]["code"]) == (3, "confirmation-required")
    assert vol1.stat().st_size == GIB
    assert call("volume", "extend", "vol1", "--size", "11G", "--yes").status == 0
    assert vol1.stat().st_size == 11 * GIB


@deeds
def test_each_volume_has_its_report_and_the_worst_is_the_status(call: Call, vol1: Path) -> None:
    done = call("volume", "extend", "vol1", "nothing", "vol1", "--size", "2G", "-o", "json")
    assert done.status == 3
    assert [(one["volume"], one["outcome"]) for one in done.data] == [
        ("vol1", "done"),
        ("nothing", "refused"),
    ]


@deeds
def test_import_takes_a_file_once(call: Call, vol1: Path) -> None:
    (vol1.parent / "other").write_bytes(bytes(8192))
    taken = call("volume", "import", "two", "--backend", "files", "--source", "other", "-ojson")
    assert (taken.status, taken.data["size"]) == (0, 8192)
    again = call("volume", "import", "three", "--backend", "files", "--source", "other")
    assert again.status == 3
    assert "is the volume two already" in again.err


@deeds
def test_remove_forgets_and_leaves_the_data(call: Call, vol1: Path) -> None:
    assert call("volume", "remove", "vol1").status == 0
    assert vol1.stat().st_size == GIB
    assert call("volume", "list", "-o", "json").data == []


@deeds
def test_the_story_of_an_operation(call: Call, vol1: Path) -> None:
    call("volume", "extend", "vol1", "--size", "2G", "--reason", "ticket 4711")
    told = call("operation", "show", "1")
    for words in ("ticket 4711", "1 GiB -> 2 GiB", "truncate", "exit 0", "volume:extend allows"):
        assert words in told.out
    data = call("operation", "show", "1", "-o", "json").data
    assert data["reason"] == "ticket 4711"
    assert data["layers"][0]["outcome"] == "grown"
    assert data["commands"][0]["argv"][0] == "truncate"


@deeds
def test_a_story_tells_who_did_what_and_when(
    call: Call, vol1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    call("volume", "extend", "vol1", "--size", "2G")
    data = call("operation", "show", "1", "-o", "json").data
    (run,) = data["runs"]
    assert (run["what"], run["sudo_user"], run["epoch"]) == ("opened", "alice", 1)
    assert (run["machine"], run["pid"]) == (me().machine, os.getpid())
    assert run["at"] == data["opened_at"]
    assert data["decision"] == ["volume:extend allows alice"]
    (layer,) = data["layers"]
    assert (layer["before"], layer["target"], layer["after"]) == (GIB, 2 * GIB, 2 * GIB)
    (command,) = data["commands"]
    assert (command["argv"][-1], command["status"], command["stdin"]) == (str(vol1), 0, "")
    told = call("operation", "show", "1").out
    for words in (
        f"alice as {me().user}",
        "opened",
        me().machine.partition(":")[0],
        "allows alice",
    ):
        assert words in told


@deeds
def test_operations_are_listed_by_time_volume_and_outcome(call: Call, vol1: Path) -> None:
    call("volume", "create", "vol2", "--backend", "files", "--size", "1M")
    call("volume", "extend", "vol1", "vol2", "--size", "2G", "--yes")

    def ids(*words: str) -> list[str]:
        return [one["volume"] for one in call("operation", "list", "-o", "json", *words).data]

    assert ids("--volume", "vol2") == ["vol2"]
    assert ids("--outcome", "done", "--since", "1h") == ["vol1", "vol2"]
    assert ids("--outcome", "failed") == []
    assert ids("--since", "2000-01-01", "--volume", "vol1") == ["vol1"]
    assert ids("--since", "2000-01-01T00:00:00+02:00") == ["vol1", "vol2"]
    assert ids("--since", "2999-12-31T23:59") == []
    assert ids("--volume", "vol1", "--outcome", "open") == []
    with open_store(f"sqlite:///{vol1.parent.parent}/state.db") as store:
        op = store.operations("vol1")[0]
        later = (op.opened_at + timedelta(seconds=1)).isoformat()
        assert ids("--since", op.opened_at.isoformat(), "--volume", "vol1") == ["vol1"]
        assert ids("--since", later, "--volume", "vol1") == []


@pytest.mark.parametrize("since", ["yesterday", "7", "-1d", "2026-13-01", "999999999w", ""])
def test_what_is_no_time_is_a_wrong_call(call: Call, since: str) -> None:
    done = call("operation", "list", "--since", since, "-o", "json")
    assert (done.status, done.data["error"]["code"]) == (2, "usage")


@deeds
def test_check_finds_what_has_drifted(call: Call, vol1: Path) -> None:
    assert call("volume", "check", "vol1").status == 0
    os.truncate(vol1, 2 * GIB)
    done = call("volume", "check", "-o", "json")
    assert done.status == 5
    assert done.data[0]["error"]["code"] == "not-verified"


@deeds
def test_resume_all_with_nothing_unfinished_is_well(call: Call, vol1: Path) -> None:
    assert call("volume", "resume", "--all", "-o", "json").data == []
    assert call("volume", "resume", "--all").out == "nothing is unfinished\n"
    assert call("volume", "resume", "vol1", "-o", "json").data[0]["outcome"] == "unchanged"
    assert call("volume", "resume").status == 2
    assert call("volume", "resume", "vol1", "--all").status == 2


def test_init_writes_once_and_never_over_a_file(call: Call, tmp_path: Path) -> None:
    first = call("init", "-o", "json")
    assert first.status == 0
    path = Path(first.data["config"])
    path.write_text("# mine\n")
    assert call("init").status == 2
    assert path.read_text() == "# mine\n"


def test_an_empty_list_says_which_state_is_empty(call: Call) -> None:
    """With another HOME, as under cron, it may be another one than was meant."""
    done = call("volume", "list")
    state = call("config", "show", "-o", "json").data["state"]
    assert done.out.splitlines()[0] == f"no volumes in {state} (no configuration file was found)"
    path = call("init", "-o", "json").data["config"]
    assert f"(configuration {path})" in call("volume", "list").out


def test_config_check_doubts_what_is_not_there(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("hosts:\n  a: {address: x, identity_file: /nowhere/key}\n")
    file.chmod(0o600)
    done = call("--config", str(file), "config", "check", "-o", "json")
    assert (done.status, done.data["ok"]) == (0, True)
    assert done.data["warnings"] == [
        "hosts.a: identity_file /nowhere/key is not there",
    ]
    assert done.err.splitlines() == [f"warning: {one}" for one in done.data["warnings"]]


def test_config_check_names_every_fault(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("hosts:\n  a: {adress: x}\nbackends:\n  b: {driver: nfs, host: c}\n")
    done = call("--config", str(file), "config", "check", "-o", "json")
    assert done.status == 2
    messages = [reason["message"] for reason in done.data["error"]["reasons"]]
    assert len(messages) >= 3
    assert all(message.startswith(f"{file}:") for message in messages)
    assert call("--config", str(file), "config", "check").err.count(f"{file}:") == len(messages)


def test_warnings_about_the_configuration_are_told_once(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "open.yaml"
    file.write_text(f"state: sqlite:///{tmp_path}/s.db\n")
    file.chmod(0o666)
    done = call("--config", str(file), "volume", "list")
    assert (done.status, done.err.count("others may write")) == (0, 1)


def test_attach_wants_a_host_or_discover(call: Call) -> None:
    assert call("volume", "attach", "vol1").status == 2
    assert call("volume", "attach", "vol1", "local", "--discover").status == 2
    assert call("volume", "attach", "vol1", "local", "--compute", "libvirt").status == 2
    assert call("volume", "attach", "vol1", "local", "--domain", "d", "--server", "s").status == 2


@deeds
def test_what_is_there_is_discovered_and_taken_in(call: Call, vol1: Path) -> None:
    """Also beside a file whose name would garble the screen, which stays where it is."""
    (vol1.parent / "vol2").write_bytes(bytes(4096))
    (vol1.parent / "\x1b[31m[red]x y").write_bytes(bytes(4096))
    found = call("volume", "discover", "files", "-o", "json")
    assert (found.status, found.err) == (0, "")
    assert [(one["name"], one["outcome"]) for one in found.data] == [
        ("\x1b[31m[red]x y", "refused"), ("vol2", "planned"),
    ]  # fmt: skip
    assert found.data[1]["size"] == 4096
    assert found.data[0]["error"]["code"] == "obstacle"
    assert [one["name"] for one in call("volume", "list", "-o", "json").data] == ["vol1"]
    taken = call("volume", "discover", "files", "--import")
    assert (taken.status, "\x1b" in taken.out + taken.err) == (0, False)
    assert "\\x1b[31m[red]x y" in taken.out
    listed = call("volume", "list", "-o", "json").data
    assert [one["name"] for one in listed] == ["vol1", "vol2"]
    again = call("volume", "discover", "files", "--import", "-o", "json")
    assert [one["outcome"] for one in again.data] == ["refused"]
    assert again.status == 0
    assert call("volume", "list", "-o", "json").data == listed


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (["-o", "json"], "json"),
        (["-ojson", "volume"], "json"),
        (["volume", "--output=yaml"], "yaml"),
        (["-vo", "json"], "json"),
        (["--output", "xml"], "table"),
        (["--", "-o", "json"], "table"),
        (["-o"], "table"),
    ],
)
def test_the_form_is_known_before_the_call_is_understood(words: list[str], form: str) -> None:
    assert wanted_output(words) == form


@command("broken", example="extendctl broken")
def broken() -> None:
    """Do what nobody foresaw."""
    raise RuntimeError("\x1b[31mred")


def test_a_bug_says_so_and_shows_the_place_with_v(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-o", "json"], Session(), broken) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == "bug"
    assert "this is a bug in extendctl: RuntimeError: \\x1b[31mred" in said.err
    assert "Traceback" not in said.err
    assert run(["-v"], Session(), broken) == 1
    assert "Traceback" in capsys.readouterr().err


class StopsAtTheFirstDeed(threading.Event):
    """As if a signal came as soon as an operation is open."""

    session: Session

    def is_set(self) -> bool:
        return self.session.working


def stopping() -> Session:
    """A run that is told to stop as soon as an operation is open."""
    stop = StopsAtTheFirstDeed()
    stop.session = Session(stop=stop)
    return stop.session


@deeds
def test_interrupted_the_operation_stays_open_for_resume(call: Call, vol1: Path) -> None:
    done = call("volume", "extend", "vol1", "--size", "2G", "-o", "json", session=stopping())
    assert done.status == 130
    assert done.data[0]["error"]["code"] == "interrupted"
    assert done.data[0]["error"]["hint"] == "extendctl volume resume vol1"
    assert done.data[0]["status"] == "extending"
    sizes = [done.data[0][name] for name in ("before", "goal", "size")]
    assert sizes == [GIB, 2 * GIB, GIB]
    assert vol1.stat().st_size == GIB


class Meanwhile(threading.Event):
    """Something happens to the state while an operation is open; then the signal comes."""

    def __init__(self, session: Session, happens: Callable[[], None]) -> None:
        super().__init__()
        self.session = session
        self.happens = happens

    def is_set(self) -> bool:
        if not self.session.working:
            return False
        self.happens()
        return True


@deeds
def test_interrupted_after_a_take_over_it_is_not_said_that_nothing_was_begun(
    call: Call, vol1: Path
) -> None:
    """A laptop that slept; its user presses Ctrl-C when another has the operation already."""

    def happens() -> None:
        with open_store(f"sqlite:///{vol1.parent.parent}/state.db") as store:
            store.take_over(store.open_operations()[0], replace(me(), pid=1))

    session = Session()
    session.stop = Meanwhile(session, happens)
    done = call("volume", "extend", "vol1", "--size", "2G", "-o", "json", session=session)
    (report,) = done.data
    assert (done.status, report["error"]["code"]) == (130, "interrupted")
    assert "taken over or ended by another program" in report["error"]["message"]
    assert vol1.stat().st_size == GIB


@deeds
@pytest.mark.parametrize("words", [("extend", "vol1", "--size", "2G"), ("resume", "--all")])
def test_interrupted_it_is_130_though_the_state_does_not_answer(
    call: Call, vol1: Path, words: tuple[str, ...]
) -> None:
    def happens() -> None:
        with closing(sqlite3.connect(vol1.parent.parent / "state.db")) as raw, raw:
            raw.execute("DROP TABLE attachments")

    if words[0] == "resume":
        call("volume", "extend", "vol1", "--size", "2G", session=stopping())
        disown(vol1.parent.parent / "state.db")
    session = Session()
    session.stop = Meanwhile(session, happens)
    done = call("volume", *words, "-o", "json", session=session)
    (report,) = done.data
    assert (done.status, report["volume"], report["error"]["code"]) == (130, "vol1", "interrupted")
    assert "what is open is not known" in report["error"]["message"]


def disown(state: Path) -> None:
    """Let the owner of what is open be a process that there is not."""
    with closing(sqlite3.connect(state)) as raw, raw:
        raw.execute("UPDATE operations SET owner_started = 1")


@deeds
def test_a_story_tells_programs_too_whether_somebody_is_at_work(call: Call, vol1: Path) -> None:
    call("volume", "extend", "vol1", "--size", "2G", session=stopping())

    def alive() -> object:
        return call("operation", "show", "1", "-o", "json").data["alive"]

    assert alive() is True
    disown(vol1.parent.parent / "state.db")
    assert alive() is False
    call("volume", "resume", "vol1")
    assert alive() is None


@deeds
def test_interrupted_while_waiting_for_another_nothing_was_begun(call: Call, vol1: Path) -> None:
    call("volume", "extend", "vol1", "--size", "2G", session=stopping())  # and so is at work on it
    words = ("volume", "extend", "vol1", "--size", "3G", "--wait", "60", "-v", "-o", "json")
    program = subprocess.Popen(
        [sys.executable, "-m", "extendctl", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stderr is not None
    program.stderr.readline()  # the configuration is read
    time.sleep(1)
    program.send_signal(signal.SIGTERM)
    out, _ = program.communicate(timeout=20)
    assert program.returncode == 130
    (report,) = json.loads(out)
    assert report["error"]["message"] == "interrupted; nothing was begun on vol1"
    known = [report[name] for name in ("status", "before", "goal", "size")]
    assert known == ["extending", GIB, 3 * GIB, GIB]


@pytest.mark.parametrize("words", [("extend", "vol1", "--size", "2G"), ("check", "vol1")])
@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_who_waits_for_a_silent_machine_leaves_at_once(
    words: tuple[str, ...], again: bool, state: Path, tmp_path: Path
) -> None:
    """Before anything is open nobody waits for the machines that are still being asked."""
    deaf = socket.create_server(("127.0.0.1", 0))
    config, port = tmp_path / "config.yaml", deaf.getsockname()[1]
    config.write_text(DEAF.format(port=port, top=tmp_path))
    key = paramiko.RSAKey.generate(2048)
    key.write_private_key_file(str(tmp_path / "key"))
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} ssh-rsa {key.get_base64()}\n")
    with open_store(f"sqlite:///{tmp_path}/state.db", create=True) as store:
        store.add_volume("vol1", backend="fast", source="vol1", identity="lv:x", size=GIB)
    base = [sys.executable, "-m", "extendctl", "--config", str(config), "volume"]
    program = subprocess.Popen(
        [*base, *words, "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deaf.settimeout(20)
    line, _ = deaf.accept()
    began = time.monotonic()
    program.send_signal(signal.SIGINT)
    if again:
        program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=20)
    assert time.monotonic() - began < 10
    assert (program.returncode, b"Traceback" in err) == (130, False)
    if not again:
        assert json.loads(out)[0]["error"]["code"] == "interrupted"
    line.close()
    deaf.close()


DEAF = """
state: sqlite:///{top}/state.db
ssh: {{connect_timeout: 60, identity_file: {top}/key, known_hosts: {top}/known}}
hosts: {{silo: {{address: 127.0.0.1, port: {port}, user: ops}}}}
backends: {{fast: {{driver: lvm, host: silo, volume_group: vg0}}}}
"""


def test_a_state_that_was_open_to_all_is_told_once(call: Call, vol1: Path, state: Path) -> None:
    """Opening it makes it private; whoever owns it learns that it was not."""
    file = state / "state.db"
    file.chmod(0o666)
    first = call("volume", "list", "-o", "json")
    assert (first.status, len(first.data)) == (0, 1)
    assert f"the state {file} can be read by others (mode 0666)" in first.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert "mode" not in call("volume", "list").err


def test_after_a_signal_nothing_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    """It may come in the middle of an import, and leave half a module behind."""
    session = Session(hurried=True)

    @click.command
    def broken() -> None:
        raise AttributeError("module 'sqlalchemy' has no attribute 'dialects'")

    assert run((), session, broken) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_signal_while_nothing_is_open_ends_the_program() -> None:
    session = Session()
    with pytest.raises(KeyboardInterrupt), on_signals(session):
        signal.raise_signal(signal.SIGTERM)
    assert not session.stop.is_set()
    assert session.hurried


def test_a_signal_during_an_operation_lets_what_is_in_flight_end(
    capfd: pytest.CaptureFixture[str],
) -> None:
    session = Session(working=True)
    with on_signals(session):
        signal.raise_signal(signal.SIGINT)
    assert session.stop.is_set()
    assert "interrupt again to leave at once" in capfd.readouterr().err


class Presses(threading.Event):
    """Somebody presses Ctrl-C while the first command of a create is about to be sent."""

    def is_set(self) -> bool:
        raise KeyboardInterrupt


@deeds
def test_a_create_that_is_interrupted_names_the_way_on(call: Call) -> None:
    words = ("volume", "create", "vol1", "--backend", "files", "--size", "1G", "-o", "json")
    done = call(*words, session=Session(stop=Presses()))
    assert done.status == 130
    assert (
        done.data["error"]["hint"] == "the same command looks first, and goes on from what it finds"
    )
    assert call(*words).status == 0
