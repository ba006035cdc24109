"""Every kind of layer under and over every other that makes sense, on simulated machines."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from extendctl.size import GIB, MIB
from tests import extending
from tests.extending import MEMORY, Rehearsal, Stage, begin
from tests.world import tower
from tests.world.state import Machine
from tests.world.tower import MATRIX

pytestmark = pytest.mark.long

KINDS = {"gpt": ["partition"], "dos": ["partition"], "luks1": ["luks"], "lvm": ["pv", "guest-lv"]}
CUT = [
    ("ext4",),
    ("swap",),
    ("multipath", "gpt", "luks", "lvm", "ext4"),
    ("dos", "lvm", "luks1", "swap"),
    ("lvm", "luks", "lvm", "xfs"),
    ("multipath", "dos", "btrfs"),
]


def named(kinds: tuple[str, ...]) -> str:
    return "-".join(kinds)


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)


def layers(kinds: tuple[str, ...]) -> list[str]:
    """The kinds of layers that a tower has on its host."""
    return ["path", *(name for kind in kinds for name in KINDS.get(kind, [kind]))]


def resting(stage: Stage) -> Machine:
    return stage.world.state.machines["web1"]


@pytest.mark.parametrize("kinds", MATRIX, ids=named)
def test_a_tower_grows_as_foretold_and_nothing_is_left_out(
    kinds: tuple[str, ...], place: Path
) -> None:
    stage = begin(tower.tower(*kinds), place)
    planned = stage.extend(dry_run=True)
    assert stage.world.deeds() == []
    done = stage.extend()
    on_host = [line for line in done.layers if line.host == "web1"]
    assert done.error is None
    assert [line.kind for line in on_host] == layers(kinds)
    assert {str(line.outcome) for line in on_host} == {"grown"}
    assert [line.after for line in done.layers] == [line.after for line in planned.layers]
    assert str(stage.extend().outcome) == "unchanged"
    assert stage.check().error is None


@pytest.mark.parametrize("kinds", [one for one in MATRIX if "lvm" in one][::7], ids=named)
def test_what_was_left_free_stays_free_and_fill_takes_it(
    kinds: tuple[str, ...], place: Path
) -> None:
    stage = begin(tower.tower(*kinds), place)
    stage.extend()
    groups = [one for name, one in resting(stage).groups.items() if name.endswith("-vg")]
    assert {one.free for one in groups} <= {tower.LEFT}
    stage.extend(fill=True)
    assert [one.free for one in resting(stage).groups.values()] == [0] * len(groups)
    assert stage.check().error is None


@pytest.mark.parametrize("kinds", CUT, ids=named)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_line_cut_at_every_call_is_healed_by_one_resume(
    kinds: tuple[str, ...], when: str, place: Path
) -> None:
    rehearsal = Rehearsal(partial(built, kinds), place)
    whole = rehearsal.again()
    whole.extend()
    goal = extending.sizes(whole.world.state)
    swaps = dict(resting(whole).swapped)
    calls = whole.world.state.calls.get("web1", 0)
    assert calls > 0
    for call in range(1, calls + 1):
        stage = rehearsal.again()
        stage.world.cut("web1", call=call, when=when)
        report = stage.extend()
        if report.error is not None:
            stage.world.forget()
            report = stage.resume() if report.exit_status == 5 else stage.extend()
        assert report.error is None, f"call {call}: {report.error}"
        assert extending.sizes(stage.world.state) == goal, f"call {call}"
        assert resting(stage).swapped == swaps, f"call {call}"


def built(kinds: tuple[str, ...], path: Path | None) -> tower.Tower:
    return tower.tower(*kinds, path=path)


def test_discovery_asks_one_further_round_however_tall_the_tower(place: Path) -> None:
    """Nothing is asked of LVM before everything is asked of everybody."""
    stage = begin(tower.tower("multipath", "gpt", "luks", "lvm", "ext4"), place)
    stage.extend(dry_run=True)
    asked = [entry.argv[0] for entry in stage.world.state.log if entry.machine == "web1"]
    assert asked.index("sh") < min(asked.index(tool) for tool in ("pvs", "lvs", "cryptsetup"))
    tools = ("pvs", "lvs", "dumpe2fs", "sh")
    assert {tool: asked.count(tool) for tool in tools} == dict.fromkeys(tools, 1)


def refused(stage: Stage, words: str) -> None:
    """The extension is refused for this reason, and nothing was touched anywhere."""
    report = stage.extend()
    assert report.exit_status == 3
    assert report.error is not None
    assert words in " ".join(fault.message for fault in report.error.faults)
    assert extending.untouched(stage)


def test_a_key_that_does_not_fit_is_found_before_anything_grows(place: Path) -> None:
    stage = begin(tower.tower("luks", "ext4"), place)
    with stage.change() as state:
        state.contents["silo/vg0/vol1"].key_file = "/root/another.key"
    refused(stage, "does not open")


def test_a_key_that_nobody_configured_is_asked_for(place: Path) -> None:
    stage = begin(tower.tower("luks", "ext4"), place)
    hosts = {name: replace(one, luks_keys={}) for name, one in stage.config.hosts.items()}
    stage.configured(hosts=hosts)
    refused(stage, "none is configured")


def test_a_partition_that_is_followed_by_another_names_it(place: Path) -> None:
    stage = begin(tower.tower("gpt", "ext4"), place)
    with stage.change() as state:
        table = state.contents["silo/vg0/vol1"].table
        table[0][2] -= 4096
        table.append([2, table[0][1] + table[0][2], 4096])
        devices = state.machines["web1"].devices
        devices["sdb1"].size -= 4096 * 512
        other = devices["sdb1"].model_copy(update={"dev": "8:18", "partition": 2, "content": None})
        other.start, other.size = table[1][1], 4096 * 512
        devices["sdb2"] = other
    refused(stage, "is followed by /dev/sdb2")


def test_swap_that_does_not_fit_into_memory_is_left_in_use(place: Path) -> None:
    stage = begin(tower.tower("swap"), place)
    with stage.change() as state:
        machine = state.machines["web1"]
        machine.available, machine.swapped["sdb"][1] = 256 * MIB, 1 * GIB
    refused(stage, "of memory are free")


def test_swap_that_is_off_on_purpose_stays_off(place: Path) -> None:
    stage = begin(tower.tower("swap"), place)
    with stage.change() as state:
        state.machines["web1"].swapped.clear()
    report = stage.extend()
    assert report.error is None
    assert [str(line.outcome) for line in report.layers if line.kind == "swap"] == ["skipped"]
    assert resting(stage).swapped == {}


def test_swap_that_swapon_did_not_switch_on_is_not_forgotten(place: Path) -> None:
    """Swapon exits with 0 and did nothing: 5, and resume does not take it for off on purpose."""
    stage = begin(tower.tower("swap"), place)
    stage.world.lie("web1", "swapon", times=1, only="deed")
    assert stage.extend().exit_status == 5
    assert resting(stage).swapped == {}
    assert stage.resume().error is None
    assert [used[0] for used in resting(stage).swapped.values()] == [20 * GIB - 4096]
    assert stage.check().error is None


def test_no_filesystem_leaves_swap_alone(place: Path) -> None:
    stage = begin(tower.tower("lvm", "swap"), place)
    before = dict(resting(stage).swapped)
    report = stage.extend(no_filesystem=True)
    assert report.error is None
    assert resting(stage).swapped == before


def test_a_volume_that_is_not_active_is_not_overlooked(place: Path) -> None:
    stage = begin(tower.tower("lvm", "ext4"), place)
    with stage.change() as state:
        volumes = state.machines["web1"].groups["0-vg"].volumes
        volumes["second"] = volumes["data"].model_copy(
            update={"uuid": "x" * 38, "size": 64 * MIB, "device": None}
        )
    report = stage.extend()
    assert (report.error, [line.kind for line in report.layers if line.outcome == "grown"]) == (
        None, ["lv", "lun", "path", "pv"],
    )  # fmt: skip
    assert "on it are 0-vg/data, 0-vg/second; --grow-lv says which one grows" in (
        " ".join(report.notices)
    )
    assert stage.extend("30G", grow_lv="0-vg/data").layers[-1].kind == "ext4"


def test_an_error_of_the_map_is_not_taken_for_growth(place: Path) -> None:
    stage = begin(tower.tower("multipath", "ext4"), place)
    stage.world.lie("web1", "multipathd", status=0, out="ok\n", only="deed", times=1)
    report = stage.extend()
    assert report.exit_status == 5
    assert stage.resume().error is None


def test_a_renamed_device_under_a_mount_is_told_before_anything_grows(place: Path) -> None:
    stage = begin(tower.tower("lvm", "xfs"), place)
    with stage.change() as state:
        state.machines["web1"].mounts[0].source = "/dev/mapper/0--vg-old"
    refused(stage, "was mounted as /dev/mapper/0--vg-old")


def test_the_kernel_may_be_behind_the_table_and_the_table_behind_the_kernel(place: Path) -> None:
    for behind in ("kernel", "table"):
        with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
            stage = begin(tower.tower("gpt", "ext4"), Path(directory))
            stage.extend(no_filesystem=True)
            with stage.change() as state:
                if behind == "kernel":
                    state.machines["web1"].devices["sdb1"].size -= GIB
                else:
                    state.contents["silo/vg0/vol1"].table[0][2] -= GIB // 512
            assert stage.check().exit_status == 5
            assert stage.extend().error is None
            assert stage.check().error is None
