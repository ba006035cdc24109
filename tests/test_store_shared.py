"""Two volumes beneath one logical volume of a host: one of them grows it at a time."""

from dataclasses import replace
from typing import Any

import pytest

from extendctl.errors import Busy
from extendctl.model import Opening, OperationState
from extendctl.owner import me
from extendctl.size import GIB
from extendctl.store import Store
from tests.test_store import add, store, wanted

__all__ = ["store"]
LV = "Zm2Lql-wBn8-0aXk-CfG3-1l7U-YdJq-2uUuUu"


def opening(volume: str, uuid: str = LV, **facts: Any) -> Opening:
    """What would grow a logical volume over `volume` and, as they are keyed, over others."""
    targets = {
        f"web1/wwn:{volume}/pv/group": 2 * GIB,
        f"web1/wwn:{volume}/guest-lv/{uuid}": 2 * GIB,
    }
    return replace(wanted(), targets=targets, **facts)


def test_what_another_volume_grows_is_waited_for(store: Store) -> None:
    for name in ("vol1", "vol2"):
        add(store, name)
    mine = store.open_operation("vol1", opening("vol1"))
    with pytest.raises(Busy, match=r"operation 1 of vol1, which grows it, is open"):
        store.open_operation("vol2", opening("vol2"))
    store.close_operation(mine, OperationState.DONE)
    assert store.open_operation("vol2", opening("vol2")).state is OperationState.OPEN


@pytest.mark.parametrize("state", [OperationState.INCOMPLETE, OperationState.FAILED])
def test_what_another_volume_left_unfinished_comes_first(
    store: Store, state: OperationState
) -> None:
    """Its target was reckoned without what this one gives, and would be reached by that alone."""
    for name in ("vol1", "vol2"):
        add(store, name)
    mine = store.open_operation("vol1", opening("vol1"))
    store.close_operation(mine, state)
    with pytest.raises(Busy, match=f"is {state}") as busy:
        store.open_operation("vol2", opening("vol2"))
    assert busy.value.fault.hint == "extendctl volume resume vol1"
    store.abandon(store.operation(mine.id), me())
    store.open_operation("vol2", opening("vol2"))


def test_what_was_seen_before_another_grew_it_does_not_hold(store: Store) -> None:
    for name in ("vol1", "vol2"):
        add(store, name)
    seen = store.clock()
    store.close_operation(store.open_operation("vol1", opening("vol1")), OperationState.DONE)
    with pytest.raises(Busy, match="is done"):
        store.open_operation("vol2", opening("vol2", pool_seen=seen))
    store.open_operation("vol2", opening("vol2", pool_seen=store.clock()))


def test_other_logical_volumes_are_others(store: Store) -> None:
    for name in ("vol1", "vol2"):
        add(store, name)
    store.open_operation("vol1", opening("vol1"))
    store.open_operation("vol2", opening("vol2", "another"))
