"""What an extension costs in remote commands and round trips; an increase is a decision."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from extendctl.transport import Result, Transport
from tests.extending import Make, Stage, begin
from tests.world.site import (
    file_loop_xfs,
    iscsi_btrfs_thin,
    iscsi_ext4,
    iscsi_xfs,
    local_lvm,
    shared,
)

FLIGHT = 0.02  # seconds that a command takes here, so that those side by side overlap
ATTEMPTS = 4  # a busy machine starts threads late, and then one round trip looks like two


@dataclass
class Trips:
    """Counts round trips: one begins when a command is sent while none is under way there."""

    begun: Counter[str] = field(default_factory=Counter)
    flying: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self, below: Transport, host: str) -> "TimedLine":
        return TimedLine(below, host, self)

    def leaves(self, host: str) -> None:
        with self.lock:
            self.begun[host] += self.flying[host] == 0
            self.flying[host] += 1

    def arrives(self, host: str) -> None:
        with self.lock:
            self.flying[host] -= 1


@dataclass
class TimedLine:
    """A line on which a command takes its time."""

    below: Transport
    host: str
    trips: Trips

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        self.trips.leaves(self.host)
        try:
            time.sleep(FLIGHT)
            return self.below.run(argv, stdin, timeout)
        finally:
            self.trips.arrives(self.host)

    def close(self) -> None:
        self.below.close()


def cost(stage: Stage, work: Callable[[], object]) -> tuple[dict[str, int], dict[str, int]]:
    """Commands and round trips by machine."""
    trips = Trips()
    stage.wrap = trips.line
    stage.world.forget()
    work()
    commands = {name: stage.world.count(name) for name in sorted(stage.world.state.machines)}
    print("commands", commands, "round trips", dict(trips.begun))
    return commands, dict(trips.begun)


COMMANDS: dict[str, tuple[Make, dict[str, int], dict[str, int]]] = {
    # site, commands and round trips of the whole extension, by machine; of those on a volume
    # group one looks at LVM's archive before the change, and one after it, beside the sizes
    "ext4": (iscsi_ext4, {"silo": 11, "web1": 14}, {"silo": 7, "web1": 8}),
    "xfs": (iscsi_xfs, {"silo": 11, "web1": 16}, {"silo": 7, "web1": 8}),
    "thin-btrfs": (iscsi_btrfs_thin, {"silo": 12, "web1": 14}, {"silo": 8, "web1": 9}),
    "two-hosts": (shared, {"silo": 11, "web1": 7, "web2": 7}, {"silo": 7, "web1": 6, "web2": 6}),
    "local-lvm": (local_lvm, {"silo": 16}, {"silo": 9}),
    "file-loop": (file_loop_xfs, {"here": 20}, {"here": 12}),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_extension_costs_what_it_did(name: str, tmp_path: Path) -> None:
    """Commands and round trips of the whole job, preflight, deeds and second looks."""
    make, commands, trips = COMMANDS[name]
    for attempt in range(ATTEMPTS):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        stage = begin(make(None), directory)
        found = cost(stage, stage.extend)
        assert found[0] == commands
        if found[1] == trips:
            return
    assert found[1] == trips


def test_a_dry_run_costs_two_round_trips_a_host(tmp_path: Path) -> None:
    """Preflight: one look at all, and one round of what that leads to."""
    stage = begin(iscsi_ext4(), tmp_path)
    found = [cost(stage, lambda: stage.extend(dry_run=True))[1] for _ in range(ATTEMPTS)]
    assert {"silo": 2, "web1": 2} in found


def test_what_is_full_costs_no_more_than_a_look(tmp_path: Path) -> None:
    """Extending to the present size: the commands of a dry run."""
    stage = begin(iscsi_ext4(), tmp_path)
    dry, _ = cost(stage, lambda: stage.extend("10G", dry_run=True))
    run, _ = cost(stage, lambda: stage.extend("10G"))
    assert run == dry


def test_resume_of_nothing_costs_nothing(tmp_path: Path) -> None:
    """No machine is asked when the state knows of nothing unfinished."""
    stage = begin(iscsi_ext4(), tmp_path)
    assert cost(stage, stage.resume) == ({"silo": 0, "web1": 0}, {})


def test_a_refusal_by_policy_costs_nothing(tmp_path: Path) -> None:
    """What can be said without asking a machine is said at once."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.granted()
    assert cost(stage, stage.extend) == ({"silo": 0, "web1": 0}, {})
