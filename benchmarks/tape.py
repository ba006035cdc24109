"""The program within this process, with every command that goes out written down on the way."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from extendctl.app import Lines, asker, read_config, state
from extendctl.config import Config
from extendctl.extension.extend import extend
from extendctl.extension.means import Means
from extendctl.extension.plan import Wish
from extendctl.host import Host
from extendctl.model import VolumeReport
from extendctl.size import parse
from extendctl.ssh import SshTransport
from extendctl.transport import Result


@dataclass(frozen=True)
class Call:
    """One command on a machine, with when it went out and when its answer was there."""

    host: str
    argv: tuple[str, ...]
    stdin: bytes
    begun: float
    ended: float
    deed: bool = False


@dataclass
class Taped:
    """A transport that writes down what passes; one list for all machines."""

    inner: SshTransport
    calls: list[Call]

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        begun = time.monotonic()
        result = self.inner.run(argv, stdin, timeout)
        host = self.inner.config.name
        self.calls.append(Call(host, tuple(argv), stdin, begun, time.monotonic()))
        return result

    def close(self) -> None:
        self.inner.close()


@dataclass
class Recording:
    """What went out, and how long each part took."""

    calls: list[Call] = field(default_factory=list)
    connects: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def waits(self) -> int:
        """How often somebody had to wait for an answer: calls side by side count once.

        The most calls of which none began before the last one had ended.
        """
        count, free = 0, 0.0
        for call in sorted(self.calls, key=lambda one: one.ended):
            if call.begun >= free:
                count, free = count + 1, call.ended
        return count

    @property
    def deeds(self) -> list[Call]:
        """The commands that change something."""
        return [call for call in self.calls if call.deed]


@dataclass
class Program:
    """The parts of the program over taped lines."""

    means: Means
    lines: dict[str, Taped]
    calls: list[Call]

    def connect(self) -> None:
        """Open all lines, so that this is not part of what is measured next."""
        for line in self.lines.values():
            line.run(("true",))
        self.calls.clear()

    def extend(self, volume: str, size: int, *, dry_run: bool = False) -> VolumeReport:
        """Extend to so many MiB, which has to go well."""
        report = extend(self.means, volume, parse(f"{size}M"), Wish(0), dry_run=dry_run)
        if report.error is not None:
            raise RuntimeError(f"{volume}: {report.error}")
        return report


@contextmanager
def program(config: Path, hosts: Sequence[str]) -> Iterator[Program]:
    """The program over lines to these hosts of a configuration, not opened yet."""
    settings = read_config(str(config))
    calls: list[Call] = []
    lines = {name: Taped(SshTransport(settings.hosts[name]), calls) for name in hosts}
    with state(settings) as store:
        machine = partial(_machine, settings, lines)
        means = Means(settings, store, asker(), machine, Lines(settings).backend)
        try:
            yield Program(means, lines, calls)
        finally:
            for line in lines.values():
                line.close()


def _machine(settings: Config, lines: Mapping[str, Taped], name: str) -> Host:
    host = settings.hosts[name]
    return Host(host, lines[name], is_root=host.user == "root")


def record(config: Path, volume: str, hosts: Sequence[str], size: int) -> Recording:
    """Extend once to `size` MiB: connect, look, then the whole of it on open lines."""
    found = Recording()
    with program(config, hosts) as one:
        _lap(found, "connect", one.connect)
        _lap(found, "dry run", lambda: one.extend(volume, size, dry_run=True))
        one.calls.clear()
        _lap(found, "run", lambda: one.extend(volume, size))
        found.connects = sum(line.inner.connects for line in one.lines.values())
        done = one.means.store.operations(volume)[-1]
        deeds = {(deed.host, deed.argv) for deed in one.means.store.deeds(done.id)}
    found.calls = sorted((_marked(call, deeds) for call in one.calls), key=lambda one: one.begun)
    return found


def _lap(found: Recording, name: str, work: Callable[[], object]) -> None:
    begun = time.monotonic()
    work()
    found.seconds[name] = time.monotonic() - begun


def _marked(call: Call, deeds: set[tuple[str, tuple[str, ...]]]) -> Call:
    """A deed travels in env, sudo and timeout; sudo is also asked whether it would run it."""
    for host, argv in deeds:
        plain = "-l" not in call.argv[: len(call.argv) - len(argv)]
        if call.host == host and call.argv[-len(argv) :] == argv and plain:
            return replace(call, deed=True)
    return call
