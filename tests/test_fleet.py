"""Many hosts on one volume: each has its own result, whatever becomes of the others."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from extendctl import inventory
from extendctl.model import Outcome
from extendctl.transport import Result, Transport
from tests.extending import GOAL, VOLUME, Stage, begin, untouched, untrue
from tests.world import build, changes
from tests.world.machine import undress
from tests.world.site import shared

HOSTS = [f"web{number}" for number in range(1, 13)]
ILL = {
    "web2": (1, "tee: write error: No such device", "host-failed"),
    "web5": (0, "", "not-verified"),
    "web9": (124, "", "outcome-unknown"),
}
"""Hosts on which the rescan goes wrong: its exit status, its words, and how that is called."""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A volume without content, on twelve hosts."""
    found = begin(shared(), tmp_path)
    with found.change() as state:
        for name in HOSTS[2:]:
            build.machine(state, name)
            build.disk(state, name, "silo/iblock_0/vol1")
    found.configured(hosts=found.site.configs())
    for name in HOSTS[2:]:
        inventory.attach(found.means(), VOLUME, inventory.Place(name))
    found.world.forget()
    return found


def test_those_that_fail_hold_up_and_hide_nobody(stage: Stage) -> None:
    for host, (status, words, _) in ILL.items():
        stage.world.lie(host, "tee", status=status, err=words, times=1)
    report = stage.extend()
    outcomes = {one.host: str(one.outcome) for one in report.attachments}
    assert outcomes == {one: "incomplete" if one in ILL else "done" for one in HOSTS}
    assert {one.host: one.error.fault.code for one in report.attachments if one.error} == {
        host: code for host, (_, _, code) in ILL.items()
    }
    assert {one.host for one in stage.volume().lagging} == set(ILL)
    assert (report.exit_status, report.status, report.size) == (5, "in-use", GOAL)
    assert all(host in str(report.error) for host in ILL)
    assert untrue(stage, report) == []
    healed = stage.resume()
    assert (healed.outcome, healed.error) == (Outcome.DONE, None)
    assert {one.host: str(one.outcome) for one in healed.attachments} == {
        one: "done" if one in ILL else "unchanged" for one in HOSTS
    }
    assert set(stage.growths.values()) == {1}


@dataclass
class Meeting:
    """A line whose rescan begins only when those of all others have been sent as well."""

    line: Transport
    barrier: threading.Barrier

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        bare = undress(argv)
        if bare.deed and bare.tool == "tee":
            self.barrier.wait(20)
        return self.line.run(argv, stdin, timeout)

    def close(self) -> None:
        self.line.close()


def test_all_hosts_are_signalled_at_the_same_time(stage: Stage) -> None:
    barrier = threading.Barrier(len(HOSTS))
    stage.wrap = lambda line, _: Meeting(line, barrier)
    report = stage.extend()
    assert (report.outcome, report.error) == (Outcome.DONE, None)


def test_all_are_asked_before_one_is_touched_and_each_cause_is_named(stage: Stage) -> None:
    with stage.change() as state:
        changes.offline(state, "web3", "sdb")
        changes.without(state, "web7", "tee")
        changes.unprivileged(state, "web11")
    report = stage.extend()
    assert report.error is not None
    assert {fault.host for fault in report.error.faults} == {"web3", "web7", "web11"}
    assert report.exit_status == 3
    assert untouched(stage)


def test_of_those_that_are_away_each_lags_for_itself(stage: Stage) -> None:
    away = {"web4", "web8"}
    for host in away:
        stage.world.down(host)
    assert (stage.extend().exit_status, stage.world.deeds()) == (4, [])
    report = stage.extend(allow_lagging=True)
    assert {one.host for one in report.attachments if one.outcome != "done"} == away
    stage.world.up("web4")
    half = stage.resume()
    assert half.exit_status in {4, 5}
    assert {one.host for one in stage.volume().lagging} == {"web8"}
    stage.world.up("web8")
    assert stage.resume().outcome == Outcome.DONE
    assert stage.check().error is None
