"""One machine as the layers see it: questions that are remembered until something is done there."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from extendctl import lease
from extendctl.config import HostConfig
from extendctl.errors import ExtendctlError, Fault, NotNow, OutcomeUnknown, Refused, Unreachable
from extendctl.stack import ToolFailed
from extendctl.transport import LineLost, Result, Transport

T = TypeVar("T")

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHANNELS = 4  # sshd's MaxSessions is 10 and not ours alone
GRACE = 10.0  # seconds beyond the remote `timeout` before the line itself is given up


SUDO = ("sudo", "-n")
CLEAN = ("env", "LC_ALL=C", PATH)
"""A clean environment for what comes after it; sshd may drop variables, hence `env`."""


def timed(argv: Sequence[str], seconds: float) -> tuple[str, ...]:
    """Argv behind a time limit, as sudo is asked for it.

    Never behind `env`: sudoers cannot tell `env "A=B tool" x`, which runs x, from `env A=B tool x`.
    """
    return ("timeout", "-k", "5", f"{seconds:.15g}", *argv)


def limited(argv: Sequence[str], seconds: float) -> tuple[str, ...]:
    """Argv behind a clean environment and a time limit."""
    return (*CLEAN, *timed(argv, seconds))


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A command that only looks, with the parser of its answer. Memoised by all but the parser.

    Where it `tells_time`, its answer has the machine's clock in it as well. Where it `tells_sudo`,
    it has one word more on a machine where sudo is used: elsewhere nobody's sudo is asked, which
    may log it or send mail. With a status in `again` it is asked again: that may have passed.
    """

    argv: tuple[str, ...]
    parse: Callable[[Result], T] = field(compare=False)
    root: bool = False
    stdin: bytes = b""
    accept: frozenset[int] = frozenset({0})
    tells_time: bool = False
    tells_sudo: bool = False
    again: frozenset[int] = frozenset()

    seconds = 0.0


