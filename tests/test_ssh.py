"""Commands over SSH, on a real sshd: what goes in, what comes out, and what a broken line tells."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extendctl.errors import Unreachable, Usage
from extendctl.ssh import SshTransport
from extendctl.transport import OUTPUT_LIMIT, LineLost
from tests.sshd import Sshd, require_sshd

pytestmark = pytest.mark.long

MIB = 1024 * 1024

AWKWARD = [
    "",
    " ",
    "-n",
    "--",
    "--help",
    "it's",
    '"double"',
    "'\"'\"'",
    "line\nbreak",
    "tab\tand\rreturn",
    "trailing newline\n",
    "$(touch /nowhere)",
    "`id`",
    "$HOME ${PATH}",
    "back\\slash\\",
    "a;b&&c||d|e>f<g&",
    "*?[a-z]{x,y}~",
    "!history #comment",
    "Grüße, 世界 \N{PILE OF POO}",
    "\x01\x1b[31m\x7f",
    "%s%n\\0",
    "x" * 20_000,
]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as server:
        yield server


@pytest.fixture(scope="module")
def box(sshd: Sshd) -> Iterator[SshTransport]:
    line = SshTransport(sshd.config())
    yield line
    line.close()


@pytest.fixture
def fragile() -> Iterator[Sshd]:
    """A server of the test's own, to be killed."""
    require_sshd()
    with Sshd() as server:
        yield server


def echo(box: SshTransport, words: list[str]) -> list[str]:
    return box.run(["printf", "%s\\0", *words]).stdout.split("\0")[:-1]


@pytest.mark.parametrize("word", AWKWARD, ids=range(len(AWKWARD)))
def test_an_awkward_word_arrives_as_it_is(box: SshTransport, word: str) -> None:
    assert echo(box, [word, "end"]) == [word, "end"]


def test_all_awkward_words_at_once(box: SshTransport) -> None:
    assert echo(box, AWKWARD) == AWKWARD


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=25, deadline=None)
@given(argument=st.lists(words, min_size=1, max_size=5))
def test_any_words_arrive_as_they_are(box: SshTransport, argument: list[str]) -> None:
    assert echo(box, argument) == argument


def test_what_no_argv_can_carry_is_refused_before_it_is_sent(box: SshTransport) -> None:
    before = box.commands
    for argv in ([], ["echo", "a\0b"]):
        with pytest.raises(Usage):
            box.run(argv)
    assert box.commands == before


@pytest.mark.parametrize("status", [0, 1, 5, 127, 255])
def test_exit_statuses(box: SshTransport, status: int) -> None:
    result = box.run(["sh", "-c", f"echo out; echo err >&2; exit {status}"])
    assert (result.status, result.stdout, result.stderr) == (status, "out\n", "err\n")
    assert result.argv[0] == "sh"


def test_a_missing_command_is_127(box: SshTransport) -> None:
    result = box.run(["no-such-command-here"])
    assert result.status == 127
    assert "not found" in result.said


def test_death_by_signal_is_minus_one_and_the_line_lives_on(box: SshTransport) -> None:
    connects = box.connects
    assert box.run(["sh", "-c", "echo last words; kill -KILL $$"]).status == -1
    assert box.run(["true"]).status == 0
    assert box.connects == connects


def test_output_that_is_no_utf8_is_still_text(box: SshTransport) -> None:
    assert box.run(["printf", "a\\377b"]).stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_there_is_no_terminal(box: SshTransport) -> None:
    assert box.run(["tty"]).stdout == "not a tty\n"


def test_much_on_both_outputs_at_once(box: SshTransport) -> None:
    size = 3 * MIB
    result = box.run(["sh", "-c", f"head -c {size} /dev/zero | tee /dev/stderr"], timeout=20)
    assert (len(result.stdout), len(result.stderr)) == (size, size)


def test_first_all_of_stderr_then_all_of_stdout(box: SshTransport) -> None:
    script = f"head -c {3 * MIB} /dev/zero >&2; head -c {3 * MIB} /dev/zero"
    result = box.run(["sh", "-c", script], timeout=20)
    assert (len(result.stdout), len(result.stderr)) == (3 * MIB, 3 * MIB)


@pytest.mark.parametrize("size", [1, MIB, 5 * MIB])
def test_stdin_arrives_whole(box: SshTransport, size: int) -> None:
    stdin = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    assert box.run(["cat"], stdin, timeout=20).stdout == stdin.decode()


def test_stdin_is_empty_unless_given(box: SshTransport) -> None:
    assert box.run(["wc", "-c"], timeout=5).stdout.strip() == "0"


def test_a_command_need_not_read_its_stdin(box: SshTransport) -> None:
    assert box.run(["true"], b"x" * 4 * MIB, timeout=10).status == 0


