"""A short sample of each kind of torture, and that the torture itself would notice."""

import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl.owner import me
from extendctl.size import GIB
from tests.elsewhere import require
from tests.extending import Rehearsal, Stage
from tests.mortal import Fate, killed, start
from tests.torture import truth
from tests.torture.campaign import bounded
from tests.torture.cases import APART, KINDS, SECOND_HOST, case, making
from tests.torture.mutants import Mutant, StaleMutant, fall, mutants
from tests.world.site import iscsi_ext4

FIRST, MOST = 1000, 400
LATER = frozenset({"abandon"})  # than the first round


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_a_short_campaign_of_each_kind(kind: str) -> None:
    """Seed after seed until the kind has struck: the truth in between, and the goal."""
    for seed in range(FIRST, FIRST + MOST):
        one = case(seed) if kind in LATER else case(seed, (kind,))
        if kind in LATER and kind not in {each.work for each in one.rounds}:
            continue
        verdict = bounded(one)
        assert verdict.wrong == [], f"{one}"
        if verdict.struck[kind]:
            return
    pytest.fail(f"{kind} has not struck in {MOST} cases")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_short_campaign_with_rivals_on_another_machine() -> None:
    """Until one came from a machine whose clocks are ahead, and one from where they are behind."""
    require()
    met: set[bool] = set()
    for seed in range(FIRST, FIRST + MOST):
        one = case(seed, ("rival",))
        if not any(each.apart for each in one.rounds):
            continue
        verdict = bounded(one)
        assert verdict.wrong == [], f"{one}"
        assert verdict.struck["elsewhere"]
        met |= {each.apart > 0 for each in one.rounds if each.apart}
        if met == {True, False}:
            return
    pytest.fail(f"no two such rivals in {MOST} cases")


def test_a_seed_is_the_same_case_for_ever() -> None:
    """What the record says can be done again."""
    assert case(7) == case(7)
    assert len({case(seed) for seed in range(100)}) == 100


def test_the_campaign_goes_everywhere() -> None:
    """All sites, towers, two hosts, several rounds, and every kind."""
    cases = [case(seed) for seed in range(400)]
    sites = {one.site for one in cases}
    assert {"iscsi-ext4", "file-loop-xfs", "mounted-once", "nvmet"} < sites
    assert any(name.startswith(f"tower-{SECOND_HOST}") for name in sites)
    assert {len(one.rounds) for one in cases} == {1, 2, 3, 4}
    rounds = [each for one in cases for each in one.rounds]
    blows = {blow.kind for each in rounds for blow in (each.strike, each.fault) if blow}
    assert {each.apart for each in rounds if each.rival} == {0, *APART}
    assert not [each for each in rounds if each.apart and not each.rival]
    assert blows | {"rival", "clock", "abandon"} == set(KINDS)


def half_done(directory: Path) -> tuple[Stage, Rehearsal]:
    """A program was killed after the backend had grown."""
    rehearsal = Rehearsal(iscsi_ext4, directory, shared=True)
    stage = rehearsal.again()
    assert start(stage, Fate(1, killed, ("deed after",))).ended() == -signal.SIGKILL
    return stage, rehearsal


def test_the_truth_is_found_true_and_each_lie_a_lie(tmp_path: Path) -> None:
    """A state that claims what is not there, a thing that shrank, a deed that nobody announced."""
    stage, rehearsal = half_done(tmp_path)
    base = rehearsal.state
    with stage.change() as state:
        goal = state.model_copy(deep=True)
    assert list(truth.between(stage, base, goal)) == []
    with sqlite3.connect(stage.config.state.removeprefix("sqlite:///")) as file:
        file.execute("UPDATE volumes SET size = ?", (30 * GIB,))
    file.close()
    assert any("the state has" in one for one in truth.between(stage, base, goal))
    with stage.change() as state:
        state.machines["web1"].devices["sdb"].size -= GIB
    assert any("shrunk" in one for one in truth.between(stage, base, goal))
    with stage.change() as state:
        state.log[-1].machine = "web1"
    assert any("no record announced" in one for one in truth.between(stage, base, goal))


def test_a_takeover_from_a_machine_that_was_heard_of_is_noticed(tmp_path: Path) -> None:
    """That of a dead process on the same machine is none."""
    stage, _ = half_done(tmp_path)
    before = stage.store.runs(1)
    dead = stage.store.open_operations()[0]
    taken = stage.store.take_over(dead, me())
    after = stage.store.runs(1)
    assert list(truth.too_early(before, after)) == []
    stage.store.take_over(taken, replace(me(), machine="admin2:0123"))
    assert len(list(truth.too_early(after, stage.store.runs(1)))) == 1


def test_an_end_short_of_the_goal_is_noticed(tmp_path: Path) -> None:
    """A layer that lags in the end is a difference from the undisturbed run."""
    stage, _ = half_done(tmp_path)
    report = stage.resume()
    goal = stage.world.state
    assert list(truth.reached(stage, report, goal)) == []
    with stage.change() as state:
        state.machines["web1"].devices["sdb"].size -= GIB
    found = list(truth.reached(stage, report, goal))
    assert any("web1/devices/sdb/size" in one for one in found)
    assert any("a check finds" in one for one in found)


def test_every_site_of_the_campaign_can_be_made(tmp_path: Path) -> None:
    """With two hosts, too."""
    site = making(f"tower-{SECOND_HOST}-gpt-luks-ext4")(tmp_path / "world.json")
    assert site.users == ("web1", "web2")


@pytest.mark.parametrize("mutant", mutants(), ids=lambda one: one.name)
def test_a_mutant_still_applies(mutant: Mutant) -> None:
    """Its old text is there once, and it becomes another program that is still Python."""
    compile(mutant.applied(Path(__file__).parent.parent), mutant.file, "exec")
    assert mutant.old != mutant.new
    assert mutant.tests


def test_there_are_enough_mutants_and_none_twice() -> None:
    assert len({one.name for one in mutants()}) == len(mutants()) >= 10


def test_a_mutant_that_no_longer_applies_is_stale() -> None:
    gone = Mutant("gone", "none", "extendctl/size.py", "not there", "", ())
    with pytest.raises(StaleMutant, match="stands 0 times"):
        fall(gone)


@pytest.mark.long
def test_a_mutant_that_nobody_notices_stands() -> None:
    """What drops nothing is not caught; what breaks a test is, by that test."""
    harmless = Mutant(
        "harmless", "none", "extendctl/size.py", "Size = int\n", "Size = int  # bytes\n",
        ("tests/test_shell.py",),
    )  # fmt: skip
    assert fall(harmless).by is None
