"""A name that passes to another thing in the middle of an extension: nothing is done to it."""

from pathlib import Path

from extendctl.size import GIB
from extendctl.stack import Event, Settled
from tests.extending import begin
from tests.world import changes
from tests.world.site import iscsi_ext4
from tests.world.state import State


def test_a_disk_that_became_another_while_the_backend_grew_is_left_alone(tmp_path: Path) -> None:
    """Its WWN is looked at again at that moment: 5, and no rescan, no filesystem grown."""
    stage = begin(iscsi_ext4(), tmp_path)

    def swap(_volume: str, event: Event) -> None:
        if isinstance(event, Settled) and event.layer.kind == "lv":
            with stage.change() as state:
                changes.another_disk(state, "web1", "sdb")

    stage.listener = swap
    report = stage.extend()
    assert report.exit_status == 5
    assert "no longer" in str(report.error)
    assert stage.world.deeds("web1") == []


def test_a_logical_volume_that_was_made_again_after_the_look_is_not_grown(tmp_path: Path) -> None:
    """Its UUID is looked at again before the first deed: nothing is done anywhere."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.surprise("web1", "dumpe2fs", _another_volume)
    report = stage.extend()
    assert report.exit_status == 3
    assert "is not the logical volume that was taken in" in str(report.error)
    assert stage.world.deeds() == []
    assert (stage.status, stage.volume().size) == ("in-use", 10 * GIB)


def _another_volume(state: State) -> None:
    changes.another_volume(state, "silo", "vg0/vol1")
