"""The program dies, freezes or is interrupted at every moment; another one finishes its work."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from extendctl.extension.abandon import abandon
from extendctl.model import OperationState, Outcome, VolumeReport
from extendctl.owner import LAPSE, me
from tests.extending import GOAL, MEMORY, VOLUME, Make, Rehearsal, Stage, grown, sizes, untrue
from tests.mortal import EVERYTHING, Fate, Program, extending, killed, start, stopped
from tests.world.site import file_loop_xfs, iscsi_ext4, iscsi_fileio, local_lvm, shared
from tests.world.tower import tower

pytestmark = pytest.mark.long

SITES: dict[str, Make] = {
    "ext4": iscsi_ext4,
    "two-hosts": shared,
    "local-lvm": local_lvm,
    "file-loop": file_loop_xfs,
    "tower": lambda path: tower("multipath", "gpt", "luks", "lvm", "ext4", path=path),
}
AFTER = ("deed after", "commit after")
DEEDS = ("deed before", "deed after")
CALLS = ("question before", "question after")
every_site = pytest.mark.parametrize(
    ("name", "kinds"), [(name, kinds) for name in SITES for kinds in (EVERYTHING, CALLS)]
)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that need not wait for a disk."""
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


def healed(stage: Stage, before: dict[tuple[str, str], int]) -> None:
    """One command more, from another process than the dead one, and all is as it should be."""
    volume = stage.volume()
    report = stage.resume() if volume.open_operation else stage.extend()
    assert (report.exit_status, report.error) == (0, None)
    assert report.outcome in {Outcome.DONE, Outcome.UNCHANGED}
    assert untrue(stage, report) == []
    assert (stage.status, stage.volume().size, stage.unfinished) == ("in-use", GOAL, None)
    assert set(stage.growths.values()) == {1}
    assert grown(before, sizes(stage.world.state)).total() == stage.growths.total()
    assert stage.check().outcome == Outcome.UNCHANGED


@pytest.mark.timeout(600)  # a hundred extensions of the tower; where others share the cores
@every_site
def test_who_is_killed_at_any_moment_is_followed_at_once(
    name: str, kinds: tuple[str, ...], directory: Path
) -> None:
    """SIGKILL before and after each remote call and each commit: one resume, every growth once."""
    rehearsal = Rehearsal(SITES[name], directory, shared=True)
    before = sizes(rehearsal.state)
    for number in range(1, 200):
        stage = rehearsal.again()
        if start(stage, Fate(number, killed, kinds)).ended() == 0:
            break
        volume = stage.volume()
        open_ = volume.open_operation is not None
        assert volume.status == ("extending" if open_ and not volume.trunk_settled else "in-use")
        assert volume.size == (GOAL if volume.trunk_settled else 10 << 30) or not open_
        assert open_ or stage.growths in ({}, dict.fromkeys(stage.growths, 1))
        healed(stage, before)
    assert number > len(kinds)
    stage.store.close()


@pytest.mark.parametrize("kind", DEEDS)
def test_what_a_killed_program_may_have_done_is_in_the_record(kind: str, directory: Path) -> None:
    """Its last command, of which nobody heard the end, stands there before those of who resumes."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    for number in (1, 2, 3):
        stage = rehearsal.again()
        start(stage, Fate(number, killed, (kind,))).ended()
        told = [deed.status for deed in stage.store.deeds(1)]
        assert told == [*([0] * (number - 1)), None]
        assert stage.resume().exit_status == 0
        deeds = stage.store.deeds(1)
        assert {deed.argv for deed in deeds} == set(stage.world.deeds())
        assert (deeds[number - 1].status, deeds[number - 1].ended_at) == (None, None)
    stage.store.close()


def test_who_resumes_and_is_killed_is_followed_as_well(directory: Path) -> None:
    """A resume that dies at any moment is taken up by the next one."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    before = sizes(rehearsal.state)
    for number in range(1, 200):
        stage = rehearsal.again()
        assert start(stage, Fate(1, killed, ("deed after",))).ended() == -signal.SIGKILL
        if start(stage, Fate(number, killed, AFTER), lambda one: one.resume()).ended() == 0:
            break
        healed(stage, before)
    assert number > 10
    stage.store.close()


