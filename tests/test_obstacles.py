"""What stands in a layer's way is found before anything is touched, and told with a way out."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import GrowOptions
from extendctl.size import GIB, MIB, TIB, Size
from extendctl.stack import Layer
from tests.extending import begin, untouched
from tests.world import build, changes
from tests.world.site import ATTACHED, FILES, POINT, Site
from tests.world.state import Content, Group, State

GOAL = 20 * GIB
Change = Callable[[State], object]


def pick(site: Site, kind: str, hosts: dict[str, Host] | None = None) -> Layer:
    layers = site.layers(hosts or site.hosts())
    return next(layer for layer in layers if layer.kind == kind)


class Case(NamedTuple):
    """What happens on a site, and what the layer must say of it when asked for `to` bytes."""

    what: str
    name: str
    kind: str
    change: Change
    words: str
    code: str = "obstacle"
    to: Size = GOAL


def content(state: State, machine: str = "web1", device: str = "sdb") -> Content:
    found = state.content(machine, device)
    assert found is not None
    return found


def group(state: State) -> Group:
    return state.machines["silo"].groups["vg0"]


def settle(thing: object, **values: object) -> None:
    for key, value in values.items():
        setattr(thing, key, value)


def mirrored(state: State) -> None:
    """Two legs, so each byte takes two."""
    settle(group(state).volumes["vol1"], segtype="raid1", stripes=2)
    changes.leave_free(state, "silo", "vg0", 10 * GIB)


CASES = [
    # The logical volume
    Case("thick snapshot", "iscsi-ext4", "lv",
         lambda it: changes.snapshot(it, "silo", "vg0/vol1"),
         "vg0/vol1 on silo has a thick snapshot"),
    Case("suspended", "iscsi-ext4", "lv",
         lambda it: settle(group(it).volumes["vol1"], suspended=True), "is suspended"),
    Case("a type that cannot", "iscsi-ext4", "lv",
         lambda it: settle(group(it).volumes["vol1"], segtype="cache"), "of the type cache"),
    Case("group full", "iscsi-ext4", "lv",
         lambda it: changes.leave_free(it, "silo", "vg0", 4 * MIB),
         "4 MiB.* free and 10 GiB", "no-space"),
    Case("one extent short", "iscsi-ext4", "lv",
         lambda it: changes.leave_free(it, "silo", "vg0", 10 * GIB - 4 * MIB),
         "needed", "no-space"),
    Case("stripes need more", "iscsi-striped", "lv",
         lambda it: changes.leave_free(it, "silo", "vg0", 10 * GIB - 8 * MIB),
         "needed", "no-space"),
    Case("mirror takes twice", "iscsi-ext4", "lv", mirrored, "20 GiB", "no-space"),
    Case("group read-only", "iscsi-ext4", "lv",
         lambda it: settle(group(it), attr="rz--n-"), "vg0 on silo is read-only"),
    Case("group exported", "iscsi-ext4", "lv",
         lambda it: settle(group(it), attr="wzx-n-"), "exported"),
    Case("disk missing", "iscsi-ext4", "lv",
         lambda it: settle(group(it), attr="wz-pn-"), "partial"),
    Case("group not resizable", "iscsi-ext4", "lv",
         lambda it: settle(group(it), attr="w---n-"), "may not be resized"),
    Case("group shared", "iscsi-ext4", "lv",
         lambda it: settle(group(it), attr="wz--ns"), "lvmlockd"),
    Case("group clustered", "iscsi-ext4", "lv",
         lambda it: settle(group(it), attr="wz--nc"), "clustered"),
    Case("pool data full", "iscsi-btrfs-thin", "lv",
         lambda it: settle(group(it).volumes["tp0"], data_percent=100.0),
         "tp0 .*full: data", "no-space"),
    Case("pool metadata full", "iscsi-btrfs-thin", "lv",
         lambda it: settle(group(it).volumes["tp0"], metadata_percent=100.0),
         "metadata", "no-space"),
    Case("lvextend missing", "iscsi-ext4", "lv",
         lambda it: changes.without(it, "silo", "lvextend"), "lvextend is missing on silo"),
    Case("sudo missing", "iscsi-xfs", "path",
         lambda it: changes.without(it, "web1", "sudo"), "sudo is missing on web1"),
    Case("sudo not for this", "iscsi-ext4", "lv",
         lambda it: settle(it.machines["silo"], sudo={"ops": ["lvs"]}),
         "ops may not run lvextend on silo"),
    Case("sudo asks for this", "iscsi-ext4", "lv",
         lambda it: settle(it.machines["silo"], sudo={"ops": "asks lvextend"}),
         "of all rules that match the last one is"),
    # What is served
    Case("backstore disabled", "iscsi-ext4", "lun",
         lambda it: settle(it.machines["silo"].stores["iblock_0/vol1"], enabled=False),
         "not enabled"),
    # Paths
    Case("path offline", "iscsi-ext4", "path",
         lambda it: changes.offline(it, "web1", "sdb"), "sdb on web1 is offline"),
    Case("path blocked", "iscsi-ext4", "path",
         lambda it: changes.offline(it, "web1", "sdb", "blocked"), "sdb on web1 is blocked"),
    Case("path transport-offline", "two-paths", "path",
         lambda it: changes.offline(it, "web1", "sdc", "transport-offline"),
         "sdc on web1 is transport-"),
    Case("tee missing", "iscsi-ext4", "path",
         lambda it: changes.without(it, "web1", "tee"), "tee is missing on web1"),
    Case("sudo asks", "shared", "path",
         lambda it: changes.unprivileged(it, "web1"), "ops may not run blkid as root on web1"),
    # Loop and file
    Case("loop with a limit", "file-loop-xfs", "loop",
         lambda it: settle(it.machines["here"].devices["loop0"], sizelimit=10 * GIB),
         "--sizelimit"),
    Case("losetup missing", "file-loop-xfs", "loop",
         lambda it: changes.without(it, "here", "losetup"), "losetup is missing on here"),
    Case("truncate missing", "file-loop-xfs", "file",
         lambda it: changes.without(it, "here", "truncate"), "truncate is missing on here"),
    Case("nothing left beneath the file", "file-loop-xfs", "file",
         lambda it: settle(it.machines["here"].spaces["/"], free=0), "is full", "no-space"),
    # Filesystems
    Case("ext4 read-only", "iscsi-ext4", "ext4",
         lambda it: settle(it.machines["web1"].mounts[0], read_only=True), "mounted read-only"),
    Case("xfs read-only", "iscsi-xfs", "xfs",
         lambda it: settle(it.machines["web1"].mounts[0], read_only=True),
         f"{POINT} on web1 is mounted"),
    Case("btrfs read-only", "iscsi-btrfs-thin", "btrfs",
         lambda it: settle(it.machines["web1"].mounts[0], read_only=True), "mounted read-only"),
    Case("btrfs that is a seed", "iscsi-btrfs-thin", "btrfs",
         lambda it: settle(content(it), writable=False),
         f"the btrfs at {POINT} on web1 never writes to /dev/sdb, its device 1"),
    Case("btrfs in balance", "iscsi-btrfs-thin", "btrfs",
         lambda it: settle(content(it), busy="balance"),
         f"the btrfs at {POINT} on web1 is busy with another operation: balance"),
    Case("btrfs too small", "iscsi-btrfs-thin", "btrfs", lambda it: it,
         f"the btrfs at {POINT} on web1 cannot be resized to less than 256 MiB$", to=255 * MIB),
    Case("ext4 with errors", "iscsi-ext4", "ext4",
         lambda it: settle(content(it), state="clean with errors"), "has errors"),
    Case("ext4 in a container", "iscsi-ext4", "ext4",
         lambda it: settle(it.machines["web1"], bounding=0x1FFFEFFFFFF), "CAP_SYS_RESOURCE"),
    Case("ext4 without 64bit", "iscsi-ext4", "ext4",
         lambda it: settle(content(it), features="has_journal extent sparse_super"),
         "lacks `64bit`: 16 TiB at most", to=17 * TIB),
    Case("ext4 of small blocks without 64bit", "iscsi-ext4", "ext4",
         lambda it: settle(content(it), features="extent", block_size=1024),
         "lacks `64bit`: 4 TiB at most", to=5 * TIB),
    Case("ext4 with sparse_super2", "iscsi-ext4", "ext4",
         lambda it: settle(content(it), features="64bit sparse_super2"), "sparse_super2"),
    Case("resize2fs missing", "local-lvm", "ext4",
         lambda it: changes.without(it, "silo", "resize2fs"), "resize2fs is missing on silo"),
    Case("xfs_growfs missing", "iscsi-xfs", "xfs",
         lambda it: changes.without(it, "web1", "xfs_growfs"), "xfs_growfs is missing on web1"),
    Case("btrfs missing", "iscsi-btrfs-thin", "btrfs",
         lambda it: changes.without(it, "web1", "btrfs"), "btrfs is missing on web1"),
    Case("btrfs not allowed", "iscsi-btrfs-thin", "btrfs",
         lambda it: settle(it.machines["web1"], sudo={"ops": []}), "ops may not run btrfs"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.what}")
def test_it_is_named_before_anything_is_touched(case: Case) -> None:
    site = ATTACHED[case.name]()
    with site.world.change() as state:
        case.change(state)
    found = [*_found(site, case)]
    matching = [fault for fault in found if re.search(case.words, fault.message)]
    assert matching, [fault.message for fault in found]
    assert matching[0].code == case.code
    assert site.world.deeds() == []
    for fault in found:
        assert_is_a_sentence(fault)


WHOLE = [case for case in CASES if case.what != "btrfs too small"]
"""Those that an extension can meet; a btrfs that is too small is in live/test_no.py."""


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: f"{case.kind}-{case.what}")
def test_an_extension_stops_at_it_and_has_touched_nothing(case: Case, tmp_path: Path) -> None:
    stage = begin(ATTACHED[case.name](), tmp_path)
    size, goal = stage.volume().size, f"{case.to // MIB}M"
    with stage.change() as state:
        case.change(state)
    for report in (
        stage.extend(goal, confirmed=True, dry_run=True),
        stage.extend(goal, confirmed=True),
    ):
        assert report.exit_status == 3
        assert report.error is not None
        found = [fault for fault in report.error.faults if re.search(case.words, fault.message)]
        assert found, [fault.message for fault in report.error.faults]
        assert found[0].code == case.code
        assert untouched(stage, size)


def _found(site: Site, case: Case) -> Iterator[Fault]:
    """Obstacles; where the stack cannot even be seen, that refusal is the obstacle."""
    try:
        yield from pick(site, case.kind).obstacles(case.to)
    except Refused as refusal:
        yield from refusal.faults


def assert_is_a_sentence(fault: Fault) -> None:
    assert fault.host in {"silo", "web1", "here"}
    assert fault.host in fault.message
    assert len(fault.message.split()) >= 4
    assert "\n" not in fault.message
    assert not fault.message.endswith(".")
    assert "None" not in fault.message


def test_a_host_that_does_not_see_the_volume_says_so() -> None:
    for name in ATTACHED:
        site = ATTACHED[name]()
        with site.world.change() as state:
            for machine in site.users:
                for device in ("sdb", "sdc", "loop0", "dm-0", "nvme0n1"):
                    state.machines[machine].devices.pop(device, None)
                state.machines[machine].mounts.clear()
        with pytest.raises(Refused, match="does not see the volume") as refusal:
            site.branches(site.hosts())
        assert refusal.value.fault.code == "not-found"


def test_a_volume_behind_two_backstores_has_no_identity() -> None:
    site = ATTACHED["iscsi-ext4"]()
    with site.world.change() as state:
        stores = state.machines["silo"].stores
        stores["iblock_9/again"] = stores["iblock_0/vol1"].model_copy(update={"serial": "abc"})
    trunk = site.trunk(site.hosts())
    assert trunk.identity is None
    assert "served several times" in trunk.obstacles[0].message


def test_a_file_under_two_loop_devices_is_refused() -> None:
    site = ATTACHED["file-loop-xfs"]()
    with site.world.change() as state:
        build.loop(state, "here", f"{FILES}/vol1", "loop1")
    with pytest.raises(Refused, match="several loops"):
        site.branches(site.hosts())


def test_a_btrfs_is_found_whatever_name_it_was_mounted_by() -> None:
    site = ATTACHED["iscsi-btrfs-thin"]()
    with site.world.change() as state:
        state.machines["web1"].mounts[0].source = "/dev/disk/by-path/ip-10.10.1.10:3260-lun-0"
    stack = site.branches(site.hosts())["web1"]
    assert [layer.kind for layer in stack.layers] == ["path", "btrfs"]


def test_what_is_not_in_use_is_skipped_with_the_reason() -> None:
    site = ATTACHED["iscsi-ext4"]()
    with site.world.change() as state:
        state.machines["web1"].mounts.clear()
    stack = site.branches(site.hosts())["web1"]
    assert [layer.kind for layer in stack.layers] == ["path"]
    assert [(one.kind, one.host) for one in stack.skipped] == [("ext4", "web1")]


def test_the_filesystem_is_left_alone_when_asked() -> None:
    for name in ("iscsi-ext4", "iscsi-xfs", "iscsi-btrfs-thin"):
        site = ATTACHED[name]()
        stack = site.branches(site.hosts(), GrowOptions(no_filesystem=True))["web1"]
        assert [layer.kind for layer in stack.layers] == ["path"]
        assert [one.name for one in stack.skipped] == [POINT]
