"""Many programs at once, on SQLite and on PostgreSQL: one wins, no pool is promised twice."""

import multiprocessing
import time
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from extendctl import inventory
from extendctl.model import OperationState, VolumeReport
from tests.elsewhere import elsewhere, require
from tests.extending import GOAL, Stage, begin
from tests.mortal import Fate, Program, Work, killed, start
from tests.postgres import Server
from tests.world import build, changes
from tests.world.site import LVM, Site, iscsi_ext4
from tests.world.state import GIB

FORK = multiprocessing.get_context("fork")
FIFTY = 50
FREE = 100 * GIB
GROWTH = 5 * GIB
FITS = FREE // GROWTH


def together(stage: Stage, works: list[Work]) -> list[Program]:
    """Programs that begin at the same moment."""
    barrier = FORK.Barrier(len(works))
    return [start(stage, Fate(0, killed), _after(barrier, work)) for work in works]


def _after(barrier: Barrier, work: Work) -> Work:
    def waited(stage: Stage) -> VolumeReport:
        barrier.wait(60)
        return work(stage)

    return waited


@pytest.mark.parametrize(
    "programs",
    [2, pytest.param(10, marks=pytest.mark.long), pytest.param(50, marks=pytest.mark.long)],
)
def test_of_many_programs_on_one_volume_one_wins(url: str, programs: int, tmp_path: Path) -> None:
    """The others are busy, or come so late that they find it done; nothing grows twice."""
    stage = begin(iscsi_ext4(tmp_path / "world.json"), tmp_path, url=url)
    running = together(stage, [lambda one: one.extend()] * programs)
    assert {one.ended() for one in running} <= {0, 4}
    assert set(stage.growths.values()) == {1}
    assert (stage.volume().size, stage.status, stage.unfinished) == (GOAL, "in-use", None)
    assert [one.state for one in stage.store.operations()] == [OperationState.DONE]
    stage.store.close()


@pytest.mark.long
def test_of_programs_on_many_machines_one_wins(postgres: Server, tmp_path: Path) -> None:
    """Nobody is taken for dead because his processes cannot be seen from here."""
    require()
    url = postgres.database()
    stage = begin(iscsi_ext4(tmp_path / "world.json"), tmp_path, url=url)
    stage.world.slow("silo", "lvextend", 0.5)
    works = [elsewhere(name=f"admin{number}") for number in range(10)]
    assert {one.ended() for one in together(stage, works)} <= {0, 4}
    assert set(stage.growths.values()) == {1}
    assert (stage.volume().size, stage.status, stage.unfinished) == (GOAL, "in-use", None)
    (operation,) = stage.store.operations()
    (run,) = stage.store.runs(operation.id)
    assert (operation.state, operation.epoch) == (OperationState.DONE, 1)
    assert run.machine.startswith("admin")
    stage.store.close()


def crowd(path: Path) -> Site:
    """Fifty more volumes in vg0, half of them served by LIO."""
    site = iscsi_ext4(path)
    with site.world.change() as state:
        group = state.machines["silo"].groups["vg0"]
        group.size = 1000 * GIB
        for number in range(FIFTY):
            build.volume(state, "silo", f"vg0/crowd{number:02}")
            if number % 2:
                build.export(state, "silo", f"vg0/crowd{number:02}")
        changes.leave_free(state, "silo", "vg0", FREE)
    return site


def taken_in(site: Site, directory: Path, url: str) -> Stage:
    """The fifty, half through each of two backends, which share the volume group."""
    stage = begin(site, directory, url=url)
    stage.configured(backends={"san": site.backend, "fast": LVM})
    for number in range(FIFTY):
        name = f"crowd{number:02}"
        inventory.take(stage.means(), name, "san" if number % 2 else "fast", name)
    site.world.forget()
    return stage


def torn(stage: Stage) -> list[str]:
    """Volumes whose size and status do not belong to the same moment."""
    return [
        f"{one.name}: {one.size} and {one.status}"
        for one in stage.store.volumes()
        if (one.size, str(one.status))
        not in {(10 * GIB, "available"), (10 * GIB, "extending"), (15 * GIB, "available")}
        and one.name != "vol1"
    ]


@pytest.mark.long
def test_fifty_volumes_take_no_more_than_their_pool_has(url: str, tmp_path: Path) -> None:
    """Room for twenty: nobody is let in whom the group then cannot serve, and all of it is used."""
    stage = taken_in(crowd(tmp_path / "world.json"), tmp_path, url)
    names = [f"crowd{number:02}" for number in range(FIFTY)]
    running = together(
        stage,
        [lambda one, name=name: one.extend("15G", name=name) for name in names],  # type: ignore[misc]
    )
    looks = 0
    while stage.store.open_operations() or looks == 0:
        assert torn(stage) == []
        looks += 1
        time.sleep(0.05)
    said = Counter(one.ended() for one in running)
    assert set(said) <= {0, 3}, f"let in, and then without space: {said}"
    group = stage.world.machine("silo").groups["vg0"]
    assert group.free == FREE - said[0] * GROWTH
    for name in names:  # whoever was refused while another's promise was open has another turn
        stage.extend("15G", name=name)
    sizes = Counter(one.size for one in stage.store.volumes() if one.name != "vol1")
    assert sizes == {15 * GIB: FITS, 10 * GIB: FIFTY - FITS}
    assert stage.world.machine("silo").groups["vg0"].free == 0
    assert set(stage.growths.values()) == {1}
    assert torn(stage) == []
    assert {one.state for one in stage.store.operations()} == {OperationState.DONE}
    stage.store.close()