def giving_up(stage: Stage) -> VolumeReport:
    """`operation abandon`, of the operation that a dead program has left open."""
    ended = abandon(stage.means(), 1)
    assert ended.state is OperationState.ABANDONED
    return stage.check()


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("kinds", [EVERYTHING, CALLS], ids=["deeds", "questions"])
def test_who_abandons_and_is_killed_leaves_a_way_out(
    number: int, kinds: tuple[str, ...], directory: Path
) -> None:
    """Of each moment of abandon; the extension died after its first deed, its second, its last."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    before = sizes(rehearsal.state)
    for moment in range(1, 100):
        stage = rehearsal.again()
        assert start(stage, Fate(number, killed, ("deed after",))).ended() == -signal.SIGKILL
        status = start(stage, Fate(moment, killed, kinds), giving_up).ended()
        if stage.store.operation(1).state is OperationState.OPEN:
            abandon(stage.means(), 1)
        assert stage.volume().size == GOAL  # as it is on the backend, which has grown
        healed(stage, before)
        if status != -signal.SIGKILL:
            break
    assert moment > 2
    stage.store.close()


def frozen_moments(directory: Path, kinds: tuple[str, ...]) -> Iterator[tuple[Stage, Program]]:
    """The same extension again and again, each time frozen at another moment."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    for number in range(1, 100):
        stage = rehearsal.again()
        program = start(stage, Fate(number, stopped, kinds))
        if not program.frozen():
            break
        yield stage, program
    assert number > 2
    stage.store.close()


def test_while_the_owner_lives_the_volume_is_busy(directory: Path) -> None:
    """Extend and resume say 4 and who it is, and change nothing; the owner then ends well."""
    for stage, program in frozen_moments(directory, AFTER):
        if stage.volume().open_operation is not None:
            deeds = stage.world.deeds()
            for report in (stage.extend("30G"), stage.resume(), stage.extend(dry_run=True)):
                assert (report.exit_status, report.outcome) == (4, Outcome.NOT_NOW)
                assert report.error is not None
                assert report.error.fault.code == "busy"
                assert f"process {program.pid}" in report.error.fault.message
            assert stage.world.deeds() == deeds
        program.thaw()
        assert program.ended() == 0
        assert (stage.volume().size, stage.status) == (GOAL, "in-use")


def taking_over(stage: Stage) -> VolumeReport:
    """Take over as when the owner's heart has stopped for so long that it may be done, and die."""
    stage.world.later(LAPSE)
    return taking_over_early(stage)


def taking_over_early(stage: Stage) -> VolumeReport:
    """Take over by force, while what the owner has decided is still good, and die."""
    operation = stage.store.open_operations()[0]
    stage.store.take_over(operation, me())
    killed()
    raise AssertionError("dead programs tell no tales")


def test_who_wakes_up_after_being_taken_over_does_nothing_more(directory: Path) -> None:
    """A frozen owner that was taken over sees it before its next deed, and says 5 or 4."""
    for stage, program in frozen_moments(directory, ("deed after",)):
        assert start(stage, Fate(0, killed), taking_over_early).ended() == -signal.SIGKILL
        deeds = stage.world.deeds()
        program.thaw()
        assert program.ended() == 5
        assert stage.world.deeds() == deeds
        assert stage.resume().exit_status == 0
        assert set(stage.growths.values()) == {1}


def test_who_wakes_up_between_the_record_and_the_deed_does_not_do_it(directory: Path) -> None:
    """Frozen when it has written down what it will do next, and taken over: it is not done."""
    moments = 0
    for stage, program in frozen_moments(directory, ("event",)):
        moments += 1
        assert start(stage, Fate(0, killed), taking_over_early).ended() == -signal.SIGKILL
        deeds = stage.world.deeds()
        program.thaw()
        assert program.ended() in {4, 5}
        assert stage.world.deeds() == deeds
        assert stage.resume().exit_status == 0
        assert set(stage.growths.values()) == {1}
    assert moments >= 8


STALE: dict[str, Make] = {
    "partition": lambda path: tower("gpt", "ext4", path=path),
    "file-lun": iscsi_fileio,
}


