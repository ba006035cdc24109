"""A deed is begun within its lease or not at all: on simulated machines, and by a real shell."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from extendctl import lease
from extendctl.config import HostConfig
from extendctl.errors import Unreachable
from extendctl.figures import Garbled
from extendctl.host import CLEAN, Deed, Host
from extendctl.model import Outcome
from extendctl.owner import LAPSE
from extendctl.stack import ToolFailed
from extendctl.transport import LocalTransport, Result
from tests import phrases
from tests.extending import begin
from tests.world import changes
from tests.world.site import ATTACHED, iscsi_ext4
from tests.world.state import State

BOOT = "7017917d-65c7-4de7-8105-000000000001"


def told(*lines: str) -> Result:
    return Result(("sh", "-s"), 0, "".join(f"{line}\t\n" for line in (*lines, "end")), "")


def test_a_lease_is_shorter_than_the_silence_after_which_another_takes_over() -> None:
    assert 0 < lease.LEASE < LAPSE


def test_a_lease_ends_a_while_after_the_decision_on_the_far_clock() -> None:
    clock = lease.Clock(BOOT, 1000.9, 50.0)
    assert clock.lease(50.0) == (BOOT, str(int(1000.9 + lease.LEASE)))
    assert clock.lease(80.0) == (BOOT, str(int(1030.9 + lease.LEASE)))
    assert clock.lease(40.0) == (BOOT, str(int(990.9 + lease.LEASE)))


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (f"boot-id\t{BOOT}",),
        ("boot-id\tabc", "uptime\t12.5"),
        (f"boot-id\t{BOOT}", "uptime\t-3"),
        (f"boot-id\t{BOOT}", "uptime\tnan"),
        (f"boot-id\t{BOOT}", "uptime\t1e999"),
        ("boot-id\t$(reboot)", "uptime\t1"),
    ],
)
def test_what_is_no_clock_is_not_believed(lines: tuple[str, ...]) -> None:
    with pytest.raises(Garbled):
        lease.clock(told(*lines))


def test_a_machine_that_tells_no_time_is_not_acted_on(tmp_path: Path) -> None:
    """Refused before anything is touched, and in a sentence."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["silo"].boot_id = "none"
    report = stage.extend()
    assert report.exit_status == 3
    assert "does not tell when it was started" in str(report.error)
    assert stage.world.deeds() == []


def test_a_sandbox_without_a_boot_id_has_its_uptime() -> None:
    assert lease.clock(told("boot-id\t", "uptime\t12.5")).lease(lease.now())[0] == ""


@pytest.mark.parametrize("name", ATTACHED)
@pytest.mark.parametrize("why", ["late", "rebooted"])
def test_a_deed_that_comes_too_late_is_not_begun(name: str, why: str, tmp_path: Path) -> None:
    """On the backend: not now, nothing changed. The same command goes on from there."""
    stage = begin(ATTACHED[name](), tmp_path)
    stage.governed(rules={"volume:extend_with_pause": "allow"})
    machine = stage.site.backend.host

    def meanwhile(state: State) -> None:
        if why == "rebooted":
            changes.reboot(state, machine)
        else:
            state.machines[machine].uptime += LAPSE

    groups = stage.world.machine(machine).groups
    stage.world.surprise(machine, "lvextend" if groups else "truncate", meanwhile)
    report = stage.extend()
    assert (report.outcome, report.exit_status) == (Outcome.NOT_NOW, 4), report.error
    assert "was not begun" in str(report.error)
    assert stage.world.deeds() == []
    assert stage.store.deeds(1) == []
    assert stage.extend().outcome == Outcome.DONE


def test_a_host_that_reboots_before_its_deed_is_lagging_until_resume(tmp_path: Path) -> None:
    """The backend has grown; what was measured on the host before its reboot is not acted on."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.surprise("web1", "resize2fs", lambda state: changes.reboot(state, "web1"))
    report = stage.extend()
    assert (report.outcome, report.exit_status) == (Outcome.INCOMPLETE, 5)
    assert "was not begun" in str(report.error)
    assert "resize2fs" not in {argv[0] for argv in stage.world.deeds("web1")}
    assert stage.resume().outcome == Outcome.DONE


class Delayed(LocalTransport):
    """A line on which a deed arrives later, or on another boot of the machine."""

    def __init__(self, seconds: int = 0, boot: str | None = None) -> None:
        self.seconds, self.boot = seconds, boot

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        words, place = list(argv), len(lease.OUTLIVING)
        if tuple(words[:place]) == lease.OUTLIVING:
            words[place] = self.boot or words[place]
            words[place + 1] = str(int(words[place + 1]) - self.seconds)
        return super().run(words, stdin, timeout)


def do(line: LocalTransport, path: Path) -> Result:
    return Host(HostConfig("here"), line, is_root=True).do(Deed(("tee", str(path)), stdin=b"x\n"))


def test_a_real_shell_begins_what_is_in_time(tmp_path: Path) -> None:
    assert do(Delayed(int(lease.LEASE) - 5), tmp_path / "made").stdout == "x\n"
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("line", [Delayed(int(lease.LEASE) + 1), Delayed(boot=BOOT)])
def test_a_real_shell_does_not_begin_what_is_not(line: Delayed, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="was not begun"):
        do(line, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_tool_that_exits_with_that_status_has_begun(tmp_path: Path) -> None:
    """The status alone is no sign: the words have to be there, and to be all that was said."""
    host = Host(HostConfig("here"), LocalTransport(), is_root=True)
    script = f'touch "$0"; echo no >&2; exit {lease.TOO_LATE}'
    with pytest.raises(ToolFailed):
        host.do(Deed(("sh", "-c", script, str(tmp_path / "made"))))
    assert (tmp_path / "made").exists()


@dataclass
class Wire:
    """A line on which nothing happens: it tells the time, and keeps what else was sent."""

    sent: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        if stdin == lease.CLOCK_SCRIPT.encode():
            return told(f"boot-id\t{BOOT}", "uptime\t1000.5")
        self.sent.append(tuple(argv))
        return Result(tuple(argv), 0, "", "")

    def close(self) -> None:
        """There is nothing to let go of."""


DEEDS = {
    f"{name}{words!r}": phrase(*words)
    for name, phrase in phrases.every_phrase().items()
    for words in phrases.SAID[name]
    if isinstance(phrase(*words), Deed)
}


@pytest.mark.parametrize("user", ["root", "ops"])
@pytest.mark.parametrize("said", DEEDS)
def test_each_deed_of_the_phrasebook_outlives_its_line_and_has_a_lease(
    said: str, user: str
) -> None:
    """None is sent bare: what it travels in is proved on a real sshd by test_outliving.py."""
    wire, deed = Wire(), DEEDS[said]
    assert isinstance(deed, Deed)
    host = Host(HostConfig("box", user=user), wire, is_root=user == "root")
    with suppress(ToolFailed):  # some are believed only if they say so
        host.do(deed)
    (sent,) = wire.sent
    begin, lease_, words = sent[:4], sent[4:6], sent[6:]
    assert begin == lease.OUTLIVING
    assert 'trap "" HUP PIPE; exec "$@"' in begin[2]
    assert lease_ == (BOOT, str(int(1000.5 + lease.LEASE)))
    sudo = () if user == "root" else ("sudo", "-n")
    assert words[: 3 + len(sudo)] == (*CLEAN, *sudo)
    assert words[-len(deed.argv) :] == deed.argv