@dataclass(frozen=True, slots=True)
class Deed:
    """A command that changes something; it is absolute and harmless to repeat.

    With `expects`, its standard output must be that word: multipathd says no with exit status 0.
    `seconds` is for what must not be ended early, whatever the host's limit for a command is.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    expects: str | None = None
    seconds: float = 0.0

    root = True


class Watcher(Protocol):
    """Who is told of deeds: before (it may forbid, by raising) and after.

    `after` is called once the command may have begun, with None when its result was not told;
    `withdrawn` in its place when it was certainly not begun. None of them is told twice.
    """

    def before(self, host: str, deed: Deed) -> None: ...
    def after(self, host: str, deed: Deed, result: Result | None) -> None: ...
    def withdrawn(self, host: str, deed: Deed) -> None: ...


class Host:
    """A machine, reached by a transport.

    What was asked stays remembered until a deed or `forget`, so that discovery, preflight and dry
    run cost one round trip; a measurement around a deed is always taken anew.
    """

    def __init__(
        self, config: HostConfig, line: Transport, *, is_root: bool, watcher: Watcher | None = None
    ) -> None:
        self.config = config
        self.name = config.name
        self._line = line
        self._is_root = is_root
        self._watcher = watcher
        self._memory: dict[Question[Any], Result] = {}
        self._asking: dict[
            Question[Any], threading.Lock
        ] = {}  # what several threads want is asked once
        self._clock: lease.Clock | None = None
        self._age = 0  # grows with every `forget`: an answer from before is not remembered after

    def __repr__(self) -> str:
        return f"Host({self.name!r})"

    def watched_by(self, watcher: Watcher) -> "Host":
        """The same machine over the same line, with a memory and a watcher of its own."""
        return Host(self.config, self._line, is_root=self._is_root, watcher=watcher)

    def forget(self) -> None:
        """Let every next question be asked anew, and drop the answers that are under way."""
        self._age += 1
        self._memory.clear()

    def ask(self, question: Question[T]) -> T:
        """The parsed answer.

        Raises Unreachable when there is none in time, and Refused (`obstacle`) when the machine
        answers with what cannot be an answer: a missing tool, no sudo, a failure of the tool.
        """
        return self._parsed(question, self._remember(question))

    def ask_all(self, questions: Sequence[Question[Any]]) -> None:
        """Ask side by side what is not known yet; `ask` then answers from memory.

        Raises nothing for a single question's failure: whoever needs its answer meets it then.
        """
        new = [one for one in dict.fromkeys(questions) if one not in self._memory]
        if len(new) == 1:
            self._glance(new[0])
        elif new:
            pool = ThreadPoolExecutor(max_workers=min(CHANNELS, len(new)))
            try:
                list(pool.map(self._glance, new))
            finally:  # leaving `with` would wait for the machine, though somebody pressed Ctrl-C
                pool.shutdown(wait=False, cancel_futures=True)

    def do(self, deed: Deed) -> Result:
        """Run a deed. Forgets all that was asked.

        Raises ToolFailed when it exits with another status than 0 (whoever grows something looks
        again before believing even that), OutcomeUnknown when the line was lost while it ran or
        it was ended for taking too long, Unreachable when it was certainly not begun, or would
        have begun too long after the watcher's word.
        """
        clock, since = self._time(), lease.now()
        if self._watcher is not None:
            self._watcher.before(self.name, deed)
        self.forget()
        result = self._deed(deed, clock.lease(since))
        self.forget()
        self._tell(deed, result)
        return self._checked(deed, result)

    def _time(self) -> lease.Clock:
        """The machine's clock, which the probes have told by the way; else it is asked for."""
        if self._clock is None:
            self._clock = self.ask(_CLOCK)
        return self._clock

    def _deed(self, deed: Deed, until: tuple[str, str]) -> Result:
        try:
            result = self._run(deed, until)
        except LineLost as lost:
            if not lost.sent:
                self._withdraw(deed)
                raise Unreachable(str(lost), host=self.name) from lost
            self._tell(deed, None)
            raise OutcomeUnknown(
                f"the line to {self.name} was lost during `{_shown(deed.argv)}`: {lost}",
                host=self.name,
                hint="when the machine can be reached again, resume: it looks first",
            ) from lost
        except ExtendctlError:  # there was no line to send it on
            self._withdraw(deed)
            raise
        if lease.lapsed(result):
            self._withdraw(deed)
            self._clock = None
            raise Unreachable(
                f"{self.name}: `{_shown(deed.argv)}` came too late, more than {lease.LEASE:g} s "
                "after it was decided or after a reboot, and was not begun",
                host=self.name,
                hint="nothing was done by it; run the command again, it looks first",
            )
        return result

    def _withdraw(self, deed: Deed) -> None:
        if self._watcher is not None:
            self._watcher.withdrawn(self.name, deed)

    def _tell(self, deed: Deed, result: Result | None) -> None:
        if self._watcher is not None:
            self._watcher.after(self.name, deed, result)

    def dressed(self, argv: Sequence[str], *, root: bool, seconds: float = 0.0) -> tuple[str, ...]:
        """Argv as it travels: sudo first, as an unprivileged `timeout` could not end root's."""
        words = timed(argv, max(self.config.command_timeout, seconds))
        return (*CLEAN, *(SUDO if root and self.uses_sudo else ()), *words)

    @property
    def uses_sudo(self) -> bool:
        """True when root's commands go through sudo here."""
        return not self._is_root and self.config.become == "sudo"

    @property
    def may_be_root(self) -> bool:
        """False when there is no way to root here: an ordinary user without `become`."""
        return self._is_root or self.config.become == "sudo"

    def _run(self, command: Question[Any] | Deed, until: tuple[str, str] | None = None) -> Result:
        seconds = max(self.config.command_timeout, command.seconds)
        words = self.dressed(command.argv, root=command.root, seconds=seconds)
        if until is not None:
            words = lease.dressed(until, words)
        return self._line.run(words, command.stdin, seconds + GRACE)

    def _glance(self, question: Question[Any]) -> None:
        try:
            self._remember(question)
        except (Unreachable, Refused):
            return

    def _remember(self, question: Question[Any]) -> Result:
        with self._asking.setdefault(question, threading.Lock()):
            known = self._memory.get(question)
            if known is not None:
                return known
            age = self._age
            result = self._put(question)
            for _ in range(_MORE if result.status in question.again else 0):
                time.sleep(_PAUSE)
                result = self._put(question)
                if result.status not in question.again:
                    break
            if age == self._age:
                self._memory[question] = result
            return result

    def _put(self, question: Question[T]) -> Result:
        asked = question
        if question.tells_sudo and self.uses_sudo:
            asked = replace(question, argv=(*question.argv, "sudo"))
        try:
            result = self._run(asked)
        except LineLost as lost:
            raise Unreachable(
                f"{self.name} did not answer `{_shown(question.argv)}`: {lost}",
                host=self.name,
                hint="nothing is known about it; try again when it answers",
            ) from lost
        if question.tells_time:
            with suppress(ValueError):
                self._clock = lease.clock(result)
        return result

    def _parsed(self, question: Question[T], result: Result) -> T:
        if result.status not in question.accept:
            raise self._no_answer(question, result)
        try:
            return question.parse(result)
        except (ValueError, KeyError, IndexError) as error:
            message = f"{self.name}: what `{_shown(question.argv)}` printed cannot be read: "
            message += _wrong(error)
            hint = "compare the tool's version with `extendctl host check`"
            raise Refused((Fault("obstacle", message, hint, self.name),)) from error

    def _no_answer(self, question: Question[T], result: Result) -> Refused | NotNow:
        if result.status in _TIMED_OUT or result.status < 0:
            return Unreachable(
                f"{self.name}: `{_shown(question.argv)}` did not end within "
                f"{self.config.command_timeout:g} s",
                host=self.name,
                hint="a blocked iSCSI session can hold LVM for two minutes; look at the machine",
            )
        return Refused((self._why(question.argv, result),))

    def _why(self, argv: Sequence[str], result: Result) -> Fault:
        return why(self.name, argv, result, self.config.user)

    def _checked(self, deed: Deed, result: Result) -> Result:
        if result.status in _TIMED_OUT or result.status < 0:
            raise OutcomeUnknown(
                f"{self.name}: `{_shown(deed.argv)}` was ended "
                f"(status {result.status}, limit {self.config.command_timeout:g} s)",
                host=self.name,
                hint="resume looks at what it has done and goes on from there",
            )
        refused = deed.expects is not None and result.stdout.strip() != deed.expects
        if result.status != 0 or refused:
            fault = self._why(deed.argv, result)
            raise ToolFailed(fault.message, hint=fault.hint, host=self.name)
        return result


