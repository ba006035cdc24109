"""What people see: in a pipe, in a terminal, without colour, and from hostile machines."""

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl import views
from extendctl.console import Console, as_yaml
from extendctl.errors import Fault, Refused, Unreachable, not_found
from extendctl.extension import report as reports
from extendctl.model import (
    Attachment,
    AttachmentReport,
    LayerOutcome,
    LayerReport,
    Outcome,
    Volume,
    VolumeReport,
)
from extendctl.page import Line, Table, cell, clean, plain
from extendctl.stack import Measured
from tests.toys import Toy

pytestmark = pytest.mark.slow

TOP = Path(__file__).parent.parent
GIB = 1 << 30
ESCAPE = "\x1b"

deeds = pytest.mark.skipif(os.geteuid() != 0, reason="the file backend grows files as root")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return kept | {
        "XDG_STATE_HOME": str(tmp_path / ("a-rather-long-directory-name-" * 3)),
        "XDG_CONFIG_HOME": str(tmp_path),
        "PYTHONPATH": str(TOP),
        "TERM": "xterm",
    }


def piped(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "extendctl", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def in_terminal(
    environment: dict[str, str], *words: str, columns: int = 80, answer: bytes = b""
) -> tuple[int, str]:
    """Status and screen of the program in a pseudo-terminal; answers when it is asked."""
    head, tail = pty.openpty()
    with os.fdopen(head, "rb", buffering=0) as screen:
        program = subprocess.Popen(
            [sys.executable, "-m", "extendctl", *words],
            env=environment | {"COLUMNS": str(columns), "LINES": "40"},
            stdin=tail,
            stdout=tail,
            stderr=tail,
            start_new_session=True,
        )
        os.close(tail)
        seen = _read(screen.fileno(), answer)
        return program.wait(30), seen.decode()


def _read(screen: int, answer: bytes) -> bytes:
    seen, until = b"", time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([screen], [], [], 1.0)[0]:
            continue
        try:
            more = os.read(screen, 65536)
        except OSError:  # the other end is closed: EIO on Linux
            return seen
        if not more:
            return seen
        seen += more
        if answer and b"[y/N]" in seen:
            os.write(screen, answer)
            answer = b""
    return seen


@deeds
def test_a_pipe_has_no_escapes_and_nothing_is_cut_short(environment: dict[str, str]) -> None:
    piped(environment, "volume", "create", "vol1", "--backend", "files", "--size", "1G")
    done = piped(environment, "volume", "extend", "vol1", "--size", "2G")
    assert done.returncode == 0, done.stderr
    assert ESCAPE not in done.stdout + done.stderr
    path = f"{environment['XDG_STATE_HOME']}/extendctl/volumes/vol1"
    assert len(path) > 80
    assert any(path in line and "grown" in line for line in done.stdout.splitlines())
    assert done.stdout.endswith("vol1: 1 GiB -> 2 GiB, done (operation 1)\n")
    assert f"{path}: grown to 2 GiB" in done.stderr


@deeds
def test_quiet_has_no_progress_and_verbose_has_bytes(environment: dict[str, str]) -> None:
    piped(environment, "volume", "create", "vol1", "--backend", "files", "--size", "1G")
    assert piped(environment, "-q", "volume", "extend", "vol1", "--size", "2G").stderr == ""
    told = piped(environment, "volume", "extend", "vol1", "--size", "3G", "-v").stderr
    assert f"measured {2 * GIB} bytes, has room for {3 * GIB} bytes" in told
    assert "configuration: the embedded default" in told


@deeds
def test_a_terminal_has_colours_and_folds(environment: dict[str, str]) -> None:
    piped(environment, "volume", "create", "vol1", "--backend", "files", "--size", "1G")
    status, screen = in_terminal(environment, "volume", "extend", "vol1", "--size", "2G")
    assert status == 0
    assert f"{ESCAPE}[32mvol1: 1 GiB -> 2 GiB, done (operation 1)" in screen
    assert "…" not in screen


@deeds
@pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_no_colour_is_honoured(environment: dict[str, str], wish: dict[str, str]) -> None:
    piped(environment, "volume", "create", "vol1", "--backend", "files", "--size", "1G")
    _, screen = in_terminal(environment | wish, "volume", "extend", "vol1", "--size", "2G")
    assert "vol1: 1 GiB -> 2 GiB, done" in screen
    assert not re.search(r"\x1b\[[0-9;]*m", screen)


@deeds
@pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 3)])
def test_a_person_is_asked_once(environment: dict[str, str], answer: bytes, status: int) -> None:
    piped(environment, "volume", "create", "vol1", "--backend", "files", "--size", "1G")
    words = ("volume", "extend", "vol1", "--size", "11G")
    found, screen = in_terminal(environment, *words, answer=answer)
    assert (found, screen.count("[y/N]")) == (status, 1)
    path = Path(environment["XDG_STATE_HOME"], "extendctl/volumes/vol1")
    assert path.stat().st_size == (GIB if status else 11 * GIB)


