"""Stacks of every kind grow on a real host while they are written to."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from extendctl import app, inventory
from extendctl.inventory import Place
from tests.lab import program, tall
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program
from tests.lab.tall import TALL
from tests.lab.writer import Writer, Written

pytestmark = pytest.mark.timeout(1800)  # all the work is done for the first test

BEFORE, GOAL = 360 * MIB, 500 * MIB
BY_NAME = {one.name: one for one in TALL}
SAMPLE = ("lukslv", "lvluks", "mbrvol", "gptbtrfs", "swapvol", "aliasvol", "loopgpt")
REST = tuple(name for name in BY_NAME if name not in SAMPLE)
GROUPS = {"sample": SAMPLE, "rest": REST}
"""A reset of the lab for each; what is beyond the sample has the mark `more`."""
PAUSE = 3.0  # seconds between two files: the writers share one emulated processor
SECTOR = 512
GPT_END = 33 * SECTOR  # the backup of the table
GPT_END_4K = 5 * 4096
START = MIB  # of the first partition

# Bytes by layer that follow from the goal alone; the filesystems' are asked of the machine.
LUKS2, LUKS1, EXTENT = 16 * MIB, 2 * MIB, 4 * MIB


def group(name: str, *values: str) -> Any:
    """A group of stacks, as what a test is given."""
    return pytest.param(name, *values, marks=[pytest.mark.more] if name == "rest" else [])


def each(names: Mapping[str, Sequence[str]]) -> pytest.MarkDecorator:
    """A test for each of these names, by group."""
    pairs = [group(one, name) for one, found in names.items() for name in found]
    return pytest.mark.parametrize(("job", "name"), pairs, indirect=["job"])


every_group = pytest.mark.parametrize("job", [group(one) for one in GROUPS], indirect=True)
the_sample = pytest.mark.parametrize("job", [group("sample")], indirect=True)
the_rest = pytest.mark.parametrize("job", [group("rest")], indirect=True)


def plain(names: Sequence[str]) -> tuple[str, ...]:
    """Those that grow with no option."""
    return tuple(one for one in names if one != "offline")


def written(names: Sequence[str]) -> tuple[str, ...]:
    """Those with a filesystem that is mounted."""
    return tuple(one for one in names if BY_NAME[one].mountpoint)


@dataclass(frozen=True)
class Job:
    """What was seen of one call that extends all volumes, and of the calls after it."""

    planned: dict[str, Any]
    done: dict[str, Any]
    checked: Any
    extra: "Extra | None"
    sizes: dict[str, int]
    written: dict[str, Written]
    swap: str
    kernel_errors: list[str]


@dataclass(frozen=True)
class Extra:
    """What was seen of calls with options, of volumes of the rest."""

    offline_refused: Any
    offline: Any
    filled: Any
    chosen: Any


@pytest.fixture(scope="module")
def jobs(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Job]:
    """The job of a group, done when it is asked for first."""
    return cache(lambda name: grown(lab, tmp_path_factory.mktemp("tall"), GROUPS[name]))


@pytest.fixture
def job(request: pytest.FixtureRequest, jobs: Callable[[str], Job]) -> Job:
    return jobs(request.param)


def grown(lab: Lab, directory: Path, names: Sequence[str]) -> Job:
    """Builds these stacks in a fresh lab and lets them grow while they are written to."""
    lab.reset()
    tall.build(lab, tuple(BY_NAME[name] for name in names))
    ready = tall.configure(program.bare(lab, directory))
    take(ready, names)
    writers = {name: Writer(lab, "web1", place(name), rest=PAUSE) for name in written(names)}
    planned = by_name(together(ready, plain(names), "extend", "--size", "500M", "--dry-run"))
    done = by_name(together(ready, plain(names), "extend", "--size", "500M"))
    return Job(
        planned=planned,
        done=done,
        written={name: writer.stop_and_verify() for name, writer in writers.items()},
        checked=together(ready, plain(names), "check"),
        extra=optional(ready) if "offline" in names else None,
        sizes=oracle(lab, names),
        swap=lab.run("web1", _SWAP, check=False).stdout,
        kernel_errors=lab.kernel_errors("web1"),
    )


_SWAP = (
    "blkid -p -o export $(awk '$5 == 7 {print $1}' /proc/swaps); "
    "echo note:; cat /run/extendctl-swap-*"
)


def take(ready: Program, names: Sequence[str]) -> None:
    """Takes the stacks in, in one process, as that is quicker here."""
    with app.opened(app.read_config(str(ready.config)), threading.Event()) as means:
        for name in names:
            inventory.take(means, name, BY_NAME[name].backend, name)
            inventory.attach(means, name, Place("web1"))


def optional(ready: Program) -> Extra:
    """What grows with an option, and only with it."""
    extend = ("volume", "extend")
    return Extra(
        offline_refused=ready.run(*extend, "offline", "--size", "400M").result,
        offline=ready.run(*extend, "offline", "--size", "500M", "--offline").result,
        filled=ready.run(*extend, "freevg", "--size", "500M", "--fill").result,
        chosen=ready.run(*extend, "twolvs", "--size", "600M", "--grow-lv", "vgtwo/two").result,
    )


def place(name: str) -> str:
    point = BY_NAME[name].mountpoint
    assert point is not None
    return point.replace("/srv/with space", "/srv/bound")  # a writer's shell would split it


def together(ready: Program, names: Sequence[str], verb: str, *more: str) -> list[Any]:
    """A command on these volumes, in two calls at the same time."""
    calls = [ready.start("volume", verb, *names[at::2], *more) for at in range(2)]
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


_ASK = r"""
size() { echo $1 $(blockdev --getsize64 $2); }
disk() { d=$(path $1 10.10.1.1); size disk/$1 $d; [ ! -e $d-part1 ] || size part/$1 $d-part1; }
loop() {
    d=$(losetup -n -O NAME -j /var/lib/near/$1)
    size disk/$1 $d; size part/$1 ${d}p1
}
ext4() {  # name, device
    blocks=$(dumpe2fs -h $2 2>/dev/null | awk '/^Block (count|size)/ {print $3}')
    echo ext4/$1 $(($(echo $blocks | tr ' ' '*')))
}
xfs() { echo xfs/$1 $(xfs_info "$2" | awk -F'[= ,]+' '/^data/ {printf "%.0f", $3*$5}'); }
btrfs_() {  # name, mount point, devid
    found=$(btrfs filesystem show --raw $2)
    echo btrfs/$1 $(echo "$found" | awk -v d=$3 '$1 == "devid" && $2 == d {print $4}')
}
unused() { echo free/$1 $(vgs --noheadings --units b --nosuffix -o vg_free $1); }
"""
ASKED = {
    "lukslv": "disk lukslv; size vgll/data /dev/vgll/data; size cryptlv /dev/mapper/cryptlv\n"
    "xfs lukslv /srv/lukslv",
    "lvluks": "disk lvluks; size crypt2 /dev/mapper/crypt2; size the-data /dev/vg-two/the-data\n"
    "ext4 lvluks /dev/vg-two/the-data",
    "mbrvol": "disk mbrvol; ext4 mbrvol $(path mbrvol 10.10.1.1)-part1",
    "gptxfs": "disk gptxfs; xfs gptxfs '/srv/with space'",
    "gptbtrfs": "disk gptbtrfs; btrfs_ gptbtrfs /srv/gptbtrfs 1",
    "luks1vol": "disk luks1vol; size crypt1 /dev/mapper/crypt1; ext4 crypt1 /dev/mapper/crypt1",
    "plainvol": "disk plainvol; size plain /dev/mapper/plain; ext4 plain /dev/mapper/plain",
    "swapvol": "disk swapvol; echo swap $(($(awk '$5 == 7 {print $3}' /proc/swaps) * 1024))",
    "freevg": "disk freevg; size vgfree/data /dev/vgfree/data; ext4 freevg /dev/vgfree/data\n"
    "unused vgfree",
    "twolvs": "disk twolvs; size vgtwo/one /dev/vgtwo/one; size vgtwo/two /dev/vgtwo/two\n"
    "unused vgtwo",
    "aliasvol": "size aliasvol1 /dev/mapper/aliasvol1; ext4 aliasvol1 /dev/mapper/aliasvol1",
    "fourk": "disk fourk; xfs fourk /srv/fourk",
    "loopgpt": "loop loopgpt",
    "loopmbr": "loop loopmbr; btrfs_ loopmbr /srv/loopmbr 1",
    "btrtwo": "disk btrtwo; btrfs_ btrtwo /srv/btrtwo 1",
    "btrmore": "disk btrmore; btrfs_ btrmore /srv/btrtwo 2",
    "offline": "disk offline; ext4 offline $(path offline 10.10.1.1)",
}
"""What is asked of web1 for each stack: lines of `KEY BYTES`."""


def oracle(lab: Lab, names: Sequence[str]) -> dict[str, int]:
    """What web1's own tools say."""
    script = "\n".join([tall.PRELUDE, _ASK, *(ASKED[name] for name in names)])
    answer = lab.run("web1", script, timeout=300).stdout
    return {key: int(value) for key, value in (line.rsplit(" ", 1) for line in answer.splitlines())}


