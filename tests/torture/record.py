"""Writes docs/reliability.md: what was done to the program, and what came of it."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from extendctl import __version__
from tests.torture.campaign import Verdict, counted
from tests.torture.mutants import Hunt
from tests.torture.suite import Row, Suite, total

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
_SEEDS = 3  # of each kind that are named

WORDS = {
    "kill": "SIGKILL to the program, before or after a deed, a commit or a question",
    "freeze": "SIGSTOP to the program, at such a moment",
    "freeze-taken-over": "… and another program took its operation over before it woke up",
    "interrupt": "Ctrl-C or SIGTERM at such a moment",
    "state-locked": "a commit finds the state locked for too long",
    "state-away": "a commit finds the state unreachable",
    "state-full": "a commit finds the disk of the state full",
    "state-gone": "from a commit on, the state cannot be reached any more",
    "machine-down": "a machine falls silent in the middle",
    "machine-reboot": "a machine reboots in the middle and comes back",
    "pool-taken": "somebody else takes the pool's last byte in the middle",
    "path-offline": "a path goes offline in the middle",
    "cut-unsent": "the line breaks before a deed is sent",
    "cut-before": "the line breaks after a deed was sent, and it was not done",
    "cut-after": "the line breaks after a deed was done",
    "cut-question": "the line breaks during a question",
    "lie-done": "a tool exits with 0 and has done nothing",
    "lie-failed": "a tool exits with 5, having done its work or not",
    "lie-garbled": "a question is answered with cut-off JSON and control characters",
    "slow-done": "a tool is past its time limit, and has done its work",
    "slow-undone": "a tool is past its time limit, and has done nothing",
    "rival": "a second program wants the same at the same moment",
    "elsewhere": "… from another machine, whose clocks are minutes ahead or behind",
    "clock": "the clock jumps by an hour, forward or back",
    "abandon": "an operator abandons the operation and begins anew",
}
"""What each kind of fault in the campaign is."""

_HEAD = """\
# Reliability

This page is written by `make torture`, which anybody can run: an hour on two cores, less with
`make torture MINUTES=10`. It says what was done to the program and what became of it. **Lost**
would be a case in which the program told an untruth, changed something twice, made something
smaller, or did not reach its goal with one more command when the fault was over. It has to be 0.

"""

_CAMPAIGN = """\
## Faults in a row

Each case is one extension that up to four rounds of faults befall, on a site chosen by its seed:
each site of `tests/world`, any tower of multipath, partitions, LUKS, LVM and filesystems or swap,
one host or two. After each round the state (status, size, attachments, open operation, recorded
sizes) is compared with what the machines really are; nothing may have become smaller, or grown
twice, or past the goal; a deed must have been announced on disk. When all is well again, one
command has to lead to exactly what an undisturbed run leads to, and `volume check` has to find
nothing.

The program, its processes, their deaths by SIGKILL and SIGSTOP, and the state in SQLite are real;
the machines, with their tools and lines, are simulated. `make torture SEED=N` does one case
again; the moments are counted per kind, so that the order of two threads may differ.

"""

_SUITE = """\
## Every moment, one after another

These tests do not throw dice: they try each moment in turn. What they inject is counted as it
strikes. Tests of `ssh` talk to a real sshd and to hostile servers on loopback, those of the state
to real files, processes and servers; the others are as above.

"""

_LAB = """\
## Real machines

In the lab all is real but the hardware: virtual machines with LVM, LIO, open-iscsi, multipath,
LUKS and filesystems under a writer whose data are read back; the program killed, sshd stopped, a
machine frozen or reset, a link cut.

"""

_MUTANTS = """\
## Safeguards that are missed

A test that cannot fail proves nothing. For each safeguard there is a small change that drops it,
kept in [tests/torture/mutants.toml](../tests/torture/mutants.toml); on a copy of the program with
that change, a test has to fail. `make mutants` does it again.

"""

_LIMITS = """\
## What this does not show

The simulated machines know what their authors knew of the tools. Each layer's real tools are in
the lab, where fewer moments are tried. A deed carries a lease, so that who was frozen and taken
over does nothing more; a virtual machine that is paused together with its clock lets a lease last
that much longer ([why](decisions/0017-a-deed-has-a-lease.md)).

