"""Volumes that share a pool: what is promised to one is not promised to another."""

import threading
from pathlib import Path

import pytest

from extendctl import inventory
from extendctl.config import PolicyConfig
from extendctl.errors import Refused
from extendctl.model import Outcome, VolumeReport
from tests.extending import Rehearsal, Stage, begin, code
from tests.mortal import Fate, killed, start
from tests.torture.blows import jump
from tests.world import build, changes
from tests.world.site import Site, iscsi_ext4
from tests.world.state import GIB, MIB

pytestmark = pytest.mark.long

FREE = 50 * GIB
ROUNDS = 5


def two_volumes(path: Path | None = None) -> Site:
    """vol1 in use on web1, vol2 unused; their group has 50 GiB free."""
    site = iscsi_ext4(path)
    with site.world.change() as state:
        build.volume(state, "silo", "vg0/vol2")
        build.export(state, "silo", "vg0/vol2")
        changes.leave_free(state, "silo", "vg0", FREE)
    return site


def taken_in(stage: Stage) -> Stage:
    """With the second volume, and both in one project."""
    inventory.take(stage.means(), "vol2", "san", "vol2")
    return stage


def one_is_done(stage: Stage, reports: dict[str, VolumeReport]) -> None:
    """Exactly one has what was asked for, the other was refused, and the pool adds up."""
    done = [name for name, one in reports.items() if one.outcome == Outcome.DONE]
    assert len(done) == 1
    loser = reports["vol2" if done == ["vol1"] else "vol1"]
    assert (code(loser), loser.exit_status, loser.size) == ("no-space", 3, 10 * GIB)
    group = stage.world.machine("silo").groups["vg0"]
    assert group.free == FREE - 35 * GIB
    assert stage.volume(done[0]).size == 45 * GIB
    assert stage.store.open_operations() == []


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_threads_do_not_promise_a_pool_twice(attempt: int, tmp_path: Path) -> None:
    """Two volumes want 35 of the 50 GiB at the same moment: one has them, one is refused."""
    stage = taken_in(begin(two_volumes(), tmp_path))
    stage.world.slow("silo", "lvextend", 0.1)
    reports: dict[str, VolumeReport] = {}

    def work(name: str) -> None:
        reports[name] = stage.extend("45G", name=name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("vol1", "vol2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one_is_done(stage, reports)


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_processes_do_not_promise_a_pool_twice(attempt: int, tmp_path: Path) -> None:
    """The same with two programs on one state."""
    stage = taken_in(Rehearsal(two_volumes, tmp_path, shared=True).again())
    stage.world.slow("silo", "lvextend", 0.1)
    programs = [
        start(stage, Fate(0, killed), lambda one, name=name: one.extend("45G", name=name))  # type: ignore[misc]
        for name in ("vol1", "vol2")
    ]
    assert sorted(program.ended() for program in programs) == [0, 3]
    sizes = {stage.volume(name).size for name in ("vol1", "vol2")}
    assert sizes == {10 * GIB, 45 * GIB}
    assert stage.world.machine("silo").groups["vg0"].free == 15 * GIB


def test_what_a_dead_program_was_promised_stays_promised(tmp_path: Path) -> None:
    """vol1's program died before it grew: its space is kept, until resume or abandon."""
    stage = taken_in(Rehearsal(two_volumes, tmp_path, shared=True).again())
    program = start(stage, Fate(1, killed, ("deed before",)), lambda one: one.extend("45G"))
    assert program.ended() != 0
    report = stage.extend("46081M", name="vol2")
    assert (code(report), report.goal) == ("no-space", 46084 * MIB)
    assert "promised to operation 1 (vol1)" in str(report.error)
    assert stage.extend("20G", name="vol2").outcome == Outcome.DONE
    assert stage.resume().outcome == Outcome.DONE
    assert stage.volume().size == 45 * GIB


def test_a_clock_that_is_set_back_does_not_count_a_promise_against_itself(tmp_path: Path) -> None:
    """It failed at four, and it is three now: it still has its 35 GiB, and nobody else does."""
    stage = taken_in(Rehearsal(two_volumes, tmp_path, shared=True).again())
    stage.world.lie("silo", "lvextend", status=5, err="  no", only="deed", times=1)
    assert stage.extend("45G").exit_status == 5
    jump(stage, -3600)
    assert stage.resume().outcome == Outcome.DONE
    assert stage.volume().size == 45 * GIB


def test_a_new_volume_does_not_take_what_was_promised(tmp_path: Path) -> None:
    """The dead program's 35 of 50 GiB are kept for who resumes; 20 more are not to be had."""
    stage = Rehearsal(two_volumes, tmp_path, shared=True).again()
    start(stage, Fate(1, killed, ("deed before",)), lambda one: one.extend("45G")).ended()
    with pytest.raises(Refused, match="promised to operation 1"):
        inventory.create(stage.means(), "vol3", "san", 20 * GIB)
    assert stage.world.deeds() == []
    assert inventory.create(stage.means(), "vol3", "san", 10 * GIB).size == 10 * GIB
    assert stage.resume().outcome == Outcome.DONE


def test_both_have_room_when_there_is_room(tmp_path: Path) -> None:
    """What one has taken is counted once, by the pool or by the promise, never twice."""
    stage = taken_in(begin(two_volumes(), tmp_path))
    assert stage.extend("35G").outcome == Outcome.DONE
    assert stage.extend("35G", name="vol2").outcome == Outcome.DONE
    assert stage.world.machine("silo").groups["vg0"].free == 0


def test_a_project_is_not_overdrawn_by_two_at_once(tmp_path: Path) -> None:
    """Both pass the first look; the state lets one in."""
    stage = begin(two_volumes(), tmp_path, project="web")
    inventory.take(stage.means(), "vol2", "san", "vol2", "web")
    stage.configured(policy=PolicyConfig(projects={"web": 50 * GIB}))
    stage.world.slow("silo", "lvextend", 0.1)
    reports: dict[str, VolumeReport] = {}

    def work(name: str) -> None:
        reports[name] = stage.extend("30G", name=name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("vol1", "vol2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(one.outcome) for one in reports.values()) == ["done", "refused"]
    assert "limit-exceeded" in {code(one) for one in reports.values()}
