"""The store between processes: one wins, nothing is promised twice, the dead are followed."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from extendctl.admission import locked_volume
from extendctl.errors import Busy, ExtendctlError, TakenOver
from extendctl.model import LayerOutcome, LayerReport, Opening, OperationState
from extendctl.owner import is_dead, me
from extendctl.size import GIB
from extendctl.stack import Measured
from extendctl.store import Store, open_store
from tests.test_store import Lv, add

pytestmark = pytest.mark.long

PROCESSES = 8
FORK = multiprocessing.get_context("fork")
Act = Callable[[Store, int], str]


def contend(url: str, act: Act, processes: int = PROCESSES) -> list[str]:
    """Let so many processes do it at the same moment; what each says, or its error's code."""
    barrier = FORK.Barrier(processes)
    pipes, children = [], []
    for number in range(processes):
        ours, theirs = FORK.Pipe(duplex=False)
        child = FORK.Process(target=_contender, args=(url, act, number, barrier, theirs))
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    said = [pipe.recv() for pipe in pipes]
    for child, pipe in zip(children, pipes, strict=True):
        child.join()
        pipe.close()
    return said


def _contender(url: str, act: Act, number: int, barrier: Barrier, told: Connection) -> None:
    try:
        barrier.wait(30)
        with open_store(url, create=True) as store:
            told.send(act(store, number))
    except ExtendctlError as error:
        told.send(error.fault.code)
    except BaseException as bug:  # a child's traceback would be nobody's
        told.send(repr(bug))
        raise


def wanted(**facts: Any) -> Opening:
    return replace(Opening(GIB, 2 * GIB, me(), GIB), **facts)


def opens(store: Store, number: int) -> str:
    store.open_operation("vol1", wanted())
    return "won"


@pytest.mark.parametrize(
    "programs", [2, 10, pytest.param(50, marks=pytest.mark.long)], ids="{} programs".format
)
def test_one_process_of_many_opens_an_operation(url: str, programs: int) -> None:
    with open_store(url, create=True) as store:
        add(store)
        assert Counter(contend(url, opens, programs)) == {"won": 1, "busy": programs - 1}
        assert len(store.operations()) == 1


def test_the_state_is_made_once_by_many_at_the_same_moment(url: str) -> None:
    def adds(store: Store, number: int) -> str:
        return add(store, f"vol{number}").name

    assert sorted(contend(url, adds)) == [f"vol{number}" for number in range(PROCESSES)]
    with open_store(url, create=True) as store:
        assert len(store.volumes()) == PROCESSES


def test_a_pool_is_never_promised_twice(url: str) -> None:
    def promised(store: Store, number: int) -> str:
        free = wanted(pool_key="vg:1", needed=4, pool_free=10)
        store.open_operation(f"vol{number}", free)
        return "won"

    with open_store(url, create=True) as store:
        for number in range(PROCESSES):
            add(store, f"vol{number}")
        assert Counter(contend(url, promised)) == {"won": 2, "no-space": PROCESSES - 2}


def test_a_project_is_never_overdrawn(url: str) -> None:
    def grows(store: Store, number: int) -> str:
        store.open_operation(f"vol{number}", wanted(project_max=(PROCESSES + 3) * GIB))
        return "won"

    with open_store(url, create=True) as store:
        for number in range(PROCESSES):
            add(store, f"vol{number}", project="web")
        assert Counter(contend(url, grows)) == {"won": 3, "limit-exceeded": PROCESSES - 3}


def test_one_process_of_many_takes_over(url: str) -> None:
    with open_store(url, create=True) as store:
        add(store)
        dead = store.open_operation("vol1", wanted())

        def takes_over(store: Store, number: int) -> str:
            store.take_over(dead, me())
            return "won"

        assert Counter(contend(url, takes_over)) == {"won": 1, "busy": PROCESSES - 1}
        assert store.operation(dead.id).epoch == dead.epoch + 1


