"""What real tools said is read right: every sample under tests/recorded, and what it must mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from extendctl import readings
from extendctl.figures import Garbled
from extendctl.host import Question, why
from extendctl.probe import Block, HostFacts
from extendctl.size import MIB, round_down
from extendctl.target_probe import TargetFacts
from extendctl.transport import Result
from tests.recorded import phrase_of
from tests.world.filesystems import taken, whole_pages
from tests.world.state import Content

HERE = Path(__file__).parent / "recorded"
Sample = dict[str, Any]


def samples(name: str) -> list[Sample]:
    found: list[Sample] = json.loads((HERE / f"{name}.json").read_text())["samples"]
    return found


def result(sample: Sample) -> Result:
    texts = ("".join(sample[stream]) for stream in ("stdout", "stderr"))
    return Result(tuple(sample["argv"]), sample["status"], *texts)


def label(sample: Sample) -> str:
    words = (str(word) for word in sample.get("words") or sample["argv"])
    return " ".join((sample["machine"], sample.get("phrase", "sudo"), *words))


def said(sample: Sample) -> Any:
    """The phrase that a sample answers, as the phrasebook says it today."""
    return phrase_of(sample["phrase"])(*sample["words"])


def read(sample: Sample) -> Any:
    question: Question[Any] = said(sample)
    assert sample["status"] in question.accept
    return question.parse(result(sample))


def the(phrase: str, machine: str, *words: str, among: str = "lab-questions") -> Any:
    """What one sample is read as; of several alike the last."""
    wanted = (phrase, machine, list(words))
    found = [
        one for one in samples(among) if (one["phrase"], one["machine"], one["words"]) == wanted
    ]
    return read(found[-1])


def label_of_growth(sample: Sample) -> str:
    return f"{sample['made']} {sample['bytes']}"


QUESTIONS = samples("lab-questions")
REFUSALS = [one for one in samples("lab-refusals") if "phrase" in one]
SUDO = [one for one in samples("lab-refusals") if "user" in one]
DEEDS = samples("lab-deeds")
GROWTH = samples("lab-growth")
"""Sizes whose last group resize2fs leaves out and Ext4.reachable counts in."""


@pytest.mark.parametrize("sample", QUESTIONS, ids=label)
def test_every_answer_is_read(sample: Sample) -> None:
    assert read(sample)


@pytest.mark.parametrize("sample", [*QUESTIONS, *REFUSALS, *DEEDS], ids=label)
def test_the_phrasebook_still_says_what_was_recorded(sample: Sample) -> None:
    """Where this fails, the samples answer a question that is not asked any more: record anew."""
    assert said(sample).argv == tuple(sample["argv"])


@pytest.mark.parametrize("sample", [one for one in REFUSALS if one["status"]], ids=label)
def test_every_refusal_is_told_in_the_tools_own_words(sample: Sample) -> None:
    fault = why("silo", tuple(sample["argv"]), result(sample), "ops")
    if sample["phrase"] == "signature":
        assert said(sample).parse(result(sample)) == {}
    else:
        words = (sample["stderr"] or sample["stdout"])[-1].strip()
        assert words[-40:] in fault.message
        assert "\n" not in fault.message


@pytest.mark.parametrize("sample", SUDO, ids=lambda one: f"{one['user']} {' '.join(one['argv'])}")
def test_what_sudo_says_is_understood(sample: Sample) -> None:
    fault = why("silo", ("lvs", "vg0"), result(sample), sample["user"])
    if "password is required" in fault.message:
        assert "may not run lvs as root" in fault.message
        assert "without a password" in fault.hint
    assert sample["status"] != 0 or sample["user"] == "ops"


@pytest.mark.parametrize("sample", GROWTH, ids=label_of_growth)
def test_a_filesystems_room_is_what_it_really_reaches(sample: Sample) -> None:
    """With a room that it never reaches it would lag for ever."""
    assert sample["deed"]["status"] == 0
    kind = sample["before"]["phrase"]
    if kind == "btrfs":
        sizes = [size for _, size in read(sample["after"]).values()]
        assert sizes == [round_down(sample["bytes"], 4096)]
        return
    before, after = read(sample["before"]), read(sample["after"])
    assert before.reachable(sample["bytes"]) == after.size
    assert after.reachable(sample["bytes"]) == after.size, "it would lag for ever"


EXT4 = [one for one in GROWTH if one["before"]["phrase"] == "ext4"]


@pytest.mark.parametrize("sample", EXT4, ids=label_of_growth)
def test_the_simulated_resize2fs_does_as_the_real_one(sample: Sample) -> None:
    before, after = read(sample["before"]), read(sample["after"])
    simulated = Content(
        type="ext4",
        blocks=before.blocks,
        block_size=before.block_size,
        group_blocks=before.blocks_per_group,
        inode_blocks=before.inode_blocks_per_group,
        reserved_gdt=before.reserved_gdt,
        features=" ".join(before.features),
    )
    assert taken(simulated, whole_pages(sample["bytes"], simulated)) == after.blocks


def on(facts: HostFacts, point: str) -> Block:
    """The device of what is mounted there."""
    dev = next(mount.dev for mount in facts.mounts if mount.point == point)
    return next(block for block in facts.blocks.values() if block.dev == dev)


def test_the_probe_sees_disks_mappings_and_mounts() -> None:
    facts: HostFacts = the("facts", "web1")
    disk = on(facts, "/srv/ext4vol")
    assert (disk.size, disk.state) == (512 * MIB, "running")
    assert disk.wwid is not None
    assert disk.wwid.startswith("naa.6001405")
    assert facts.blocks["dm-0"].dm_name == "mpatha"
    first, second = (facts.blocks[name] for name in facts.blocks["dm-0"].slaves)
    assert first.holders == second.holders == ("dm-0",)
    assert first.wwid == second.wwid
    portals = {session.address for session in facts.sessions if session.block == first.name}
    assert portals
    assert facts.by_path("/dev/mapper/vgtall-data") is facts.blocks["dm-3"]
    assert facts.by_path("/dev/vgtall/data") is facts.blocks["dm-3"]


def test_the_probe_sees_loop_devices_and_partitions() -> None:
    facts: HostFacts = the("facts", "silo")
    loop = facts.blocks["loop0"]
    assert loop.backing_file == "/var/lib/extendctl/volumes/filevol"
    assert (loop.size_limit, loop.offset) == (0, 0)
    assert facts.blocks["loop1"].backing_file is None
    assert facts.blocks["vdc"].children == ("vdc1", "vdc2")
    assert facts.blocks["vdc2"].partition == 2
    assert facts.bounding & 1 << 24


def test_a_btrfs_is_found_by_its_device() -> None:
    facts: HostFacts = the("facts", "web2")
    disk = next(block for block in facts.blocks.values() if block.size == 512 * MIB)
    assert [mount.point for mount in facts.mounts_of(disk)] == ["/srv/btrfsvol"]


def test_hosts_see_what_the_target_serves() -> None:
    target: TargetFacts = the("target", "silo")
    served = {store.name: store for store in target.stores}
    disks = {
        block.wwid: block
        for name in ("web1", "web2")
        for block in the("facts", name).blocks.values()
    }
    rows = the("logical_volumes", "silo", "vg0")
    assert set(served) == {"ext4vol", "xfsvol", "btrfsvol", "rawvol", "tallvol"}
    for name, store in served.items():
        assert disks[store.wwid].size == rows[name].size
        assert store.dev == rows[name].dev
        assert [str(lun) for lun in store.luns] == [f"iqn.2026-11.com.example:{name},lun0"]


def test_lvm_and_the_kernel_agree() -> None:
    facts: HostFacts = the("facts", "silo")
    by_uuid = {block.dm_uuid: block for block in facts.blocks.values()}
    rows: dict[str, readings.LogicalVolume] = the("logical_volumes", "silo", "vg0")
    for row in (row for row in rows.values() if row.attr[:1] in "-V"):
        assert by_uuid[row.dm_uuid].size == row.size
        assert by_uuid[row.dm_uuid].dev == row.dev
    pool = rows["pool"]
    assert pool.data_percent is not None
    assert pool.metadata_percent is not None
    assert (rows["btrfsvol"].thin, rows["btrfsvol"].pool) == (True, "pool")
    assert rows["ext4vol"].group == the("volume_group", "silo", "vg0")["vg0"]


@pytest.mark.parametrize("script", ["facts", "target"])
def test_a_probe_that_was_cut_short_is_no_answer(script: str) -> None:
    """At every line and in the middle of lines: half a machine must not look like a machine."""
    sample = next(one for one in QUESTIONS if one["phrase"] == script)
    text = "".join(sample["stdout"])
    parse = said(sample).parse
    for end in range(0, len(text) - 6, 97):
        with pytest.raises(Garbled):
            parse(Result((), 0, text[:end], ""))


LVM = {"logical_volumes", "volume_group", "physical_volumes", "segments"}
TOWER = {"partition_table", "mapping", "page_size"}
LOUD = [
    one
    for one in QUESTIONS
    if one["phrase"] in {"facts", "target", "ext4", "xfs", "btrfs"} | LVM | TOWER
]
"""Questions whose answer is never empty."""


@pytest.mark.parametrize("sample", LOUD, ids=label)
def test_nothing_at_all_is_no_answer(sample: Sample) -> None:
    """A reading that gives something for an empty answer would take silence for a fact."""
    with pytest.raises((ValueError, KeyError, IndexError)):
        said(sample).parse(Result(tuple(sample["argv"]), 0, "", ""))
