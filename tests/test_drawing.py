"""Dry run and `volume show` draw stacks as lsblk would, by host, with where they stop and why."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from extendctl import views
from extendctl.page import Line, Table
from extendctl.views_data import Story
from extendctl.views_operation import operation
from tests.extending import Stage, begin
from tests.world import build
from tests.world.site import POINT, shared
from tests.world.tower import tower

TALL = ("multipath", "gpt", "luks", "lvm", "ext4")


def drawn(page: Iterable[Line | Table]) -> list[str]:
    """The page as plain text, a kind as deep as it stands."""
    found = []
    for part in page:
        if isinstance(part, Line):
            found.append(part.text)
        else:
            found += [" ".join("." * cell.depth + cell.text for cell in row).strip()
                      for row in part.rows]  # fmt: skip
    return found


def shown(stage: Stage) -> list[str]:
    """`volume show` after the last operation."""
    last = stage.store.operations()[-1]
    return drawn(views.volume(stage.volume(), last, stage.store.records(last.id)))


def test_a_dry_run_draws_every_layer_now_and_then(tmp_path: Path) -> None:
    stage = begin(tower(*TALL), tmp_path)
    page = drawn(views.extended([stage.extend(dry_run=True)], dry_run=True))
    assert page == [
        "silo lv vg0/vol1 10 GiB 20 GiB planned",
        "silo .lun iqn.2026-11.com.example:vol1,lun0 10 GiB 20 GiB planned",
        "web1 path sdb,sdc 10 GiB 20 GiB planned",
        "web1 .multipath mpatha 10 GiB 20 GiB planned",
        "web1 ..partition /dev/mapper/mpatha-part1 10 GiB 20 GiB planned",
        "web1 ...luks crypt2 9.98 GiB 19.98 GiB planned",
        "web1 ....pv /dev/mapper/crypt2 9.98 GiB 19.98 GiB planned",
        "web1 .....guest-lv 3-vg/data 9.48 GiB 19.48 GiB planned",
        "web1 ......ext4 /srv/vol1 9.48 GiB 19.48 GiB planned",
        "vol1: 10 GiB -> 20 GiB, planned; nothing was changed",
    ]


def test_where_it_stops_stands_in_the_drawing_and_why_below_it(tmp_path: Path) -> None:
    stage = begin(tower(*TALL), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
    reason = "ext4 on /dev/mapper/3--vg-data is not mounted on this host; --offline checks and "
    reason += "grows it"
    note = f"note: web1: /dev/mapper/3--vg-data is left as it is: {reason}"
    stop = "web1 .....ext4 /dev/mapper/3--vg-data - - skipped"
    dry = drawn(views.extended([stage.extend(dry_run=True)], dry_run=True))
    assert [stop in dry, note in dry] == [True, True]
    assert stage.extend().error is None
    page = shown(stage)
    assert "web1 .....guest-lv 3-vg/data 19.48 GiB 19.48 GiB grown" in page
    assert [stop in page, note in page] == [True, True]
    (last,) = stage.store.operations()
    store = stage.store
    parts = store.runs(last.id), store.records(last.id), store.deeds(last.id)
    story = drawn(operation(Story(last, *parts, alive=False)))
    assert any(line.endswith("ext4 /dev/mapper/3--vg-data - - skipped") for line in story)


def test_each_host_has_its_own_drawing(tmp_path: Path) -> None:
    """The content stands where it grows; the other host says who grows it."""
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        build.filesystem(state, "web2", "sdb", "xfs")
        build.mount(state, "web2", "sdb", POINT)
    assert stage.extend().error is None
    page = [line for line in shown(stage) if line.startswith(("web1 ", "web2 ", "note:"))]
    drawing = [line for line in page if " linux " not in line]
    assert drawing == [
        "web1 path sdb 20 GiB 20 GiB grown",
        "web1 xfs /dev/sdb - - skipped",
        "web2 path sdb 20 GiB 20 GiB grown",
        "web2 .xfs /srv/vol1 20 GiB 20 GiB grown",
        "note: web1: /dev/sdb is left as it is: xfs on /dev/sdb is not in use on this host",
    ]


def test_which_host_was_measured_first_does_not_show(tmp_path: Path) -> None:
    """They are measured side by side."""
    stage = begin(shared(), tmp_path)
    assert stage.extend().error is None
    (last,) = stage.store.operations()
    pages = []
    for late in ("web1", "web2"):
        records = stage.store.records(last.id)
        order = [replace(one, seq=one.seq + 100 * (one.host == late)) for one in records]
        order.sort(key=lambda one: one.seq)
        assert order[-1].host == late
        pages.append(drawn(views.volume(stage.volume(), last, order)))
    assert pages[0] == pages[1]


def test_what_stayed_behind_stands_out_in_both(tmp_path: Path) -> None:
    stage = begin(tower(*TALL), tmp_path)
    stage.world.lie("web1", "cryptsetup", status=1, err="Nothing to read on input.", only="deed")
    report = stage.extend()
    assert report.exit_status == 5
    page = drawn(views.extended([report]))
    assert "! web1 ...luks crypt2 9.98 GiB ? failed" in page
    assert "! web1 ....pv /dev/mapper/crypt2 9.98 GiB ? not reached" in page
    assert "web1 ...luks crypt2 ? 19.98 GiB failed" in shown(stage)
    assert "to finish: extendctl volume resume vol1" in shown(stage)
