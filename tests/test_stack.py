"""The walk over a stack of layers, on toys: what it sees, does, and refuses to believe."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extendctl.errors import Incomplete, NotVerified, OutcomeUnknown
from extendctl.size import Size
from extendctl.stack import (
    Event,
    Hand,
    Layer,
    Measured,
    Settled,
    ToolFailed,
    forecast,
    grow,
    walk,
)
from tests.toys import Bottom, Toy, full, tower


def settled(events: Sequence[Event]) -> dict[str, Settled]:
    return {event.layer.name: event for event in events if isinstance(event, Settled)}


def run(layers: Sequence[Layer], goal: Size, hand: Hand = grow) -> dict[str, Settled]:
    return settled(list(walk(layers, goal, hand)))


def test_each_layer_fills_the_one_beneath() -> None:
    sizes = full(100)
    run(tower(sizes), 195)
    assert sizes == {"lv": 200, "disk": 200, "crypt": 197, "fs": 196}


def test_a_layer_is_measured_before_anything_is_done_to_it() -> None:
    sizes = full(100)
    for event in walk(tower(sizes), 200, grow):
        if isinstance(event, Measured):
            assert sizes[event.layer.name] == event.before < event.room


def test_nothing_is_touched_before_the_reader_has_taken_note() -> None:
    sizes = full(100)
    layers = tower(sizes)
    first = next(walk(layers, 200, grow))
    assert isinstance(first, Measured)
    assert sizes == full(100)
    assert [layer.asked for layer in layers] == [[], [], [], []]


def test_full_layers_are_passed_by() -> None:
    sizes = full(200)
    layers = tower(sizes)
    events = run(layers, 200)
    assert not any(event.grown for event in events.values())
    assert [layer.asked for layer in layers] == [[], [], [], []]


@given(
    now=st.integers(10, 5000).map(lambda count: count * 10),
    more=st.integers(1, 50_000),
    lag=st.integers(0, 4),
)
def test_the_forecast_is_what_will_be(now: Size, more: Size, lag: int) -> None:
    sizes = full(now)
    layers = tower(sizes)
    for layer in layers[:lag]:
        sizes[layer.name] = max(sizes[layer.name], layer.room(now + 10))
    foretold = {name: one.after for name, one in run(layers, now + more, forecast).items()}
    assert all(not layer.asked for layer in layers)
    assert {name: one.after for name, one in run(layers, now + more).items()} == foretold == sizes


@given(now=st.integers(10, 500).map(lambda count: count * 10), more=st.integers(0, 5000))
def test_a_second_run_does_nothing(now: Size, more: Size) -> None:
    sizes = full(now)
    run(tower(sizes), now + more)
    again = tower(sizes)
    run(again, now + more)
    assert not any(layer.asked for layer in again)


@pytest.mark.parametrize("broken", range(4))
def test_a_run_after_a_failure_heals_and_does_not_repeat(broken: int) -> None:
    sizes = full(100)
    layers = list(tower(sizes))
    layers[broken] = replace(layers[broken], raises=OutcomeUnknown("the line was lost"))
    with pytest.raises(OutcomeUnknown):
        run(layers, 200)
    healed = tower(sizes)
    run(healed, 200)
    assert [bool(layer.asked) for layer in healed] == [place >= broken for place in range(4)]
    assert sizes == full(200)


def test_success_without_growth_is_not_believed() -> None:
    sizes = full(100)
    disk = replace(tower(sizes)[1], reach=100)
    with pytest.raises(NotVerified, match=r"disk.*100 bytes.*200 bytes.*although"):
        grow(disk, 200)


def test_a_complaint_about_a_full_layer_is_no_failure() -> None:
    sizes = full(100)
    lv = replace(tower(sizes)[0], complains=True)
    assert grow(lv, 200) == 200


def test_a_complaint_about_a_layer_that_fell_short_is_passed_on() -> None:
    sizes = full(100)
    lv = replace(tower(sizes)[0], complains=True, reach=100)
    with pytest.raises(ToolFailed, match="exited with 5"):
        grow(lv, 200)


def test_slack_counts_in_verification() -> None:
    sizes = full(100)
    fs = Toy("fs", sizes, slack=8, reach=193)
    assert grow(fs, 200) == 193
    with pytest.raises(NotVerified):
        grow(replace(fs, slack=6), 200)


def test_slack_does_not_count_in_the_question_whether_a_layer_is_full() -> None:
    """An extension smaller than the slack must be done all the same."""
    sizes = {"fs": 100}
    fs = Toy("fs", sizes, slack=50)
    run((fs,), 110)
    assert fs.asked == [110]
    assert sizes == {"fs": 110}


def test_a_layer_that_fell_short_within_its_slack_hands_up_what_it_is() -> None:
    sizes = {"disk": 100, "fs": 100}
    layers = (Toy("disk", sizes, slack=8, reach=195), Toy("fs", sizes))
    assert run(layers, 200)["fs"].room == 195


def test_a_room_is_never_less_than_the_target_that_was_recorded() -> None:
    sizes = full(100)
    layers = tower(sizes)
    targets = {"toy/lv": 300}
    events = settled(list(walk(layers, 200, grow, targets)))
    assert events["lv"].room == 300
    assert sizes == {"lv": 300, "disk": 300, "crypt": 297, "fs": 296}


def test_a_target_that_is_reached_changes_nothing() -> None:
    sizes = full(300)
    layers = tower(sizes)
    list(walk(layers, 300, grow, {layer.key: sizes[layer.name] for layer in layers}))
    assert not any(layer.asked for layer in layers)


def test_a_layer_larger_than_the_goal_is_not_made_smaller() -> None:
    sizes = full(300)
    layers = tower(sizes)
    events = run(layers, 200)
    assert sizes == full(300)
    assert events["lv"].after == 300
    assert not any(layer.asked for layer in layers)


def test_what_lags_is_filled_even_when_the_lowest_is_full() -> None:
    """The partition is right, so the filesystem must be: it need not."""
    sizes = {**full(200), "fs": 96}
    run(tower(sizes), 200)
    assert sizes == full(200)


def test_layers_above_a_failure_are_left_alone() -> None:
    sizes = full(100)
    layers = list(tower(sizes))
    layers[1] = replace(layers[1], reach=150)
    seen: list[Event] = []
    with pytest.raises(Incomplete):
        seen.extend(walk(layers, 200, grow))
    assert sizes == {**full(100), "lv": 200, "disk": 150}


def test_a_walk_over_nothing_is_nothing() -> None:
    assert list(walk((), 200, grow)) == []


def test_the_lowest_rounds_up_and_the_others_down() -> None:
    assert Bottom("lv", {}, unit=10).room(191) == 200
    assert Toy("fs", {}, unit=4).room(191) == 188
