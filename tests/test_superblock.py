"""A superblock that is read while the kernel writes it is read again, and not for ever."""

from pathlib import Path

import pytest

from extendctl.size import MIB
from tests.extending import GOAL, begin, untouched
from tests.world.site import iscsi_ext4

WORDS = "dumpe2fs: Superblock checksum does not match superblock while trying to open /dev/sdb"


@pytest.mark.parametrize("skip", [0, 1], ids=["before", "after"])
def test_a_checksum_that_matches_at_the_third_look_is_well(skip: int, tmp_path: Path) -> None:
    """Before anything is done, and when it is measured after it has grown."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "dumpe2fs", status=152, err=WORDS, skip=skip, times=2)
    report = stage.extend()
    assert report.error is None
    assert report.layers[-1].kind == "ext4"
    assert (report.layers[-1].after or 0) > GOAL - 16 * MIB


def test_one_that_never_matches_is_told_and_nothing_is_touched(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "dumpe2fs", status=152, err=WORDS)
    report = stage.extend()
    assert report.exit_status == 3
    assert "Superblock checksum does not match" in str(report.error)
    assert untouched(stage)
    asked = [entry for entry in stage.world.log if entry.argv[0] == "dumpe2fs"]
    assert {entry.status for entry in asked} == {152}
    assert len(asked) == 3


def test_what_cannot_pass_is_asked_once(tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "dumpe2fs", status=19, err="dumpe2fs: Bad magic number")
    assert stage.extend().exit_status == 3
    asked = [entry for entry in stage.world.log if entry.argv[0] == "dumpe2fs"]
    assert len(asked) == 1