@deeds
def test_a_pipe_is_never_asked(environment: dict[str, str]) -> None:
    piped(environment, "volume", "create", "vol1", "--backend", "files", "--size", "1G")
    done = piped(environment, "volume", "extend", "vol1", "--size", "11G")
    assert done.returncode == 3
    assert "vol1: refused, nothing was changed" in done.stderr
    assert "hint: if that is meant, say so with --yes" in done.stderr


def test_nobody_reads_any_more(environment: dict[str, str]) -> None:
    words = [sys.executable, "-m", "extendctl", "config", "schema"]
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == b""


def test_an_answer_that_cannot_be_written_is_told(environment: dict[str, str]) -> None:
    words = [sys.executable, "-m", "extendctl", "config", "schema"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            words, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "error: the answer cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(closed: str, environment: dict[str, str]) -> None:
    """Who closes a stream wants to hear nothing there; the exit status is still told."""
    for words, status in (("config schema", 0), ("no such command", 2)):
        line = f'exec "$0" -m extendctl {words} {closed}'
        done = subprocess.run(
            ["/bin/sh", "-c", line, sys.executable],
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == status
        assert b"Traceback" not in done.stderr
        assert b"bug" not in done.stderr


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_an_extension_goes_on_when_nobody_reads_its_progress() -> None:
    told = Console()
    with redirect_stderr(Closed()):
        told.heard("vol1", Measured(Toy("a", {}), GIB, 2 * GIB))
    assert told.verbosity == -1


@pytest.mark.parametrize(
    ("typed", "found"),
    [("vol", "volume"), ("volume ext", "extend"), ("volume extend --gr", "--grow-lv")],
)
def test_a_shell_completes(environment: dict[str, str], typed: str, found: str) -> None:
    words = typed.split(" ")
    asked = {
        "_EXTENDCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": f"extendctl {typed}",
        "COMP_CWORD": str(len(words)),
    }
    assert piped(environment | asked).stdout.splitlines() == [f"plain,{found}"]


HOSTILE = "\x1b[2J\x07[red]\u202edab\r\n\t\udcff\x9b1m"


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    shown = clean(HOSTILE)
    assert shown.isprintable()
    assert shown == "\\x1b[2J\\x07[red]\\u202edab\\r\\n\\t\\udcff\\x9b1m"
    assert clean("größe 20 GiB: ünïcode ✓") == "größe 20 GiB: ünïcode ✓"


def test_plain_text_is_made_safe_in_lines_and_tables() -> None:
    page: list[Line | Table] = [Line(HOSTILE), Table(("A",), ((cell(HOSTILE),),))]
    assert all(line.isprintable() for line in plain(page).splitlines())


def test_a_terminal_is_given_no_markup_and_no_escapes_of_others(
    environment: dict[str, str],
) -> None:
    status, screen = in_terminal(
        environment, "volume", "show", "\x1b]0;pwned\x07[/red]", columns=200
    )
    assert status == 3
    assert "\x1b]0;" not in screen
    assert "\\x1b]0;pwned\\x07[/red]" in screen


def layer(
    host: str, kind: str, name: str, outcome: LayerOutcome, note: str = ""
) -> LayerReport:  # fmt: skip
    after = 20 * GIB if outcome is LayerOutcome.GROWN else None
    return LayerReport(f"{host}/{name}", host, kind, name, 10 * GIB, after, outcome, note)


def lagging() -> VolumeReport:
    lost = Unreachable("web2 did not answer", host="web2", hint="try again when it answers")
    uses = (
        AttachmentReport("web1", "linux", Outcome.DONE, 20 * GIB),
        AttachmentReport("web2", "linux", Outcome.INCOMPLETE, None, lost),
    )
    layers = (
        layer("silo", "lv", "vg0/vol1", LayerOutcome.GROWN),
        layer("silo", "lun", f"iqn.2003-01.org.{'x' * 60}, LUN 0", LayerOutcome.GROWN),
        layer("web1", "path", "sdb", LayerOutcome.GROWN),
        layer("web2", "path", "sdb", LayerOutcome.UNKNOWN, str(lost)),
        layer("web2", "xfs", "/srv", LayerOutcome.UNKNOWN, "not reached"),
    )
    error = reports.lagging("vol1", uses, acted=True)
    return VolumeReport(
        "vol1", Outcome.INCOMPLETE, 17, "in-use", 10 * GIB, 20 * GIB, 20 * GIB, layers, uses,
        ("the pool is nearly full",), error,
    )  # fmt: skip


def test_what_is_behind_stands_out() -> None:
    rows = plain(views.extended([lagging()])).splitlines()
    assert [row[0] for row in rows[1:6]] == [" ", " ", " ", "!", "!"]
    assert rows[5].endswith("not reached")
    assert "  note: the pool is nearly full" in rows


def test_complaints_say_what_happened_and_what_to_do() -> None:
    assert plain(views.complaints([lagging()])).splitlines() == [
        "vol1: 10 GiB -> 20 GiB, incomplete (operation 17)",
        "  - web2 did not answer",
        "    hint: try again when it answers",
        "  hint: when the cause is gone: extendctl volume resume vol1",
    ]


def test_a_refusal_has_every_reason_and_says_that_nothing_was_changed() -> None:
    faults = (
        Fault("policy-denied", "policy says no", "ask for it"),
        Fault("no-space", "the pool is full", "add space"),
    )
    refused = VolumeReport("vol1", Outcome.REFUSED, error=Refused(faults))
    assert plain(views.complaints([refused])).splitlines() == [
        "vol1: refused, nothing was changed",
        "  - policy says no",
        "    hint: ask for it",
        "  - the pool is full",
        "    hint: add space",
    ]
    assert plain(views.extended([refused])) == ""


def test_sizes_that_look_alike_are_told_in_bytes() -> None:
    grown = VolumeReport("v", Outcome.DONE, 1, "in-use", 10 * GIB, 10 * GIB + 4096, 10 * GIB + 4096)
    assert (
        views.summary(grown)
        == f"v: {10 * GIB} bytes -> {10 * GIB + 4096} bytes, done (operation 1)"
    )


def test_a_list_names_what_is_unfinished() -> None:
    plain_one = Volume(1, "v", "b", "s", "i", GIB)
    used = replace(plain_one, attachments=(Attachment(1, "web1"),))
    listed = [
        plain_one,
        replace(used, attachments=(Attachment(1, "web1", lagging=True), Attachment(2, "web2"))),
        replace(used, open_operation=3),
        replace(used, failed_operation=4),
    ]
    assert [line.split() for line in plain(views.volumes(listed)).splitlines()] == [
        ["NAME", "BACKEND", "SIZE", "STATUS", "HOSTS", "UNFINISHED"],
        ["v", "b", "1", "GiB", "available", "-", "-"],
        ["v", "b", "1", "GiB", "in-use", "web1,", "web2", "lagging:", "web1"],
        ["v", "b", "1", "GiB", "extending", "web1", "operation", "3", "is", "open"],
        ["v", "b", "1", "GiB", "error_extending", "web1", "operation", "4", "failed"],
    ]


USED = Volume(1, "v", "b", "s", "i", GIB, attachments=(Attachment(1, "web1"),))


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (USED, "ok"),
        (replace(USED, open_operation=3), "unfinished"),
        (replace(USED, failed_operation=3), "unfinished"),
        (replace(USED, attachments=(Attachment(1, "web1", lagging=True),)), "lagging"),
    ],
)
def test_no_host_is_called_well_while_something_is_unfinished(one: Volume, state: str) -> None:
    rows = plain(views.volume(one, None, ())).splitlines()
    assert [row.split()[-1] for row in rows if row.startswith("web1")] == [state]


class Screen(io.StringIO):
    """A terminal's memory."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [80, 200])
def test_a_ladder_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", str(columns)), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    screen = Screen()
    with redirect_stdout(screen):
        Console().result(None, lambda: views.extended([lagging()]))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in screen.getvalue()
    assert screen.getvalue().count("x") > 60
    assert sum("20 GiB" in line for line in lines) == 3


def test_yaml_is_the_same_data() -> None:
    yaml = pytest.importorskip("yaml")
    data = [lagging().as_dict()]
    assert yaml.safe_load(as_yaml(data)) == data


def test_a_check_that_finds_no_such_volume_does_not_say_that_there_are_none() -> None:
    """Nothing on stdout; what is wrong stands on stderr."""
    lost = VolumeReport("nope", Outcome.REFUSED, error=not_found("there is no volume nope", ""))
    assert list(views.checked([lost])) == []
    assert list(views.checked([])) == [Line("no volumes")]
