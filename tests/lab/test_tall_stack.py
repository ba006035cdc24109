"""Stacks of every kind grow on a real host while they are written to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from extendctl import app, inventory, size
from extendctl.extension.extend import extend
from extendctl.extension.means import Means
from extendctl.extension.plan import Wish
from extendctl.inventory import Place
from extendctl.model import GrowOptions, VolumeReport
from tests.lab import program, tall
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program
from tests.lab.tall import TALL
from tests.lab.writer import Writer, Written

pytestmark = pytest.mark.timeout(1800)  # all the work is done for the first test

BEFORE, GOAL = 360 * MIB, 500 * MIB
BY_NAME = {one.name: one for one in TALL}
WRITTEN = tuple(one.name for one in TALL if one.mountpoint)
REST = 6.0  # seconds between two files: a dozen writers share one emulated processor
PLAIN = tuple(one.name for one in TALL if one.name != "offline")
SECTOR = 512
GPT_END = 33 * SECTOR  # the backup of the table
GPT_END_4K = 5 * 4096
START = MIB  # of the first partition

# Bytes by layer that follow from the goal alone; the filesystems' are asked of the machine.
LUKS2, LUKS1, EXTENT = 16 * MIB, 2 * MIB, 4 * MIB


@dataclass(frozen=True)
class Job:
    """What was seen of one call that extends all volumes, and of the calls after it."""

    planned: dict[str, Any]
    done: dict[str, Any]
    checked: Any
    offline_refused: Any
    offline: VolumeReport
    filled: Any
    chosen: Any
    sizes: dict[str, int]
    written: dict[str, Written]
    kernel_errors: list[str]


@pytest.fixture(scope="module")
def known(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program that knows every stack; they are built in a fresh lab."""
    lab.reset()
    tall.build(lab)
    ready = tall.configure(program.bare(lab, tmp_path_factory.mktemp("tall")))
    with means(ready) as opened:
        for one in TALL:
            inventory.take(opened, one.name, one.backend, one.name)
            inventory.attach(opened, one.name, Place("web1"))
    return ready


@contextmanager
def means(ready: Program) -> Iterator[Means]:
    """What the program works with, in this process."""
    with app.opened(app.read_config(str(ready.config)), threading.Event()) as opened:
        yield opened


@pytest.fixture(scope="module")
def job(lab: Lab, known: Program) -> Job:
    writers = {name: Writer(lab, "web1", place(name), rest=REST) for name in WRITTEN}
    planned = by_name(together(known, "extend", "--size", "500M", "--dry-run"))
    done = by_name(together(known, "extend", "--size", "500M"))
    written = {name: writer.stop_and_verify() for name, writer in writers.items()}
    skipped = known.run("volume", "extend", "offline", "--size", "400M").result
    with means(known) as opened:
        options = GrowOptions(offline=True)
        report = extend(opened, "offline", size.parse("500M"), Wish(goal=0, options=options))
    return Job(
        planned=planned,
        done=done,
        checked=together(known, "check"),
        offline_refused=skipped,
        offline=report,
        filled=known.run("volume", "extend", "freevg", "--size", "500M", "--fill").result,
        chosen=known.run(
            "volume", "extend", "twolvs", "--size", "600M", "--grow-lv", "vgtwo/two"
        ).result,
        sizes=oracle(lab),
        written=written,
        kernel_errors=lab.kernel_errors("web1"),
    )


def place(name: str) -> str:
    point = BY_NAME[name].mountpoint
    assert point is not None
    return point.replace("/srv/with space", "/srv/bound")  # a writer's shell would split it


def together(ready: Program, verb: str, *more: str) -> list[Any]:
    """A command on all volumes, in three calls at the same time."""
    calls = [ready.start("volume", verb, *PLAIN[at::3], *more) for at in range(3)]
    return [one for call in calls for one in program.wait(call).json]


def by_name(results: list[Any]) -> dict[str, Any]:
    return {one["volume"]: one for one in results}


def on_host(result: Any) -> list[Any]:
    """The lines of web1 that are not skipped."""
    return [
        one for one in result["layers"] if one["host"] == "web1" and one["outcome"] != "skipped"
    ]