_CLOCK = Question(("sh", "-s"), lease.clock, stdin=lease.CLOCK_SCRIPT.encode())
_MORE, _PAUSE = 2, 0.5  # tries after a status that may pass, and the seconds before each
_TIMED_OUT = frozenset({124, 137})  # timeout(1): it ran out; and it had to kill


def why(host: str, argv: Sequence[str], result: Result, user: str | None) -> Fault:
    """A failed command as one reason: a missing tool, no sudo, or the tool's own words."""
    tool, said = argv[0], result.said
    if said.startswith("sudo: ") and result.status == 1:
        return Fault(
            "obstacle",
            f"{user or 'this user'} may not run {tool} as root on {host}: {_line(said)}",
            f"let sudo on {host} allow it without a password, or set `become` for the host",
            host,
        )
    if result.status in {126, 127} and ("No such file" in said or "not found" in said):
        missing = "sudo" if "sudo: " in said or "'sudo'" in said else tool
        return Fault("obstacle", f"{missing} is missing on {host}", f"install it on {host}", host)
    return Fault(
        "obstacle",
        f"{host}: `{_shown(argv)}` exited with {result.status}: {_line(said) or 'no words'}",
        "",
        host,
    )


_SHOWN = 12  # words of a command that a message has room for


def _shown(argv: Sequence[str]) -> str:
    words = argv if len(argv) < _SHOWN else (*argv[:_SHOWN], "...")
    return " ".join(words).replace("\n", "\\n")


def _wrong(error: Exception) -> str:
    """What a parser says of an answer; a KeyError's only word is what is missing."""
    if isinstance(error, KeyError):
        return f"{error} is missing in it"
    return _line(str(error)) or "it ends too early"


def _line(text: str) -> str:
    # PostgreSQL keeps no NUL in a text.
    lines = [line.strip() for line in text.replace("\0", "").splitlines() if line.strip()]
    return "; ".join(lines[-3:])[:400]
