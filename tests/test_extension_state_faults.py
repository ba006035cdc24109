"""The state fails, is locked, or belongs to a program elsewhere, while a volume is extended."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from extendctl.errors import Busy, ConfigError, ExtendctlError, Interrupted, Unreachable
from extendctl.model import Outcome, VolumeReport
from extendctl.owner import Heartbeat
from tests.extending import GOAL, MEMORY, Rehearsal, Stage, begin, code, untrue
from tests.mortal import Fate, killed, start, stopped
from tests.world.site import iscsi_ext4
from tests.world.state import GIB

pytestmark = pytest.mark.long

FAULTS: dict[str, Callable[[], ExtendctlError]] = {
    "locked": lambda: Busy("the state has been locked by another program for 10 s"),
    "away": lambda: Unreachable("the state cannot be reached"),
    "full": lambda: ConfigError("the state cannot grow: the filesystem is full"),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that need not wait for a disk."""
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_state_that_fails_once_is_no_lie(fault: str, directory: Path) -> None:
    """At every commit: 2 or 4 only if nothing was changed or left behind, else 5 and resume."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    mark = directory / "struck"

    def fail() -> None:
        mark.touch()
        error = FAULTS[fault]()
        raise error

    for number in range(1, 100):
        stage = rehearsal.again()
        mark.unlink(missing_ok=True)
        status = start(stage, Fate(number, fail, ("commit before",))).ended()
        if not mark.exists():
            break
        assert status in {0, 2, 4, 5}
        if status in {2, 4}:
            assert (stage.growths, stage.status, stage.unfinished) == ({}, "in-use", None)
        if status == 5:
            assert stage.unfinished is not None
        healed = stage.resume() if status == 5 else stage.extend()
        assert (healed.exit_status, healed.size, stage.status) == (0, GOAL, "in-use")
        assert set(stage.growths.values()) == {1}
        assert untrue(stage, healed) == []
    assert number > 10
    stage.store.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_heart_does_not_stop_for_one_beat_that_failed(fault: str) -> None:
    """A state that was full for a moment: else a living owner would be taken for dead."""
    beats: list[int] = []
    again = threading.Event()

    def beat() -> None:
        beats.append(len(beats))
        if len(beats) == 1:
            error = FAULTS[fault]()
            raise error
        again.set()

    with Heartbeat(beat, every=0.01) as heart:
        assert again.wait(10)
    assert heart.lost is None


def elsewhere(stage: Stage, seconds: int) -> None:
    """Let the open operation's owner be on another machine, silent for so long."""
    path = stage.config.state.removeprefix("sqlite:///")
    with sqlite3.connect(path) as state:
        state.execute(
            "UPDATE operations SET owner_machine = 'admin2:0123', "
            "heartbeat = strftime('%Y-%m-%d %H:%M:%f000', 'now', ?)",
            (f"-{seconds} seconds",),
        )
    state.close()


def test_an_owner_on_another_machine_is_heard_of_by_its_heart(directory: Path) -> None:
    """Busy while it beats, by name of the machine; taken over when it has been silent too long."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    elsewhere(stage, 30)
    for report in (stage.extend(), stage.resume(), stage.extend("30G")):
        assert (code(report), report.exit_status, report.status) == ("busy", 4, "extending")
        assert "admin2" in str(report.error)
    elsewhere(stage, 90)
    assert stage.resume().outcome == Outcome.DONE
    assert set(stage.growths.values()) == {1}
    stage.store.close()


def test_who_waits_has_its_turn(directory: Path) -> None:
    """--wait: busy is not the answer before the time is over; then the work is found done."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    program = start(stage, Fate(1, stopped, ("deed after",)))
    assert program.frozen()
    began = time.monotonic()
    assert stage.extend(wait=0.3).exit_status == 4
    assert time.monotonic() - began >= 0.3
    timer = threading.Timer(0.3, program.thaw)
    timer.start()
    report = stage.extend(wait=60.0)
    timer.join()
    assert program.ended() == 0
    assert (report.outcome, report.size) == (Outcome.UNCHANGED, GOAL)
    stage.store.close()


def test_who_waits_does_not_wait_for_itself(directory: Path) -> None:
    """The state cannot be written just after it was opened: the next try goes on with its own."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    times = iter(range(3))

    def fail() -> None:
        if next(times, None) is not None:
            error = FAULTS["locked"]()
            raise error

    def waiting(one: Stage) -> VolumeReport:
        return one.extend(wait=30.0)

    began = time.monotonic()
    fate = Fate(2, fail, ("commit before",), lasting=True)
    assert start(stage, fate, waiting).ended() == 0
    assert time.monotonic() - began < 20
    assert (stage.volume().size, stage.status, stage.unfinished) == (GOAL, "in-use", None)
    assert len(stage.store.operations()) == 1
    stage.store.close()


def test_who_waits_leaves_when_told_to_stop(directory: Path) -> None:
    """Interrupted between two tries: the time of --wait, which may be hours, is not waited for."""
    stage = Rehearsal(iscsi_ext4, directory, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    elsewhere(stage, 30)
    stage.stop.set()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        stage.extend(wait=30.0)
    assert time.monotonic() - began < 20
    stage.store.close()


def test_two_programs_that_want_the_same_do_it_once(directory: Path) -> None:
    """Both start at the same moment: one does it, the other is busy or finds it done."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    for _ in range(5):
        stage = rehearsal.again()
        programs = [start(stage, Fate(0, killed)) for _ in range(2)]
        assert sorted(program.ended() for program in programs) in ([0, 0], [0, 4])
        assert set(stage.growths.values()) == {1}
        assert (stage.volume().size, stage.status, stage.unfinished) == (GOAL, "in-use", None)
    stage.store.close()


def test_a_volume_that_changed_after_the_look_is_not_extended(tmp_path: Path) -> None:
    """Attached elsewhere between plan and opening: not now, look again; nothing was touched."""
    stage = begin(iscsi_ext4(), tmp_path)

    def attach(_state: object) -> None:
        if len(stage.volume().attachments) == 1:
            stage.store.attach("vol1", "web9")

    stage.world.surprise("web1", "dumpe2fs", attach)
    report = stage.extend()
    assert (code(report), report.exit_status) == ("busy", 4)
    assert "attached or detached meanwhile" in str(report.error)
    assert (stage.world.deeds(), stage.volume().size) == ([], 10 * GIB)