def told(result: Any) -> list[tuple[str, int, int]]:
    return [(one["kind"], one["before"], one["after"]) for one in on_host(result)]


_DEVICES = """
for d in mapper/cryptlv mapper/crypt1 mapper/crypt2 mapper/plain mapper/aliasvol1 vgll/data \\
    vg-two/the-data vgfree/data vgtwo/one vgtwo/two; do
    echo $d $(blockdev --getsize64 /dev/$d)
done
for p in lukslv lvluks gptxfs gptbtrfs mbrvol luks1vol plainvol swapvol freevg twolvs offline \
    fourk btrtwo btrmore; do
    d=$(path $p 10.10.1.1); echo disk/$p $(blockdev --getsize64 $d)
    [ ! -e $d-part1 ] || echo part/$p $(blockdev --getsize64 $d-part1)
done
for p in loopgpt loopmbr; do
    d=$(losetup -n -O NAME -j /var/lib/near/$p)
    echo disk/$p $(blockdev --getsize64 $d)
    echo part/$p $(blockdev --getsize64 ${d}p1)
done
ext4() {  # name, device
    blocks=$(dumpe2fs -h $2 2>/dev/null | awk '/^Block (count|size)/ {print $3}')
    echo ext4/$1 $(($(echo $blocks | tr ' ' '*')))
}
for d in crypt1 plain aliasvol1; do ext4 $d /dev/mapper/$d; done
ext4 lvluks /dev/vg-two/the-data
ext4 freevg /dev/vgfree/data
ext4 offline $(path offline 10.10.1.1)
ext4 mbrvol $(path mbrvol 10.10.1.1)-part1
xfs() { xfs_info "$1" | awk -F'[= ,]+' '/^data/ {printf "%.0f", $3*$5}'; }
echo xfs/lukslv $(xfs /srv/lukslv)
echo xfs/gptxfs $(xfs '/srv/with space')
echo xfs/fourk $(xfs /srv/fourk)
raw() { btrfs filesystem show --raw $1 | awk -v d=$2 '$1 == "devid" && $2 == d {print $4}'; }
echo btrfs/btrtwo $(raw /srv/btrtwo 1)
echo btrfs/btrmore $(raw /srv/btrtwo 2)
echo btrfs/loopmbr $(raw /srv/loopmbr 1)
echo btrfs $(btrfs filesystem show --raw /srv/gptbtrfs | awk '/devid/ {print $4}')
echo swap $(($(awk '$5 == 7 {print $3}' /proc/swaps) * 1024))
echo free/vgfree $(vgs --noheadings --units b --nosuffix -o vg_free vgfree)
echo free/vgtwo $(vgs --noheadings --units b --nosuffix -o vg_free vgtwo)
"""


def oracle(lab: Lab) -> dict[str, int]:
    """What web1's own tools say."""
    answer = lab.run("web1", f"{tall.PRELUDE}{_DEVICES}", timeout=300).stdout
    return {key: int(value) for key, value in (line.rsplit(" ", 1) for line in answer.splitlines())}


@pytest.mark.parametrize("name", PLAIN)
def test_every_layer_of_a_stack_is_found_and_grows(job: Job, name: str) -> None:
    done = job.done[name]
    assert done["error"] is None
    assert done["outcome"] == "done"
    assert tuple(one["kind"] for one in on_host(done)) == BY_NAME[name].layers
    assert {one["outcome"] for one in on_host(done)} == {"grown"}


@pytest.mark.parametrize("name", PLAIN)
def test_the_dry_run_foretold_every_size(job: Job, name: str) -> None:
    foretold = [(one["kind"], one["before"], one["after"]) for one in on_host(job.planned[name])]
    assert foretold == [
        (one["kind"], one["before"], one["after"]) for one in on_host(job.done[name])
    ]


def test_a_check_finds_nothing(job: Job) -> None:
    assert [one["error"] for one in job.checked] == [None] * len(PLAIN)


