"""What goes wrong between the program and a machine, decided before and after a command acts."""

import os
import signal
import time
from dataclasses import dataclass

from extendctl.errors import Unreachable
from extendctl.transport import LineLost
from tests import ledger
from tests.world.answer import Answer
from tests.world.machine import Undressed
from tests.world.state import Fault, State


@dataclass(frozen=True)
class Verdict:
    """What becomes of one command."""

    acts: bool = True
    answer: Answer | None = None  # in place of the tool's own
    lost: str | None = None  # before, after, unsent: the answer never arrives
    dies: bool = False  # the asking program is killed
    seconds: float = 0.0


def judge(state: State, machine: str, bare: Undressed, timeout: float) -> Verdict:
    """The verdict of the first fault that matches; it is used up a little by that."""
    for fault in state.faults:
        if not _matches(fault, machine, bare) or fault.times == 0:
            continue
        if fault.skip > 0:
            fault.skip -= 1
            continue
        if fault.times is not None:
            fault.times -= 1
        ledger.fault(f"{fault.kind} {fault.when}" if fault.kind == "cut" else fault.kind)
        return _verdict(fault, bare, timeout)
    return Verdict()


def _matches(fault: Fault, machine: str, bare: Undressed) -> bool:
    kind = "deed" if bare.deed else "question"
    return (
        fault.machine == machine
        and fault.tool in {None, bare.tool}
        and fault.only in {None, kind}
        and not (fault.tool is not None and bare.asks_sudo)
    )


def _verdict(fault: Fault, bare: Undressed, timeout: float) -> Verdict:
    if fault.kind in {"cut", "die"}:
        acts = fault.when == "after"
        return Verdict(acts=acts, lost=fault.when, dies=fault.kind == "die")
    if fault.kind == "slow":
        if bare.limit is not None and fault.seconds >= bare.limit:
            return Verdict(acts=fault.acts, answer=Answer(124))
        if fault.seconds >= timeout:
            return Verdict(acts=fault.acts, lost="after")
        return Verdict(seconds=fault.seconds)
    told = None if fault.status is None else Answer(fault.status, fault.out, fault.err)
    return Verdict(acts=fault.acts, answer=told)


def suffer(verdict: Verdict, machine: str) -> None:
    """Let the asking program feel it, when the world's state is safe on its file."""
    if verdict.dies:
        os.kill(os.getpid(), signal.SIGKILL)
    if verdict.seconds:
        time.sleep(verdict.seconds)
    if verdict.lost is not None:
        sent = verdict.lost != "unsent"
        raise LineLost("the connection was closed by the other side", sent=sent, host=machine)


def unreachable(machine: str, said: str) -> Unreachable:
    """A machine that is down, as the transport over SSH tells it."""
    return Unreachable(
        f"{machine} cannot be reached: {said}", host=machine, hint="see whether it is running"
    )