def test_a_flood_is_given_up(sshd: Sshd) -> None:
    box = SshTransport(sshd.config())
    with pytest.raises(LineLost, match=str(OUTPUT_LIMIT)) as lost:
        box.run(["yes"], timeout=20)
    assert lost.value.sent
    assert box.run(["echo", "alive"]).stdout == "alive\n"
    box.close()


@pytest.mark.parametrize("stdin", [b"", b"x" * 4 * MIB], ids=["silent", "unread stdin"])
def test_a_command_that_takes_too_long(box: SshTransport, stdin: bytes) -> None:
    connects, began = box.connects, time.monotonic()
    with pytest.raises(LineLost, match=r"sleep 2.*0\.3 s") as lost:
        box.run(["sleep", "2"], stdin, timeout=0.3)
    assert lost.value.sent
    assert time.monotonic() - began < 1.0
    assert box.run(["true"]).status == 0
    assert box.connects == connects


def test_output_does_not_prolong_the_time(box: SshTransport) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.2; done"
    began = time.monotonic()
    with pytest.raises(LineLost):
        box.run(["sh", "-c", script], timeout=0.5)
    assert time.monotonic() - began < 1.2


def test_many_threads_share_one_line_and_four_channels(sshd: Sshd) -> None:
    box = SshTransport(sshd.config())
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        argvs = [["sh", "-c", f"sleep 0.2; echo {number}"] for number in range(8)]
        said = [result.stdout for result in pool.map(box.run, argvs)]
    assert said == [f"{number}\n" for number in range(8)]
    assert (box.connects, box.commands) == (1, 8)
    assert time.monotonic() - began >= 0.4, "eight at once, where four are allowed"
    box.close()


def test_waiting_for_a_channel_counts_as_time(sshd: Sshd) -> None:
    box = SshTransport(sshd.config())
    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(box.run, ["sleep", "0.8"]) for _ in range(4)]
        time.sleep(0.4)
        with pytest.raises(LineLost, match="no free channel") as lost:
            box.run(["true"], timeout=0.1)
        assert not lost.value.sent
        assert [one.result().status for one in busy] == [0, 0, 0, 0]
    box.close()


@pytest.mark.parametrize("sessions", [1, 2])
def test_fewer_sessions_than_wished_for_are_enough(fragile: Sshd, sessions: int) -> None:
    fragile.restart(MaxSessions=sessions)
    box = SshTransport(fragile.config())
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(box.run, [["sleep", "0.05"]] * 12))
    assert [result.status for result in results] == [0] * 12
    assert box.connects == 1
    box.close()


def test_no_session_at_all(fragile: Sshd) -> None:
    fragile.restart(MaxSessions=0)
    box = SshTransport(fragile.config())
    with pytest.raises(LineLost, match="got no channel") as lost:
        box.run(["true"])
    assert not lost.value.sent
    assert box.commands == 0
    box.close()


def test_a_line_that_breaks_during_a_command(fragile: Sshd) -> None:
    box = SshTransport(fragile.config())
    box.run(["true"])
    killer = threading.Timer(0.3, fragile.stop)
    killer.start()
    began = time.monotonic()
    with pytest.raises(LineLost, match="cut off") as lost:
        box.run(["sh", "-c", "echo begun; sleep 5"], timeout=10)
    assert lost.value.sent
    assert time.monotonic() - began < 2.0
    killer.join()
    with pytest.raises(Unreachable, match="connection refused"):
        box.run(["true"])
    fragile.start()
    assert box.run(["echo", "again"]).stdout == "again\n"
    assert box.connects == 2
    box.close()


def test_a_command_that_closed_its_outputs_is_not_taken_for_one_that_ended(fragile: Sshd) -> None:
    box = SshTransport(fragile.config())
    box.run(["true"])
    killer = threading.Timer(0.3, fragile.stop)
    killer.start()
    with pytest.raises(LineLost) as lost:
        box.run(["sh", "-c", "exec >&- 2>&-; sleep 5"], timeout=10)
    assert lost.value.sent
    killer.join()
    box.close()


def test_a_line_that_broke_between_two_commands_is_opened_again(fragile: Sshd) -> None:
    box = SshTransport(fragile.config())
    box.run(["true"])
    fragile.restart()
    time.sleep(0.2)
    assert box.run(["echo", "again"]).stdout == "again\n"
    assert box.connects == 2
    box.close()


def test_a_server_that_freezes(fragile: Sshd) -> None:
    box = SshTransport(fragile.config())
    box.run(["true"])
    frozen = fragile.freeze()
    with pytest.raises(LineLost) as lost:
        box.run(["true"], timeout=0.5)
    assert not lost.value.sent, "no channel was granted, so nothing can have begun"
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    assert box.run(["true"]).status == 0
    assert box.connects == 2
    box.close()