def test_one_process_of_many_takes_up_what_failed(url: str) -> None:
    with open_store(url, create=True) as store:
        add(store)
        failed = store.open_operation("vol1", wanted())
        store.close_operation(failed, OperationState.FAILED)

        def resumes(store: Store, number: int) -> str:
            store.reopen_operation(failed.id, me())
            return "won"

        assert Counter(contend(url, resumes)) == {"won": 1, "busy": PROCESSES - 1}


def test_attaching_and_opening_do_not_pass_each_other(url: str) -> None:
    def opens_or_attaches(store: Store, number: int) -> str:
        if number % 2:
            store.attach("vol1", f"web{number}")
            return "attached"
        store.open_operation("vol1", wanted(expected_attachments=frozenset()))
        return "opened"

    with open_store(url, create=True) as store:
        add(store)
        said = Counter(contend(url, opens_or_attaches))
        # Whoever opened saw no attachment, and none came after; or somebody attached first.
        assert (said["opened"] == 1) != (said["attached"] > 0)


def test_writers_wait_for_each_other(url: str) -> None:
    def writes(store: Store, number: int) -> str:
        for _ in range(20):
            store.set_admin_status(f"vol{number}", "maintenance")
            store.set_size(f"vol{number}", store.volume(f"vol{number}").size + 1)
        return "wrote"

    with open_store(url, create=True) as store:
        for number in range(PROCESSES):
            add(store, f"vol{number}")
        assert Counter(contend(url, writes)) == {"wrote": PROCESSES}
        assert {volume.size for volume in store.volumes()} == {GIB + 20}


def _killed_at_work(url: str, told: Connection) -> None:
    with open_store(url, create=True) as store:
        op = store.open_operation("vol1", wanted())
        store.measured(op, Measured(Lv(), GIB, 2 * GIB))
        told.send(op)
        time.sleep(60)


def test_who_is_killed_between_measured_and_settled_is_followed(url: str) -> None:
    with open_store(url, create=True) as store:
        add(store)
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_killed_at_work, args=(url, theirs))
    child.start()
    old = ours.recv()
    with open_store(url, create=True) as store:
        found = store.operation(old.id)
        assert not is_dead(found.owner, found.heartbeat_age)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        found = store.operation(old.id)
        assert is_dead(found.owner, found.heartbeat_age)
        assert store.volume("vol1").status == "extending"
        (line,) = store.records(old.id)
        assert (line.before, line.target, line.outcome) == (GIB, 2 * GIB, None)

        new = store.take_over(found, me())
        store.measured(new, Measured(Lv(), GIB, 2 * GIB))
        grown = LayerReport("lv:uuid-1", "silo", "lv", "v", GIB, 2 * GIB, LayerOutcome.GROWN)
        with pytest.raises(TakenOver):
            store.settled(old, grown)
        with pytest.raises(TakenOver):
            store.measured(old, Measured(Lv(), GIB, 2 * GIB))
        store.settled(new, grown)
        assert [(one.epoch, one.outcome) for one in store.records(old.id)] == [
            (1, None),  # what became of it is not known, and never will be
            (2, LayerOutcome.GROWN),
        ]
        store.trunk_settled(new, 2 * GIB)
        store.close_operation(new, OperationState.DONE)
        assert store.volume("vol1").size == 2 * GIB
    ours.close()
    theirs.close()


def test_who_stays_locked_out_is_told(url: str) -> None:
    with open_store(url, create=True) as store:
        add(store)
    locked, told = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_locks, args=(url, told))
    child.start()
    locked.recv()
    try:
        with open_store(url, wait=0.2) as store:
            assert store.volume("vol1").size == GIB  # readers do not wait
            with pytest.raises(Busy, match="locked"):
                store.set_size("vol1", 2 * GIB)
    finally:
        child.kill()
        child.join()
    locked.close()
    told.close()
    with open_store(url, create=True) as store:
        store.set_size("vol1", 2 * GIB)


def _locks(url: str, told: Connection) -> None:
    with open_store(url) as store, store._database.writing() as connection:  # noqa: SLF001 - the lock
        locked_volume(connection, "vol1")
        told.send("locked")
        time.sleep(60)
