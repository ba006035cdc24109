"""The same work as shell scripts over OpenSSH, made of what the program was seen to send."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clock import MIB, Cost, timed
from benchmarks.tape import Call, Recording
from extendctl.config import Config, HostConfig
from extendctl.host import CLEAN, SUDO
from extendctl.lease import OUTLIVING

# A number this near to the goal, as a part of it, is a size in bytes or sectors and moves with it:
# a volume group in the volume may leave some of it free.
_NEAR = 0.25

ALONE = "script, verifies nothing, an ssh for each command"
SHARED = "script, verifies nothing, one shared connection"
SAME = "script, verifies with the program's commands, shared"
BUNDLED = "script, the same bundled by hand, shared"
PROGRAM = "extendctl volume extend"
SCRIPTS = (ALONE, SHARED, SAME, BUNDLED)


@dataclass(frozen=True)
class Scripts:
    """Scripts for one volume, written anew for each size. `recorded` is the size on the tape."""

    place: Path
    config: Config
    tape: Recording
    recorded: int  # MiB

    def run(self, kind: str, size: int) -> Cost:
        """Write the script for so many MiB, run it from a closed connection, close it again."""
        script = self.place / "script.sh"
        script.write_text(self.text(kind, size))
        cost = timed(["sh", "-e", str(script)])
        for host in self._hosts():
            closing = ["ssh", "-F", str(self._ssh_config()), "-O", "exit", host]
            timed(["sh", "-c", f"{shlex.join(closing)} || true"])
        return cost

    def text(self, kind: str, size: int) -> str:
        """The script, for `sh -e`."""
        if kind == BUNDLED:
            return "\n".join(self._bundles(size)) + "\n"
        shared = kind != ALONE
        calls = self.tape.calls if kind == SAME else self.tape.deeds
        plain = kind != SAME
        return "".join(f"{self._ssh(call, size, plain=plain, shared=shared)}\n" for call in calls)

    def commands(self, kind: str) -> int:
        """How many times ssh is called."""
        return self.text(kind, self.recorded).count("ssh -F")

    def _ssh(self, call: Call, size: int, *, plain: bool, shared: bool) -> str:
        words = self._argv(call, size)
        words = tuple(typed(words)) if plain else words
        master = "" if shared else " -o ControlMaster=no -o ControlPath=none"
        stdin = "/dev/null"
        if call.stdin:
            file = self.place / f"stdin-{abs(hash(call.stdin))}"
            file.write_bytes(self.moved(call.stdin.decode(), size).encode())
            stdin = str(file)
        # A question may be answered with another status than 0; a deed may not.
        mild = "" if call.deed else " || true"
        remote = shlex.quote(shlex.join(words))
        return (
            f"ssh -F {self._ssh_config()}{master} {call.host} {remote} < {stdin} > /dev/null{mild}"
        )

    def _bundles(self, size: int) -> Iterator[str]:
        """Between two deeds, all questions to one machine in one call."""
        waiting: dict[str, list[str]] = {}
        for call in self.tape.calls:
            words = shlex.join(self._argv(call, size))
            text = self.moved(call.stdin.decode(), size)
            stdin = f"printf %s {shlex.quote(text)} | " if call.stdin else ""
            if call.deed:
                waiting.setdefault(call.host, []).append(f"{stdin}{words}")
                yield from self._sent(waiting)
            else:
                waiting.setdefault(call.host, []).append(f"{{ {stdin}{words} || true; }}")
        yield from self._sent(waiting)

    def _sent(self, waiting: dict[str, list[str]]) -> Iterator[str]:
        for host, commands in waiting.items():
            remote = shlex.quote(" && ".join(commands))
            yield f"ssh -F {self._ssh_config()} {host} {remote} < /dev/null > /dev/null"
        waiting.clear()

    def _argv(self, call: Call, size: int) -> tuple[str, ...]:
        return tuple(self.moved(word, size) for word in _unleased(call.argv))

    def moved(self, text: str, size: int) -> str:
        """Sizes in a command, in bytes or in sectors, moved from the recorded goal to this one."""
        by = (size - self.recorded) * MIB
        out, digits = "", ""
        for char in f"{text}\0":
            if char.isdigit():
                digits += char
                continue
            out += self._shifted(digits, by) + char
            digits = ""
        return out[:-1]

    def _shifted(self, digits: str, by: int) -> str:
        number, goal = int(digits or 0), self.recorded * MIB
        if abs(number - goal) < _NEAR * goal:
            return str(number + by)
        return str(number + by // 512) if abs(number * 512 - goal) < _NEAR * goal else digits

    def _hosts(self) -> Sequence[str]:
        return list(dict.fromkeys(call.host for call in self.tape.calls))

    def _ssh_config(self) -> Path:
        path = self.place / "ssh_config"
        if not path.exists():
            hosts = (self.config.hosts[name] for name in self._hosts())
            path.write_text("".join(_section(host, self.place) for host in hosts))
        return path


def _section(host: HostConfig, place: Path) -> str:
    return f"""\
Host {host.name}
  HostName {host.address}
  Port {host.port}
  User {host.user}
  IdentityFile {host.identity_file}
  UserKnownHostsFile {host.known_hosts}
  IdentitiesOnly yes
  BatchMode yes
  LogLevel ERROR
  ControlMaster auto
  ControlPath {place}/%n.sock
  ControlPersist 60
"""


def _unleased(words: Sequence[str]) -> Sequence[str]:
    """A command without its lease: a script sends it long after that has run out."""
    leased = tuple(words[: len(OUTLIVING)]) == OUTLIVING
    return words[len(OUTLIVING) + 2 :] if leased else words


def typed(words: Sequence[str]) -> Iterator[str]:
    """A command as a person types it: with sudo, and without what else the program puts around."""
    rest = list(_unleased(words))
    if tuple(rest[: len(CLEAN)]) == CLEAN:
        rest = rest[len(CLEAN) :]
    if tuple(rest[: len(SUDO)]) == SUDO:
        yield "sudo"
        rest = rest[len(SUDO) :]
    if rest[:1] == ["timeout"]:
        rest = rest[4:]
    yield from rest


def program(config: Path, volume: str, size: int) -> Cost:
    """The program as a process of its own."""
    words = ["--config", str(config), "volume", "extend", volume, "--size", f"{size}M"]
    return timed([sys.executable, "-m", "extendctl", *words, "-o", "json"])
