"""A command that is under way is never left alone: its owner is heard of, and waits for it."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from extendctl.errors import Interrupted
from extendctl.model import Opening, Owner, VolumeReport
from extendctl.owner import EVERY, LAPSE, me
from extendctl.stack import Event, Measured
from extendctl.transport import Result, Transport
from tests.extending import GOAL, VOLUME, Rehearsal, Stage, begin, code
from tests.mortal import Fate, killed, start
from tests.test_extension_state_faults import elsewhere
from tests.world.machine import undress
from tests.world.site import iscsi_ext4, shared
from tests.world.state import GIB

PATIENCE = 60.0  # seconds, for what happens at once unless something is wrong


def seen(path: Path) -> bool:
    """Whether a file has come to be, in time."""
    until = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return path.exists()


@dataclass
class Held:
    """A line on which each deed is under way for as long as `hold` takes."""

    line: Transport
    hold: Callable[[], object]

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        if undress(argv).deed:
            self.hold()
        return self.line.run(argv, stdin, timeout)

    def close(self) -> None:
        self.line.close()


@pytest.mark.long
def test_an_owner_elsewhere_is_heard_of_during_a_long_deed(tmp_path: Path) -> None:
    """Its deed takes longer than the silence that counts as death: nobody takes over.

    The time that has gone by before the last of its beats is set back in the state.
    """
    stage = Rehearsal(iscsi_ext4, tmp_path, shared=True).again()
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"

    def hold() -> None:
        begun.touch()
        assert seen(go_on)

    def slow(one: Stage) -> VolumeReport:
        return replace(one, wrap=lambda line, _: Held(line, hold)).extend()

    program = start(stage, Fate(0, killed), slow)
    assert seen(begun)
    silent = round(LAPSE - EVERY) - 5
    elsewhere(stage, silent)
    until = time.monotonic() + LAPSE - silent + 2
    while time.monotonic() < until:
        for report in (stage.resume(), stage.extend("30G")):
            assert (code(report), report.exit_status) == ("busy", 4)
            assert "admin2" in str(report.error)
        time.sleep(0.5)
    go_on.touch()
    assert program.ended() == 0
    assert (stage.volume().size, stage.status, stage.unfinished) == (GOAL, "in-use", None)
    assert set(stage.growths.values()) == {1}
    assert [run.epoch for run in stage.store.runs(1)] == [1]
    stage.store.close()


def test_who_is_interrupted_waits_for_what_is_under_way_on_another_host(tmp_path: Path) -> None:
    """Two hosts follow; the stop comes before one's deed, during the other's: that has its end.

    Else its owner would be heard of no more, and its result be known to nobody.
    """
    stage = begin(shared(), tmp_path)
    under_way = threading.Event()

    def hold() -> None:
        under_way.set()
        assert stage.stop.wait(PATIENCE)
        time.sleep(0.5)

    def listen(_volume: str, event: Event) -> None:
        if isinstance(event, Measured) and event.layer.host == "web1":
            assert under_way.wait(PATIENCE)
            stage.stop.set()

    stage.listener = listen
    stage.wrap = lambda line, name: Held(line, hold) if name == "web2" else line
    with pytest.raises(Interrupted, match="on web1"):
        stage.extend()
    assert under_way.is_set()
    assert {one.host: one.status for one in stage.store.deeds(1)} == {"silo": 0, "web2": 0}
    assert stage.store.volume(VOLUME).open_operation == 1
    assert not [one for one in threading.enumerate() if one.name == "heartbeat"]
    stage.stop.clear()
    assert stage.extend("20G").exit_status == 4  # this process holds it, and lives


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("more", [{}, {"dry_run": True}, {"wait": 0.1}])
def test_who_is_busy_is_told_with_what_the_state_has(
    settled: bool, more: dict[str, Any], tmp_path: Path
) -> None:
    """Status and sizes are the volume's, the goal is one's own and not the other program's."""
    stage = begin(iscsi_ext4(), tmp_path)
    opening = Opening(before=10 * GIB, goal=15 * GIB, owner=parent(), expected_size=10 * GIB)
    operation = stage.store.open_operation(VOLUME, opening)
    if settled:
        stage.store.trunk_settled(operation, 15 * GIB)
    report = stage.extend(**more)
    now = 15 * GIB if settled else 10 * GIB
    assert (code(report), report.status) == ("busy", "in-use" if settled else "extending")
    assert (report.before, report.goal, report.size) == (now, GOAL, now)


def parent() -> Owner:
    """Another program that lives for as long as this one."""
    stat = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
    return replace(me(), pid=os.getppid(), started=int(stat[19]))
