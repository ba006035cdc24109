"""Machines whose tools and names are hostile: nothing is confused, and no terminal obeys."""

import io
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from extendctl import phrasebook, views
from extendctl.backends.lv import LvLayer
from extendctl.cli.session import complaint
from extendctl.console import Console, Ladder
from extendctl.errors import Fault, Refused
from extendctl.model import LayerOutcome, LayerReport, Outcome, VolumeReport
from extendctl.page import Line, Page, Table, cell
from extendctl.size import LARGEST
from extendctl.stack import Event, Measured, Settled
from tests.extending import MEMORY, Make, Rehearsal, begin
from tests.fuzz import seeds
from tests.fuzz.answers import machine
from tests.fuzz.subjects import text_of
from tests.toys import Toy
from tests.world.site import iscsi_btrfs_thin, iscsi_ext4, iscsi_xfs
from tests.world.state import GIB
from tests.world.tower import tower

pytestmark = pytest.mark.long

HOSTILE = (
    "\x1b[5;41m\x1b]0;pwned\x07\x9b5m[bold]x[/bold][link=file:///etc/passwd]y[/link]"
    "\u202e\u200b\u2066\x7f\x08\r\n\t\udcff$(touch /tmp/pwned)`id`'\""
)
"""Escapes of 7 and 8 bits, a title, markup, turned writing, zero width, DEL, a shell's grammar."""

SAID = HOSTILE.replace("\udcff", "\ufffd\0")
"""The same as a transport gives it: what is no UTF-8 is replaced there."""

_RICH = re.compile(r"\x1b\[(?:0|1|2|31|32|33|1;31)m")
"""The only escapes that this program writes by itself."""


class Screen(io.StringIO):
    """A terminal's memory."""

    def isatty(self) -> bool:
        return True


def safe(text: str, *, own: bool = False) -> bool:
    """Whether nothing in a text moves, colours, hides or turns anything."""
    bare = _RICH.sub("", text) if own else text
    return all(line.isprintable() for line in bare.split("\n"))


def shown(data: object, page: Page) -> None:
    """Put it out in every form, and look at what comes out."""
    for output in ("table", "json", "yaml"):
        for stream in (io.StringIO(), Screen()):
            with redirect_stdout(stream), redirect_stderr(stream):
                Console(output).result(data, lambda: page)
                Console(output).message(page)
            assert safe(stream.getvalue(), own=True), repr(stream.getvalue())
    out = io.StringIO()
    with redirect_stdout(out):
        Console("json").result(data, list)
    assert json.loads(out.getvalue()) == json.loads(json.dumps(data))
    with redirect_stdout(io.StringIO()) as out:
        Console("yaml").result(data, list)
    yaml.safe_load(out.getvalue())


def reported(report: VolumeReport) -> None:
    """A report in every view that there is of it."""
    pages: list[Line | Table] = [
        *views.extended([report]),
        *views.extended([report], dry_run=True),
        *views.complaints([report]),
        *views.checked([report]),
        *views.findings([report]),
        *([] if report.error is None else complaint(report.error)),
    ]
    shown([report.as_dict()], pages)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as found:
        yield Path(found)


def test_every_form_of_output_shows_what_is_hostile_and_does_not_obey_it() -> None:
    fault = Fault("obstacle", HOSTILE, HOSTILE, HOSTILE)
    line = LayerReport(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, None, LayerOutcome.FAILED, HOSTILE)
    reported(
        VolumeReport(
            HOSTILE, Outcome.INCOMPLETE, 1, HOSTILE, 1, 2, 3, (line,), (), (HOSTILE,),
            Refused((fault,)),
        )
    )  # fmt: skip
    shown({HOSTILE: [HOSTILE]}, [Line(HOSTILE), Table(("NAME",), ((cell(HOSTILE),),))])


def test_progress_and_the_live_view_do_not_obey_it() -> None:
    """The lines of a pipe, and the picture that is drawn again and again on a terminal."""
    layer = Toy(HOSTILE, {})
    told: list[Event] = [Measured(layer, GIB, 2 * GIB), Settled(layer, GIB, 2 * GIB, 2 * GIB)]
    for verbosity in (0, 1):
        stream = io.StringIO()
        with redirect_stderr(stream):
            console = Console("table", verbosity)
            for event in told:
                console.heard(HOSTILE, event)
        assert stream.getvalue()
        assert safe(stream.getvalue())
    ladder, screen = Ladder(HOSTILE), Screen()
    from rich.console import Console as Drawn

    for event in told:
        Drawn(file=screen, force_terminal=True).print(ladder.picture())
        ladder.note(event)
    Drawn(file=screen, force_terminal=True).print(ladder.picture())
    assert "pwned" in screen.getvalue()
    assert safe(screen.getvalue(), own=True)