@each({one: plain(names) for one, names in GROUPS.items()})
def test_every_layer_of_a_stack_is_found_and_grows(job: Job, name: str) -> None:
    done = job.done[name]
    assert done["error"] is None
    assert done["outcome"] == "done"
    assert tuple(one["kind"] for one in on_host(done)) == BY_NAME[name].layers
    assert {one["outcome"] for one in on_host(done)} == {"grown"}


@each({one: plain(names) for one, names in GROUPS.items()})
def test_the_dry_run_foretold_every_size(job: Job, name: str) -> None:
    foretold = [(one["kind"], one["before"], one["after"]) for one in on_host(job.planned[name])]
    assert foretold == [
        (one["kind"], one["before"], one["after"]) for one in on_host(job.done[name])
    ]


@every_group
def test_a_check_finds_nothing(job: Job) -> None:
    assert [one["error"] for one in job.checked] == [None] * len(job.done)


EXPECTED: dict[str, dict[str, int]] = {
    "lukslv": {
        "disk/lukslv": GOAL,
        "vgll/data": 320 * MIB + (GOAL - BEFORE),
        "cryptlv": 320 * MIB + (GOAL - BEFORE) - LUKS2,
        "xfs/lukslv": 320 * MIB + (GOAL - BEFORE) - LUKS2,
    },
    "lvluks": {
        "crypt2": GOAL - LUKS2,
        "the-data": 200 * MIB + (GOAL - BEFORE),
        "ext4/lvluks": 200 * MIB + (GOAL - BEFORE),
    },
    "mbrvol": {"part/mbrvol": GOAL - START, "ext4/mbrvol": GOAL - START},
    "gptxfs": {
        "part/gptxfs": GOAL - START - GPT_END,
        "xfs/gptxfs": (GOAL - START - GPT_END) // 4096 * 4096,
    },
    "gptbtrfs": {
        "part/gptbtrfs": GOAL - START - GPT_END,
        "btrfs/gptbtrfs": (GOAL - START - GPT_END) // 4096 * 4096,
    },
    "fourk": {
        "part/fourk": GOAL - START - GPT_END_4K,
        "xfs/fourk": GOAL - START - GPT_END_4K,
    },
    "loopgpt": {"disk/loopgpt": GOAL, "part/loopgpt": GOAL - START - GPT_END},
    "loopmbr": {"part/loopmbr": GOAL - START, "btrfs/loopmbr": GOAL - START},
    "btrtwo": {"btrfs/btrtwo": GOAL},
    "btrmore": {"btrfs/btrmore": GOAL},
    "luks1vol": {"crypt1": GOAL - LUKS1, "ext4/crypt1": GOAL - LUKS1},
    "plainvol": {"plain": GOAL, "ext4/plain": GOAL},
    "swapvol": {"swap": GOAL - 4096},
    "aliasvol": {"aliasvol1": GOAL, "ext4/aliasvol1": GOAL},
    "offline": {"ext4/offline": GOAL},
    "twolvs": {"vgtwo/one": 100 * MIB},
    "freevg": {"disk/freevg": GOAL},
}


