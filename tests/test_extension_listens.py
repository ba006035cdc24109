"""Who is on another machine is listened to before it is taken over: the clock may have jumped."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl.errors import Interrupted
from extendctl.extension.abandon import abandon
from extendctl.extension.means import LISTEN
from extendctl.model import Opening, Operation
from extendctl.owner import EVERY, LAPSE, me
from extendctl.size import GIB
from tests.extending import GOAL, VOLUME, Stage, begin, outgrow
from tests.torture.blows import jump
from tests.torture.cases import HOUR
from tests.world.site import iscsi_ext4

pytestmark = pytest.mark.slow


def owned_elsewhere(place: Path) -> tuple[Stage, Operation]:
    """An operation of a program on another machine, an hour after the state's clock has jumped."""
    stage = begin(iscsi_ext4(), place)
    stage.listen = 1.5
    owner = replace(me(), machine="admin2:0123", boot_id="another")
    op = stage.store.open_operation(VOLUME, Opening(10 * GIB, GOAL, owner, 10 * GIB))
    jump(stage, HOUR)
    return stage, op


def test_one_heartbeat_is_enough_to_be_alive(tmp_path: Path) -> None:
    stage, op = owned_elsewhere(tmp_path)
    heart = threading.Timer(0.5, stage.store.heartbeat, [op])
    heart.start()
    report = stage.resume()
    heart.join()
    assert (report.exit_status, stage.world.deeds()) == (4, [])
    assert stage.store.operation(op.id).epoch == op.epoch


def test_who_is_not_heard_of_is_taken_over_after_that(tmp_path: Path) -> None:
    stage, _ = owned_elsewhere(tmp_path)
    began = time.monotonic()
    assert stage.resume().error is None
    assert time.monotonic() - began >= 1.5


def test_abandon_listens_as_well(tmp_path: Path) -> None:
    stage, op = owned_elsewhere(tmp_path)
    began = time.monotonic()
    abandon(stage.means(), op.id)
    assert time.monotonic() - began >= 1.5


def test_abandon_adopts_what_is_there_after_that(tmp_path: Path) -> None:
    """A deed of the dead owner was under way, and ends while it is listened to."""
    stage, op = owned_elsewhere(tmp_path)
    deed = threading.Timer(0.7, outgrow, [stage, GOAL])
    deed.start()
    abandon(stage.means(), op.id)
    deed.join()
    volume = stage.volume()
    assert (volume.size, [one.lagging for one in volume.attachments]) == (GOAL, [True])


def test_ctrl_c_ends_the_listening(tmp_path: Path) -> None:
    stage, op = owned_elsewhere(tmp_path)
    stage.listen = 60.0
    threading.Timer(0.5, stage.stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        stage.resume()
    assert time.monotonic() - began < 20
    assert stage.store.operation(op.id).epoch == op.epoch


def test_a_heartbeat_comes_while_somebody_listens() -> None:
    assert EVERY < LISTEN < LAPSE