POINTS = [
    "/srv/with space", "/srv/-rf", "/srv/-- --help", "/srv/new\nline", "/srv/tab\there",
    "/srv/quote'\"", "/srv/$(touch pwned)`id`;reboot", "/srv/ünï/日本", "/srv/\u202eder\u200bb",
    "/srv/[bold]x[/bold]", "/srv/back\\slash\\040", "/srv/#hash", "/srv/*?[a]", "/srv/\x1b[5;41m",
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("make", [iscsi_ext4, iscsi_xfs, iscsi_btrfs_thin])
def test_a_mount_point_of_any_name_arrives_word_for_word(
    make: Make, point: str, tmp_path: Path
) -> None:
    """As one argument, as it is; and it is shown so that nothing obeys it."""
    site = make(None)
    with site.world.change() as state:
        state.machines["web1"].mounts[0].point = point
    stage = begin(site, tmp_path)
    report = stage.extend()
    assert report.outcome is Outcome.DONE
    assert stage.volume().attachments[0].mountpoint == point
    assert stage.check().exit_status == 0
    deeds = [argv for argv in stage.world.deeds("web1") if argv[0] in {"xfs_growfs", "btrfs"}]
    assert all(argv[-1] == point for argv in deeds)
    assert bool(deeds) == (make is not iscsi_ext4)
    reported(report)
    volume = stage.volume()
    shown({}, views.volume(volume, None, ()))


STRANGE = ["crypt\nx", "-crypt", "a/b", "\x1b[2J", "\u202ex", ".."]


@pytest.mark.parametrize("name", ["my crypt", "crypt+ü", *STRANGE])
def test_a_mapping_of_any_name_is_one_word_or_refused(name: str, tmp_path: Path) -> None:
    """Before anything is touched; a space is no reason."""
    stage = begin(tower("luks1", "ext4"), tmp_path)
    with stage.change() as state:
        state.machines["web1"].devices["dm-20"].dm_name = name
    report = stage.extend()
    reported(report)
    if name in STRANGE:
        assert (report.exit_status, stage.world.deeds()) == (3, [])
    else:
        assert report.outcome is Outcome.DONE
        assert ("cryptsetup", "resize", "--batch-mode", name) in stage.world.deeds("web1")


TALL = ("multipath", "gpt", "luks", "lvm", "xfs")
SITES: dict[str, Make] = {"ext4": iscsi_ext4, "tall": lambda path: tower(*TALL, path=path)}


ALL = [(name, status) for name in SITES for status in (0, 1, 5, 124, 127)]
FEW = {("ext4", 0), ("ext4", 5)}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "status"),
    [pytest.param(*one, marks=() if one in FEW else pytest.mark.long) for one in ALL],
)
def test_whatever_a_tool_says_is_told_and_never_obeyed(
    name: str, status: int, directory: Path
) -> None:
    """Each tool on each machine in turn says hostile things, in vain or having done its work."""
    rehearsal = Rehearsal(SITES[name], directory)
    rehearsal.again().extend()
    tools = {(one.machine, one.argv[0]) for one in rehearsal.stage.world.log}
    assert len(tools) >= 6
    for host, tool in sorted(tools):
        for acts in (False, True):
            stage = rehearsal.again()
            stage.world.lie(host, tool, status=status, out=SAID, err=SAID, acts=acts)
            for report in (stage.check(), stage.extend(dry_run=True), stage.extend()):
                assert report.exit_status in {0, 3, 4, 5}, (host, tool)
                reported(report)
            stage.world.heal()
            assert stage.extend().outcome in {Outcome.DONE, Outcome.UNCHANGED}, (host, tool)
            assert set(stage.growths.values()) <= {1}


def test_a_volume_that_is_larger_than_its_group_is_a_lie() -> None:
    """It is not adopted: a state that believes it would refuse every honest size from then on."""
    honest = text_of(seeds.of("logical_volumes")[0])
    row = machine(honest).ask(phrasebook.logical_volumes("vg0"))["ext4vol"]
    assert LvLayer(machine(honest), "vg0", "ext4vol", row.uuid).measure() == row.size
    lying = honest.replace(f'"lv_size":"{row.size}"', f'"lv_size":"{1 << 50}"')
    with pytest.raises(Refused, match=f"{1 << 50} bytes as lvs says, and its volume group"):
        LvLayer(machine(lying), "vg0", "ext4vol", row.uuid).measure()


@pytest.mark.parametrize("blocks", [(10 * GIB + (1 << 30)) // 4096, LARGEST // 4096])
def test_a_filesystem_that_is_larger_than_its_device_is_named(blocks: int, tmp_path: Path) -> None:
    """Somebody has shrunk what is beneath, or a tool lies: nothing that looks full is well."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.contents["silo/vg0/vol1"].blocks = blocks
    checked = stage.check()
    assert checked.exit_status == 5
    assert "stands on path sdb" in str(checked.error)
    assert stage.world.deeds() == []
