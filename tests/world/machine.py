"""Run an argv on a simulated machine: undress it, find the tool, let it act."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from extendctl.lease import OUTLIVING, TOO_LATE
from tests.world import (
    crypt,
    files,
    filesystems,
    lio,
    loop,
    lvm,
    multipath,
    nvme,
    partition,
    probe_output,
    scsi,
    sudo,
    swap,
    sysfs,
    tgt,
    volume_group,
)
from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Machine, State

TOOLS: dict[str, Tool] = {
    **lvm.TOOLS,
    **lio.TOOLS,
    **scsi.TOOLS,
    **loop.TOOLS,
    **tgt.TOOLS,
    **nvme.TOOLS,
    **multipath.TOOLS,
    **partition.TOOLS,
    **crypt.TOOLS,
    **volume_group.TOOLS,
    **swap.TOOLS,
    **filesystems.TOOLS,
    **files.TOOLS,
    **sysfs.TOOLS,
    **probe_output.TOOLS_HERE,
}
"""Every program that there is on a simulated machine, beside sudo, env and timeout."""

ALWAYS = frozenset({"sh", "cat", "find", "mkdir", "env", "getconf", "pvs"})
"""What no machine is without."""

_QUESTIONS = ("--version", "-V", "version")
_WRAPPERS = {"sudo": "Sudo version 1.9.13p3", "timeout": "timeout (GNU coreutils) 9.1"}
_LOOKING = {"show", "status", "--json", "--test-passphrase"}
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*", re.DOTALL)


@dataclass(frozen=True)
class Undressed:
    """What is left of an argv: the command, who runs it, and for how long it may."""

    argv: tuple[str, ...]
    sudo: bool = False
    asks_sudo: bool = False  # `sudo -l`: whether, not do
    limit: float | None = None
    clean: bool = False
    outlives: bool = False  # the line's end
    lease: tuple[str, ...] = ()  # the boot that it is for, and the second before which it begins

    @property
    def tool(self) -> str:
        """The program's name."""
        return self.argv[0]

    @property
    def deed(self) -> bool:
        """True when it would change something."""
        if self.asks_sudo or self.argv[1:2] in {(flag,) for flag in _QUESTIONS}:
            return False
        if _LOOKING & set(self.argv):
            return False
        return self.tool in TOOLS and TOOLS[self.tool].deed


def undress(argv: Sequence[str]) -> Undressed:
    """Take off OUTLIVING, `sudo -n [-l]`, `env NAME=VALUE` and `timeout -k 5 N`, in any order."""
    found, rest = Undressed(()), list(argv)
    while rest:
        if tuple(rest[: len(OUTLIVING)]) == OUTLIVING:
            lease, rest = tuple(rest[len(OUTLIVING) :][:2]), rest[len(OUTLIVING) + 2 :]
            found = replace(found, outlives=True, lease=lease)
        elif rest[:2] == ["sudo", "-n"]:
            asks = rest[2:3] == ["-l"]
            found = replace(found, sudo=True, asks_sudo=found.asks_sudo or asks)
            rest = rest[3:] if asks else rest[2:]
        elif rest[0] == "env":
            names = {word.split("=")[0] for word in rest[1:] if _ASSIGNMENT.fullmatch(word)}
            found = replace(found, clean=found.clean or {"LC_ALL", "PATH"} <= names)
            rest = rest[1:]
            while rest and _ASSIGNMENT.fullmatch(rest[0]):
                rest = rest[1:]
        elif rest[:3] == ["timeout", "-k", "5"]:
            found, rest = replace(found, limit=float(rest[3])), rest[4:]
        else:
            break
    assert rest, f"nothing to run in {argv!r}"
    return replace(found, argv=tuple(rest))


def run(state: State, name: str, user: str, argv: Sequence[str], stdin: bytes) -> Answer:
    """The answer of a machine to a command that has reached it."""
    bare = undress(argv)
    assert bare.clean, f"no clean environment around {bare.argv!r}: {argv!r}"
    assert bare.limit is not None, f"no time limit around {bare.argv!r}: {argv!r}"
    assert bare.outlives == bare.deed, f"deeds, and no questions, outlive their line: {argv!r}"
    machine = state.machines[name]
    if late(machine, bare):
        return Answer(TOO_LATE, "", said("extendctl: too late"))
    missing = _missing(machine.tools, argv, bare)
    if missing is not None:
        return missing
    if bare.sudo and (bare.asks_sudo or user != "root"):
        refused = _sudo(machine.sudo.get(user, "password"), user, bare)
        if refused is not None:
            return refused
    call = Call(state, name, user, user == "root" or bare.sudo, bare.argv, stdin)
    return _act(call)


def late(machine: Machine, bare: Undressed) -> bool:
    """True for a deed that the text around it does not begin: for another boot, or too late."""
    if not bare.lease:
        return False
    boot, until = bare.lease
    return boot != machine.boot_id or int(machine.uptime) >= int(until)


def _missing(tools: Sequence[str], argv: Sequence[str], bare: Undressed) -> Answer | None:
    """What the shell or `timeout` says of a program that is not there."""
    if bare.sudo and "sudo" not in tools:
        limited = "timeout" in argv[: argv.index("sudo")]
        words = "timeout: failed to run command 'sudo'" if limited else "env: 'sudo'"
        return Answer(127, "", said(f"{words}: No such file or directory"))
    if "timeout" not in tools:
        words = "env: 'timeout': No such file or directory"
        if bare.sudo and not bare.asks_sudo:
            return Answer(1, "", said("sudo: timeout: command not found"))
        return Answer(127, "", said(words))
    if bare.asks_sudo or bare.tool in tools or bare.tool in ALWAYS:
        return None
    if bare.tool not in TOOLS:
        raise AssertionError(f"there is no simulated {bare.tool}: {bare.argv!r}")
    words = f"timeout: failed to run command '{bare.tool}': No such file or directory"
    return Answer(127, "", said(words))


def _sudo(rights: sudo.Rights, user: str, bare: Undressed) -> Answer | None:
    """What sudo says instead of running it; for `sudo -l` always an answer."""
    asks = not bare.asks_sudo and sudo.wants_password(rights, bare.tool)
    if user == "root" or (sudo.allows(rights, bare.tool) and not asks):
        return Answer(0, said(f"/usr/bin/{' '.join(bare.argv)}")) if bare.asks_sudo else None
    if rights == "expired":
        return Answer(1, "", said("sudo: account validation failure, is your account locked?"))
    return Answer(1, "", said("sudo: a password is required"))


def _act(call: Call) -> Answer:
    if call.argv[0] in _WRAPPERS and call.argv[1:] == ("--version",):
        return Answer(0, said(_WRAPPERS[call.argv[0]]))
    tool = TOOLS[call.argv[0]]
    if call.argv[1:2] in {(flag,) for flag in _QUESTIONS} and len(call.argv) == 2:
        return Answer(0, tool.version)
    if tool.root and not call.root:
        return Answer(1, "", said(f"{call.argv[0]}: Permission denied"))
    return tool.run(call)
