"""Machines whose clocks are minutes apart, on one state: nobody alive is taken for dead by that."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl.model import VolumeReport
from extendctl.owner import LAPSE
from tests.elsewhere import elsewhere, require
from tests.extending import GOAL, Rehearsal, Stage, begin
from tests.mortal import Fate, Work, killed, start, stopped
from tests.test_extension_alone import Held, seen
from tests.test_extension_death import STALE
from tests.torture.blows import jump
from tests.torture.cases import HOUR
from tests.world.site import iscsi_ext4

pytestmark = pytest.mark.long

APART = (-600, -round(LAPSE) - 5, round(LAPSE) + 5, 600)
"""By how many seconds the other machine's clocks are ahead of all others."""

BUSY, INCOMPLETE = 4, 5


def slowly(begun: Path, go_on: Path) -> Work:
    """An extension whose every command takes until it is told to go on."""

    def hold() -> None:
        begun.touch()
        assert seen(go_on)

    def work(stage: Stage) -> VolumeReport:
        return replace(stage, wrap=lambda line, _: Held(line, hold)).extend()

    return work


def resuming(stage: Stage) -> VolumeReport:
    return stage.resume()


def one_after_another(stage: Stage, first: Work, others: Sequence[Work], directory: Path) -> None:
    """While the first is at work, the others are busy; it alone has done all of it."""
    program = start(stage, Fate(0, killed), first)
    assert seen(directory / "begun")
    assert [start(stage, Fate(0, killed), one).ended() for one in others] == [BUSY] * len(others)
    (directory / "go-on").touch()
    assert program.ended() == 0
    assert set(stage.growths.values()) == {1}
    assert (stage.volume().size, stage.status, stage.unfinished) == (GOAL, "in-use", None)
    assert [run.epoch for run in stage.store.runs(1)] == [1]
    stage.store.close()


@pytest.mark.parametrize("ahead", APART)
def test_who_works_elsewhere_with_a_wrong_clock_is_alive(
    ahead: int, url: str, tmp_path: Path
) -> None:
    """The owner's clock is wrong; those who look have the right one."""
    require()
    stage = begin(iscsi_ext4(tmp_path / "world.json"), tmp_path, url=url)
    first = elsewhere(slowly(tmp_path / "begun", tmp_path / "go-on"), ahead=ahead)
    others = [resuming, lambda one: one.extend("30G")]
    one_after_another(stage, first, others, tmp_path)


@pytest.mark.parametrize("ahead", APART)
def test_who_looks_with_a_wrong_clock_takes_nobody_for_dead(
    ahead: int, url: str, tmp_path: Path
) -> None:
    """The owner's clock is right; those who look from elsewhere have a wrong one."""
    require()
    stage = begin(iscsi_ext4(tmp_path / "world.json"), tmp_path, url=url)
    first = slowly(tmp_path / "begun", tmp_path / "go-on")
    others = [elsewhere(one, ahead=ahead) for one in (resuming, lambda one: one.extend("30G"))]
    one_after_another(stage, first, others, tmp_path)


@pytest.mark.parametrize("name", STALE)
def test_when_the_states_own_clock_jumps_forward_one_deed_may_come_late(
    name: str, tmp_path: Path
) -> None:
    """The limit of decision 0017: an owner that was about to act is taken over at once.

    It may do that one deed, with its own goal, and no other; `check` names what that has left.
    """
    require()
    rehearsal, left = Rehearsal(STALE[name], tmp_path, shared=True), 0
    for number in range(1, 20):
        stage = rehearsal.again()
        program = start(stage, Fate(number, stopped, ("deed before",)), elsewhere())
        if not program.frozen():
            break
        jump(stage, HOUR)
        assert stage.extend("30G").exit_status == 0
        deeds = len(stage.world.deeds())
        program.thaw()
        assert program.ended() == INCOMPLETE
        assert len(stage.world.deeds()) == deeds + 1
        found = stage.check()
        assert found.exit_status in {0, INCOMPLETE}
        if found.exit_status == INCOMPLETE:
            assert "has room for 30 GiB" in str(found.error)
            left += 1
    assert left == 1
    stage.store.close()