@pytest.mark.parametrize("name", STALE)
def test_a_last_deed_that_comes_too_late_is_not_done(name: str, directory: Path) -> None:
    """Frozen just before each deed, taken over, extended to more, and then it wakes up.

    `sfdisk` with the old size, or a LUN's old size, would make them smaller than they are by then.
    """
    rehearsal, late = Rehearsal(STALE[name], directory, shared=True), 0
    for number in range(1, 20):
        stage = rehearsal.again()
        program = start(stage, Fate(number, stopped, ("deed before",)))
        if not program.frozen():
            break
        assert start(stage, Fate(0, killed), taking_over).ended() == -signal.SIGKILL
        assert stage.extend("30G").exit_status == 0
        best, deeds = sizes(stage.world.state), stage.world.deeds()
        program.thaw()
        assert program.ended() in {4, 5}
        late += 1
        assert (sizes(stage.world.state), stage.world.deeds()) == (best, deeds)
        assert stage.check().exit_status == 0
    assert late > 2
    stage.store.close()


def test_who_is_taken_over_before_its_first_deed_has_changed_nothing(directory: Path) -> None:
    """Frozen with an open operation and nothing done: it wakes up, says "not now", acts not."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    program = start(stage, Fate(1, stopped, ("commit after",)))
    assert program.frozen()
    assert start(stage, Fate(0, killed), taking_over).ended() == -signal.SIGKILL
    program.thaw()
    assert program.ended() == 4
    assert stage.world.deeds() == []
    assert stage.resume().outcome == Outcome.DONE
    stage.store.close()


@pytest.mark.parametrize("kind", EVERYTHING)
def test_who_is_interrupted_leaves_the_operation_open_for_resume(
    kind: str, directory: Path
) -> None:
    """Interrupted at any moment: 130, no further deed, extending or in-use; resume finishes."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    before = sizes(rehearsal.state)
    interrupted, mark = 0, directory / "interrupted"

    def interrupt() -> None:
        mark.touch()
        stage.stop.set()

    for number in range(1, 100):
        stage = rehearsal.again()
        mark.unlink(missing_ok=True)
        status = start(stage, Fate(number, interrupt, (kind,))).ended()
        assert status in {0, 130}
        if not mark.exists():
            break
        if status == 130:
            interrupted += 1
            volume = stage.volume()
            assert volume.open_operation is not None
            assert volume.status == ("in-use" if volume.trunk_settled else "extending")
            healed(stage, before)
    assert interrupted >= 2
    stage.store.close()


def test_a_dead_owner_is_followed_by_the_same_command_too(directory: Path) -> None:
    """Extending again to the same size takes the dead program's operation over."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    again = stage.extend()
    assert (again.outcome, again.operation, again.size) == (Outcome.DONE, 1, GOAL)
    assert stage.volume(VOLUME).open_operation is None
    stage.store.close()


def test_a_larger_goal_supersedes_what_a_dead_owner_began(directory: Path) -> None:
    """Extending to more than the dead program wanted is a new operation; the old one has ended."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    more = stage.extend("30G")
    assert (more.outcome, more.operation, more.size) == (Outcome.DONE, 2, 30 << 30)
    assert str(stage.store.operation(1).state) == "superseded"
    stage.store.close()


def test_growth_after_a_crash_does_not_compound(directory: Path) -> None:
    """+10G, killed anywhere, and +10G again is 20G or a refusal, but never 30G."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    for number in range(1, 200):
        stage = rehearsal.again()
        if start(stage, Fate(number, killed, AFTER), lambda one: one.extend("+10G")).ended() == 0:
            break
        if stage.volume().open_operation is None and stage.growths:
            continue  # it had ended, and all was told
        again = stage.extend("+10G")
        if again.exit_status == 3:
            assert again.error is not None
            assert "resume" in again.error.fault.hint
            again = stage.resume()
        assert (again.exit_status, again.size) == (0, GOAL)
    stage.store.close()


def test_the_program_that_ran_is_another_process(directory: Path) -> None:
    """What these tests rest on: the owner in the record is not this process."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",)), extending).ended()
    assert stage.store.open_operations()[0].owner.pid != os.getpid()
    stage.store.close()
