"""What device mapper, sfdisk, cryptsetup and blkid say on hosts, as Debian 12 said it."""

import json

import pytest

from extendctl.block_readings import lvm_mapping, mapping, partition_table
from extendctl.probe import host_facts
from extendctl.readings import blkid
from extendctl.size import GIB, MIB
from extendctl.transport import Result

GROUP = "E80SlGqIE01swNdlbDDHVWXfdFS2eDo5"
VOLUME = "qcxvUAUIElCpiLAQEW69Erxs8e6LWk6O"


def said(text: str, status: int = 0) -> Result:
    return Result(("tool",), status, text, "")


@pytest.mark.parametrize(
    ("name", "suffix", "whole", "hidden"),
    [
        ("vg1-a--b", "", "vg1/a-b", False),
        ("vg--two-the--data", "", "vg-two/the-data", False),
        ("vg1-a---b", "", "vg1/a-/b", False),
        ("vg1-a--b-real", "-real", "vg1/a-b", False),
        ("vg1-snap-cow", "-cow", "vg1/snap", False),
        ("vg1-tp-tpool", "-tpool", "vg1/tp", True),
        ("vg1-tp_tdata", "-tdata", "vg1/tp_tdata", True),
        ("vg1-tp_tmeta", "-tmeta", "vg1/tp_tmeta", True),
        ("vg1-r1_rimage_0", "", "vg1/r1_rimage_0", True),
        ("vg1-r1_rmeta_1", "", "vg1/r1_rmeta_1", True),
        ("vg1-pvmove0", "", "vg1/pvmove0", True),
        ("vg1-my_data", "", "vg1/my_data", False),
        ("vg1-metadata", "", "vg1/metadata", False),
    ],
)
def test_a_mapping_of_lvm_tells_its_group_and_volume(
    name: str, suffix: str, whole: str, hidden: bool
) -> None:
    found = lvm_mapping(name, f"LVM-{GROUP}{VOLUME}{suffix}")
    assert found is not None
    if "/" not in whole.partition("/")[2]:
        assert found.whole == whole
    assert found.hidden is hidden
    assert found.group_uuid == "E80SlG-qIE0-1swN-dlbD-DHVW-XfdF-S2eDo5"
    assert found.uuid == "qcxvUA-UIEl-CpiL-AQEW-69Er-xs8e-6LWk6O"


@pytest.mark.parametrize("uuid", [None, "", "CRYPT-LUKS2-x", "mpath-3600", f"LVM-{GROUP}"])
def test_what_is_not_lvms_is_not_taken_for_it(uuid: str | None) -> None:
    assert lvm_mapping("vg1-a", uuid) is None


def table(**more: object) -> Result:
    rows = [{"node": "/dev/loop1p1", "start": 256, "size": 5120}]
    return said(json.dumps({"partitiontable": {"label": "gpt", "partitions": rows} | more}))


@pytest.mark.parametrize(
    ("more", "disk", "last"),
    [
        ({"sectorsize": 512}, 128 * MIB, 262110),
        ({"sectorsize": 4096}, 128 * MIB, 32762),
        ({"sectorsize": 512, "table-length": "256"}, 64 * MIB, 131006),
        ({"label": "dos", "sectorsize": 512}, 128 * MIB, 262143),
        ({"label": "dos", "sectorsize": 512}, 4096 * GIB, (1 << 32) - 1),
    ],
)
def test_the_last_sector_of_a_partition_is_known(
    more: dict[str, object], disk: int, last: int
) -> None:
    assert partition_table(table(**more)).limit(disk) - 1 == last


def test_a_mapping_without_its_header_is_read() -> None:
    found = mapping(said(
        "/dev/mapper/det is active.\n  type:    n/a\n  cipher:  aes-xts-plain64\n"
        "  keysize: 512 bits\n  key location: keyring\n  device:  /dev/mapper/vg1-c1\n"
        "  sector size:  512\n  offset:  0 sectors\n  size:    131072 sectors\n"
    ))  # fmt: skip
    assert (found.type, found.offset, found.needs_key) == ("n/a", 0, False)


def test_a_label_with_a_space_is_what_it_is() -> None:
    answer = "DEVNAME=/dev/vg1/c1\nLABEL=my\\ swap\nUUID=21cbad4b\nTYPE=swap\n"
    assert blkid(said(answer))["LABEL"] == "my swap"


def test_swap_space_is_read_with_what_is_in_it() -> None:
    facts = host_facts(
        "available\t727092\t\n"
        "block\tsdm\t8:192\t737280\t\n"
        "swap\tFilename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\t\n"
        "swap\t/dev/sdm                                partition\t368636\t\t1024\t\t7\t\n"
        "resting\t21cbad4b-6bde-4ec4-9e93-224690cf227b\t7\t\n"
        "end\t\n"
    )
    swap = facts.swap_on(facts.blocks["sdm"])
    assert swap is not None
    assert (swap.size, swap.used, swap.priority) == (368636 * 1024, MIB, 7)
    assert facts.available == 727092 * 1024
    assert facts.resting == {"21cbad4b-6bde-4ec4-9e93-224690cf227b": 7}