@each(GROUPS)
def test_the_machine_has_the_sizes_that_follow_from_the_goal(job: Job, name: str) -> None:
    assert EXPECTED[name].items() <= job.sizes.items()


@the_rest
def test_what_is_free_in_a_volume_group_stays_free_and_fill_takes_it(job: Job) -> None:
    before = next(one for one in on_host(job.done["freevg"]) if one["kind"] == "guest-lv")
    assert before["after"] == 200 * MIB + (GOAL - BEFORE)
    assert job.extra is not None
    assert job.extra.filled["outcome"] == "done"
    assert job.sizes["free/vgfree"] == 0
    assert job.sizes["vgfree/data"] == GOAL - EXTENT


@the_rest
def test_of_several_logical_volumes_none_grows_until_one_is_named(job: Job) -> None:
    mark = next(one for one in job.done["twolvs"]["layers"] if one["outcome"] == "skipped")
    assert (mark["kind"], mark["name"]) == ("guest-lv", "vgtwo")
    assert any("--grow-lv" in notice for notice in job.done["twolvs"]["notices"])
    assert job.extra is not None
    assert job.extra.chosen["outcome"] == "done"
    assert job.sizes["vgtwo/two"] == 200 * MIB
    assert job.sizes["free/vgtwo"] == GOAL - EXTENT - 200 * MIB


@the_rest
def test_an_unmounted_ext4_grows_when_it_is_asked_for(job: Job) -> None:
    assert job.extra is not None
    mark = next(one for one in job.extra.offline_refused["layers"] if one["outcome"] == "skipped")
    assert (mark["kind"], job.extra.offline_refused["outcome"]) == ("ext4", "done")
    assert job.extra.offline["outcome"] == "done"
    assert [one["kind"] for one in on_host(job.extra.offline)] == ["path", "ext4"]


@the_sample
def test_swap_keeps_its_names_and_its_priority(job: Job) -> None:
    """And the note of it is empty."""
    device, _, note = job.swap.partition("note:\n")
    assert "LABEL=my\\ swap" in device
    assert note == ""


@each({one: written(names) for one, names in GROUPS.items()})
def test_nothing_that_was_written_meanwhile_is_lost(job: Job, name: str) -> None:
    assert job.written[name].errors == ()
    assert job.written[name].verified > 0


@every_group
def test_no_kernel_complained(job: Job) -> None:
    assert job.kernel_errors == []
