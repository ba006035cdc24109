"""Lets the faults of a case strike: in the program, in the world, in the state."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extendctl.errors import Busy, ConfigError, ExtendctlError, Unreachable
from tests.extending import Stage
from tests.mortal import Fate, killed, stopped
from tests.torture.cases import Blow
from tests.world import changes
from tests.world.state import State

GARBLED = '{"report": [{"lv": \x1b[2J\x00'
QUESTIONS = frozenset({"cut-question", "lie-garbled"})
_ENOUGH = 1 << 30  # seconds: longer than any limit

STATE_FAULTS: dict[str, Callable[[], ExtendctlError]] = {
    "state-locked": lambda: Busy("the state has been locked by another program for 10 s"),
    "state-away": lambda: Unreachable("the state cannot be reached"),
    "state-full": lambda: ConfigError("the state cannot grow: the filesystem is full"),
    "state-gone": lambda: Unreachable("the state cannot be reached any more"),
}


@dataclass(frozen=True)
class Arm:
    """Strikes a stage's programs, and leaves a mark when it has."""

    stage: Stage
    mark: Path

    def fate(self, blow: Blow, moments: int) -> Fate:
        """A strike at its moment, of which an undisturbed run has so many."""
        act = self._act(blow)

        def strike() -> None:
            self.mark.touch()
            act()

        number = 1 + blow.number % max(1, moments)
        return Fate(number, strike, (blow.moment,), lasting=blow.kind == "state-gone")

    def _act(self, blow: Blow) -> Callable[[], None]:
        machine = self.machine(blow)
        acts: dict[str, Callable[[], None]] = {
            "kill": killed,
            "freeze": stopped,
            "interrupt": self.stage.stop.set,
            "machine-down": lambda: self.stage.world.down(machine),
            "machine-reboot": lambda: self.stage.world.down(machine),
            "pool-taken": lambda: self._change(_take_pool),
            "path-offline": lambda: self._change(lambda state: _path_down(state, machine)),
        }
        return acts.get(blow.kind) or (lambda: _fail(STATE_FAULTS[blow.kind]()))

    def machine(self, blow: Blow) -> str:
        """The machine that a blow is for."""
        machines = sorted(self.stage.world.state.machines)
        return machines[blow.machine % len(machines)]

    def _change(self, change: Callable[[State], None]) -> None:
        with self.stage.change() as state:
            change(state)

    def place(self, blow: Blow, sent: Counter[tuple[str, str]]) -> None:
        """Put a fault into the world; it strikes one command of a machine.

        `sent` counts what an undisturbed run sends, by machine and by `deed` or `question`.
        """
        only = "question" if blow.kind in QUESTIONS else "deed"
        machines = sorted(machine for machine, kind in sent if kind == only)
        machine = machines[blow.machine % len(machines)]
        number = blow.number % sent[machine, only]
        kind, _, how = blow.kind.partition("-")
        world = self.stage.world
        if kind == "cut":
            world.cut(machine, number + 1, "after" if how == "question" else how, only=only)
        elif kind == "slow":
            self._slow(machine, acts=how == "done", skip=number)
        elif how == "garbled":
            world.lie(machine, "", out=GARBLED, times=1, skip=number, only=only)
        else:
            status, acts = (0, False) if how == "done" else (5, blow.number % 2 == 0)
            world.lie(machine, "", status=status, acts=acts, times=1, skip=number, only=only)
        with self.stage.change() as state:
            state.faults[-1].tool = None  # whichever it is

    def _slow(self, machine: str, *, acts: bool, skip: int) -> None:
        self.stage.world.slow(machine, "", _ENOUGH, acts=acts, times=1, only="deed")
        with self.stage.change() as state:
            state.faults[-1].skip = skip

    def struck(self) -> list[str]:
        """What has struck since the last call: `strike`, `fault`, or both."""
        found = ["strike"] if self.mark.exists() else []
        self.mark.unlink(missing_ok=True)
        with self.stage.change() as state:
            found += ["fault"] if any(fault.times == 0 for fault in state.faults) else []
        return found


def _fail(error: ExtendctlError) -> None:
    raise error


def _take_pool(state: State) -> None:
    """Somebody else takes all that is free on the storage machine."""
    for name in state.machines["silo"].groups if "silo" in state.machines else ():
        changes.leave_free(state, "silo", name, 0)


def _path_down(state: State, machine: str) -> None:
    for name, device in state.machines[machine].devices.items():
        if device.state == "running":
            changes.offline(state, machine, name)
            return


def mend(stage: Stage, base: State, rebooted: str | None) -> None:
    """The round is over: machines and paths are back, faults gone, the pool is as it was."""
    stage.world.heal()
    with stage.change() as state:
        if rebooted is not None:
            changes.reboot(state, rebooted)
        for name, machine in state.machines.items():
            for device in machine.devices.values():
                device.state = "running" if device.state == "offline" else device.state
            for group, one in machine.groups.items():
                if one.device == base.machines[name].groups[group].device == "vdb":
                    one.size = base.machines[name].groups[group].size


def unheard(stage: Stage, seconds: int = 90) -> None:
    """The open operation's owner is elsewhere, and has been silent for so long, by all clocks."""
    stage.world.later(seconds)
    _sql(
        stage,
        "UPDATE operations SET owner_machine = 'admin2:0123', "
        "heartbeat = strftime('%Y-%m-%d %H:%M:%f000', 'now', ?) WHERE state = 'open'",
        f"-{seconds} seconds",
    )


def jump(stage: Stage, seconds: int) -> None:
    """The clock jumps: what is written down is so much further in the past, or in the future."""
    for column in ("heartbeat", "opened_at", "closed_at", "released_at"):
        _sql(
            stage,
            f"UPDATE operations SET {column} = strftime('%Y-%m-%d %H:%M:%f000', {column}, ?)",  # noqa: S608 - the names stand above
            f"{-seconds} seconds",
        )


def _sql(stage: Stage, statement: str, *values: str) -> None:
    stage.store.close()
    with sqlite3.connect(stage.config.state.removeprefix("sqlite:///"), timeout=30) as state:
        state.execute(statement, values)
    state.close()
