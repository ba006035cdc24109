"""The line is cut at every call of an extension; one resume heals it, and nothing is done twice."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from extendctl.model import Outcome, VolumeReport
from tests.extending import GOAL, MEMORY, SITES, VOLUME, Rehearsal, Stage, grown, sizes, untrue
from tests.world.site import Site
from tests.world.state import State
from tests.world.tower import tower

pytestmark = pytest.mark.long

CUTS = [("question", "after"), ("deed", "unsent"), ("deed", "before"), ("deed", "after")]
"""A question that is lost is lost, before or after it is answered; a deed is three cases."""


def towering(path: Path | None) -> Site:
    """All that can stand on a volume, on one host."""
    return tower("multipath", "gpt", "luks", "lvm", "ext4", path=path)


CUTTABLE = SITES | {"tower": towering}
del CUTTABLE["iscsi-striped"]  # whose goal is rounded to another size
every_site = pytest.mark.parametrize("name", CUTTABLE)
every_cut = pytest.mark.parametrize(("only", "when"), CUTS)


def cuts(name: str, only: str, when: str) -> Iterator[tuple[Stage, VolumeReport]]:
    """The same extension again and again, each time cut at another call."""
    with TemporaryDirectory(dir=MEMORY) as directory:
        yield from _cuts(Rehearsal(CUTTABLE[name], Path(directory)), only, when)


def _cuts(rehearsal: Rehearsal, only: str, when: str) -> Iterator[tuple[Stage, VolumeReport]]:
    for machine in rehearsal.state.machines:
        for call in range(1, 100):
            stage = rehearsal.again()
            stage.world.cut(machine, call, when, only=only)
            report = stage.extend()
            with stage.change() as state:
                cut = state.faults[0].times == 0
            if not cut:
                break
            yield stage, report
        else:
            pytest.fail(f"{machine} is asked for ever")
    rehearsal.again().store.close()


def truth_in_between(stage: Stage, report: VolumeReport) -> None:
    """What an operator is told between the cut and the resume is so."""
    assert untrue(stage, report) == []
    status = report.exit_status
    assert status in {0, 3, 4, 5}
    volume = stage.volume()
    assert report.status == volume.status
    if not stage.world.deeds():
        assert status != 5, "nothing but questions was sent"
    if status in {3, 4}:
        assert stage.growths == {}
        assert stage.unfinished is None
        assert (volume.status, volume.size, volume.lagging) == ("in-use", report.before, ())
    if status == 5:
        assert report.outcome == Outcome.INCOMPLETE
        lags = {one.host for one in volume.lagging}
        assert {one.host for one in report.attachments if one.error is not None} == lags
        assert volume.status == ("in-use" if lags else "error_extending")
        assert volume.size == (GOAL if lags else report.before)
        assert stage.unfinished is not None


def goal_reached(stage: Stage, before: State) -> None:
    """The machines, the state and the tally agree that all has grown, once."""
    volume = stage.volume()
    assert (volume.status, volume.size, volume.lagging) == ("in-use", GOAL, ())
    assert stage.unfinished is None
    assert {one.size for one in volume.attachments} <= {GOAL, None}
    assert set(stage.growths.values()) == {1}
    after = stage.world.state
    assert grown(sizes(before), sizes(after)).total() == stage.growths.total()
    assert stage.check().outcome == Outcome.UNCHANGED


@every_site
@every_cut
def test_one_resume_heals_a_line_cut_at_any_call(name: str, only: str, when: str) -> None:
    """Wherever the line is cut: the truth in between, one resume, every growth exactly once."""
    number = 0
    for number, (stage, report) in enumerate(cuts(name, only, when), 1):
        before = CUTTABLE[name](None).world.state
        truth_in_between(stage, report)
        stage.world.heal()
        healed = stage.resume() if report.exit_status == 5 else stage.extend()
        assert healed.exit_status == 0, f"cut {number}: {healed.error}"
        assert healed.outcome == (Outcome.UNCHANGED if report.exit_status == 0 else Outcome.DONE)
        assert untrue(stage, healed) == []
        assert healed.size == GOAL
        assert healed.status == "in-use"
        goal_reached(stage, before)
        assert stage.resume(VOLUME).outcome == Outcome.UNCHANGED
    assert number >= 2


@every_site
def test_extending_again_heals_as_well_as_resume(name: str) -> None:
    """The same command again is the repair, wherever a deed was cut."""
    before = CUTTABLE[name](None).world.state
    for stage, _ in cuts(name, "deed", "after"):
        stage.world.heal()
        again = stage.extend()
        assert (again.exit_status, again.size) == (0, GOAL)
        assert untrue(stage, again) == []
        goal_reached(stage, before)