"""


@dataclass(frozen=True)
class Run:
    """Everything that one `make torture` has found."""

    minutes: float
    began: datetime
    verdicts: Sequence[Verdict]
    suite: Suite
    lab: Suite
    hunt: Hunt

    @property
    def bad(self) -> bool:
        """True when anything was lost, failed, or was not noticed."""
        failed = any(row.tests["failed"] for row in (*self.suite.rows, *self.lab.rows))
        lost = any(verdict.wrong for verdict in self.verdicts)
        unseen = any(one.by is None for one in self.hunt.falls)
        broken = self.suite.broken or self.lab.broken or self.hunt.broken
        return failed or lost or unseen or broken


def write(run: Run, page: Path = PAGE) -> None:
    """The whole page."""
    page.write_text("".join(_page(run)))


def _page(run: Run) -> Iterator[str]:
    yield _HEAD
    yield from _where(run)
    yield _CAMPAIGN
    yield from _campaign(run.verdicts)
    yield _SUITE
    yield from _suite(run.suite)
    yield _LAB
    yield from _suite(run.lab)
    yield _MUTANTS
    yield from _mutants(run.hunt)
    yield _LIMITS.rstrip() + "\n"


def _where(run: Run) -> Iterator[str]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "| | |\n|---|---|\n"
    yield f"| date | {run.began:%Y-%m-%d %H:%M} UTC |\n"
    yield f"| extendctl | {__version__} |\n"
    yield f"| machine | {os.cpu_count()} cores, {pages / (1 << 30):.0f} GiB of memory, "
    yield f"{platform.system()} {platform.release()}, Python {platform.python_version()} |\n"
    took = (datetime.now(UTC) - run.began).total_seconds() / 60
    yield f"| time | {took:.0f} minutes of at most {run.minutes:.0f} |\n\n"


def _table(*rows: Sequence[object]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(map(str, row))} |\n"
        if number == 0:
            yield f"|{'---|' * len(row)}\n"
    yield "\n"


def _campaign(verdicts: Sequence[Verdict]) -> Iterator[str]:
    if not verdicts:
        yield "Not run.\n\n"
        return
    seeds = sorted(verdict.case.seed for verdict in verdicts)
    faults = counted(verdicts)
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    lost = counted(wrong)
    yield f"{len(verdicts)} cases, the seeds {seeds[0]} to {seeds[-1]}: {faults.total()} faults, "
    yield f"**{len(wrong)} cases lost**.\n\n"
    yield from _table(
        ("fault", "injected", "survived", "lost", "for instance, seeds"),
        *(
            (WORDS[kind], faults[kind], faults[kind] - lost[kind], lost[kind],
             ", ".join(map(str, _with(verdicts, kind))))
            for kind in WORDS
        ),
    )  # fmt: skip
    for verdict in wrong:
        yield f"- lost: seed {verdict.case.seed}: {verdict.wrong[0]}\n"
    yield "\n" if wrong else ""


def _with(verdicts: Sequence[Verdict], kind: str) -> list[int]:
    return [verdict.case.seed for verdict in verdicts if verdict.struck[kind]][:_SEEDS]


def _suite(suite: Suite) -> Iterator[str]:
    if suite.trouble:
        yield f"**Not complete: {suite.trouble}.**\n\n"
    if not suite.rows:
        return
    faults, lost = total(suite.rows)
    passed = sum(row.tests["passed"] for row in suite.rows)
    yield f"{passed} tests passed in {suite.seconds / 60:.1f} minutes"
    yield f"; by kind: {_kinds(faults)}; lost: {lost.total()}.\n\n" if faults else ".\n\n"
    yield from _table(
        ("tests", "what they do", "passed", "failed", "skipped", "faults", "lost"),
        *(_line(row) for row in suite.rows),
    )


def _kinds(faults: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(faults.items()))


def _line(row: Row) -> Sequence[object]:
    tests = (row.tests[outcome] for outcome in ("passed", "failed", "skipped"))
    noted = row.faults.total() or "in each test"
    lost = row.lost.total() if row.faults else row.tests["failed"]
    return (f"`{Path(row.file).name}`", row.says, *tests, noted, lost)


def _mutants(hunt: Hunt) -> Iterator[str]:
    if hunt.trouble:
        yield f"**Not complete: {hunt.trouble}**\n\n"
    if not hunt.falls:
        return
    caught = sum(one.by is not None for one in hunt.falls)
    yield f"{caught} of {len(hunt.falls)} mutants caught.\n\n"
    yield from _table(
        ("safeguard that was dropped", "in", "caught by"),
        *(
            (f"{one.mutant.name}: {one.mutant.safeguard}", f"`{one.mutant.file}`",
             f"`{one.by}`" if one.by else "**nobody**")
            for one in hunt.falls
        ),
    )  # fmt: skip