EXPECTED = {
    "disk/lukslv": GOAL,
    "vgll/data": 320 * MIB + (GOAL - BEFORE),
    "mapper/cryptlv": 320 * MIB + (GOAL - BEFORE) - LUKS2,
    "xfs/lukslv": 320 * MIB + (GOAL - BEFORE) - LUKS2,
    "mapper/crypt2": GOAL - LUKS2,
    "vg-two/the-data": 200 * MIB + (GOAL - BEFORE),
    "ext4/lvluks": 200 * MIB + (GOAL - BEFORE),
    "part/mbrvol": GOAL - START,
    "ext4/mbrvol": GOAL - START,
    "part/gptxfs": GOAL - START - GPT_END,
    "xfs/gptxfs": (GOAL - START - GPT_END) // 4096 * 4096,
    "part/gptbtrfs": GOAL - START - GPT_END,
    "btrfs": (GOAL - START - GPT_END) // 4096 * 4096,
    "part/fourk": GOAL - START - GPT_END_4K,
    "xfs/fourk": GOAL - START - GPT_END_4K,
    "disk/loopgpt": GOAL,
    "part/loopgpt": GOAL - START - GPT_END,
    "part/loopmbr": GOAL - START,
    "btrfs/loopmbr": GOAL - START,
    "btrfs/btrtwo": GOAL,
    "btrfs/btrmore": GOAL,
    "mapper/crypt1": GOAL - LUKS1,
    "ext4/crypt1": GOAL - LUKS1,
    "mapper/plain": GOAL,
    "ext4/plain": GOAL,
    "swap": GOAL - 4096,
    "mapper/aliasvol1": GOAL,
    "ext4/aliasvol1": GOAL,
    "ext4/offline": GOAL,
    "vgtwo/one": 100 * MIB,
}


@pytest.mark.parametrize("key", EXPECTED)
def test_the_machine_has_the_size_that_follows_from_the_goal(job: Job, key: str) -> None:
    assert job.sizes[key] == EXPECTED[key]


def test_what_is_free_in_a_volume_group_stays_free_and_fill_takes_it(job: Job) -> None:
    before = next(one for one in on_host(job.done["freevg"]) if one["kind"] == "guest-lv")
    assert before["after"] == 200 * MIB + (GOAL - BEFORE)
    assert job.filled["outcome"] == "done"
    assert job.sizes["free/vgfree"] == 0
    assert job.sizes["vgfree/data"] == GOAL - EXTENT


def test_of_several_logical_volumes_none_grows_until_one_is_named(job: Job) -> None:
    mark = next(one for one in job.done["twolvs"]["layers"] if one["outcome"] == "skipped")
    assert (mark["kind"], mark["name"]) == ("guest-lv", "vgtwo")
    assert any("--grow-lv" in notice for notice in job.done["twolvs"]["notices"])
    assert job.chosen["outcome"] == "done"
    assert job.sizes["vgtwo/two"] == 200 * MIB
    assert job.sizes["free/vgtwo"] == GOAL - EXTENT - 200 * MIB


def test_an_unmounted_ext4_grows_when_it_is_asked_for(job: Job) -> None:
    mark = next(one for one in job.offline_refused["layers"] if one["outcome"] == "skipped")
    assert (mark["kind"], job.offline_refused["outcome"]) == ("ext4", "done")
    assert job.offline.error is None
    assert [one.kind for one in job.offline.layers if one.host == "web1"] == ["path", "ext4"]


def test_swap_keeps_its_names_and_its_priority(job: Job, lab: Lab) -> None:
    device = lab.run("web1", "awk '$5 == 7 {print $1}' /proc/swaps").stdout.strip()
    assert "LABEL=my\\ swap" in lab.run("web1", f"blkid -p -o export {device}").stdout
    assert lab.run("web1", "cat /run/extendctl-swap-*").stdout == ""


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_that_was_written_meanwhile_is_lost(job: Job, name: str) -> None:
    assert job.written[name].errors == ()
    assert job.written[name].verified > 0


def test_no_kernel_complained(job: Job) -> None:
    assert job.kernel_errors == []
