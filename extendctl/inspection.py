"""Look at hosts, backends and decisions without changing anything, and put it into plain data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any

from extendctl import phrasebook, questions
from extendctl.ability import bounded, hindrances, missing
from extendctl.backends import Backend
from extendctl.config import BackendConfig, Config, HostConfig
from extendctl.errors import ExtendctlError, Fault, Refused, not_found
from extendctl.extension.means import Means, attempt, side_by_side
from extendctl.extension.plan import Wish
from extendctl.extension.survey import goal_of, look_at
from extendctl.host import Deed, Host
from extendctl.model import PoolUsage
from extendctl.policy import Asker, Decision
from extendctl.size import Size, SizeRequest

Deeds = Mapping[str, tuple[tuple[Deed, ...], tuple[str, ...]]]

_SWAP = "00000000-0000-4000-8000-000000000000"  # a UUID of no swap space

# What a host would do to grow each kind, on a device that need not be there: it is only asked
# whether the tool is there and root may run it. And the tools that have to look first.
_DEEDS: Deeds = {
    "lv": ((phrasebook.extend_lv("vg", "lv", 4 << 20),), ("lvs",)),
    "file": ((phrasebook.extend_file("/srv/file", 4096),), ("stat",)),
    "lun": ((phrasebook.save_target(),), ()),
    "loop": ((phrasebook.refresh_loop("loop0"),), ()),
    "path": ((phrasebook.rescan_path("sda"),), ()),
    "nvme": ((phrasebook.rescan_controller("nvme0"),), ()),
    "multipath": ((phrasebook.resize_map("mpatha"),), ()),
    "partition": (
        (phrasebook.write_partition("/dev/sda", 1, 2048), phrasebook.tell_partition("/dev/sda", 1)),
        (),
    ),
    "luks": ((phrasebook.resize_luks("crypt", None),), ()),
    "pv": ((phrasebook.resize_pv("/dev/sda"),), ()),
    "guest-lv": (
        (phrasebook.extend_lv("vg", "lv", 4 << 20), phrasebook.refresh_lv("vg", "lv")),
        ("lvs",),
    ),
    "ext4": ((phrasebook.grow_ext4("/dev/sda"),), ("dumpe2fs",)),
    "xfs": ((phrasebook.grow_xfs("/mnt"),), ("xfs_spaceman",)),
    "btrfs": ((phrasebook.grow_btrfs(1, "/mnt"),), ()),
    "swap": (
        (
            phrasebook.rest_swap(_SWAP, None),
            phrasebook.stop_swap("/dev/sda"),
            phrasebook.make_swap("/dev/sda", _SWAP, ""),
            phrasebook.start_swap("/dev/sda", -1),
        ),
        (),
    ),
}


def _deeds(config: Config, host: str) -> Deeds:
    """The same for one host, with its own groups and directories: sudo may allow no others."""
    backends = [one for one in config.backends.values() if one.host == host]
    groups = dict.fromkeys(one.volume_group for one in backends if one.volume_group)
    places = dict.fromkeys(one.directory.rstrip("/") for one in backends if one.directory)
    known: dict[str, tuple[Deed, ...]] = {
        "lv": tuple(phrasebook.extend_lv(group, "lv", 4 << 20) for group in groups),
        "file": tuple(phrasebook.extend_file(f"{place}/file", 4096) for place in places),
    }
    every = {kind: (known.get(kind) or deeds, tools) for kind, (deeds, tools) in _DEEDS.items()}
    if any(one.target for one in backends):
        every["lun"] = (tuple(deed for one in backends for deed in _serving(one)), ())
    return every


def _serving(backend: BackendConfig) -> Iterator[Deed]:
    """What a target has to be told of growth: LIO to save it, tgt to look; NVMe's nothing."""
    if backend.target == "lio":
        yield phrasebook.save_target()
    if backend.target == "tgt":
        yield phrasebook.reopen_tgt(1, 1, f"/dev/{backend.volume_group}/lv")


def named(kind: str, name: str, known: Mapping[str, object]) -> None:
    """Raise Refused (`not-found`), with what was probably meant, for a name that nothing bears."""
    if name in known:
        return
    close = get_close_matches(name, known, n=3)
    listed = ", ".join(sorted(known)[:12]) or "none"
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {listed}"
    raise not_found(f"there is no {kind} {name!r} in the configuration", hint)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program on a host, and what it says its version is."""

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a look at a host found. `sudo` is `not needed`, `allowed`, `partly` or `refused`.

    `host_key` is `known`, `refused`, or empty where there is none or nothing is known.
    """

    host: str
    transport: str
    address: str
    reachable: bool = False
    host_key: str = ""
    sudo: str = ""
    kernel: str = ""
    tools: Mapping[str, Tool] = field(default_factory=dict)
    can: tuple[str, ...] = ()
    cannot: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    error: ExtendctlError | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report as the JSON output has it."""
        return {
            "host": self.host,
            "transport": self.transport,
            "address": self.address or None,
            "reachable": self.reachable,
            "host_key": self.host_key or None,
            "sudo": self.sudo or None,
            "kernel": self.kernel or None,
            "tools": {name: asdict(tool) for name, tool in self.tools.items()},
            "can": list(self.can),
            "cannot": {
                kind: [fault.as_dict() for fault in faults] for kind, faults in self.cannot.items()
            },
            "error": None if self.error is None else self.error.as_dict(),
        }


def check_hosts(
    config: Config, machine: Callable[[str], Host], names: Sequence[str]
) -> list[HostReport]:
    """Look at hosts side by side. Raises Refused for a name that the configuration lacks."""
    for name in names:
        named("host", name, config.hosts)
    return side_by_side(
        lambda name: _host(config.hosts[name], machine, _deeds(config, name)), names
    )


def _host(config: HostConfig, machine: Callable[[str], Host], deeds: Deeds) -> HostReport:
    found = attempt(lambda: _answering(config, machine(config.name), deeds))
    if isinstance(found, HostReport):
        return found
    refused = "refused" if found.fault.code == "host-key" else ""
    return HostReport(
        config.name, config.transport, config.address, host_key=refused, error=found
    )  # fmt: skip


def _answering(config: HostConfig, machine: Host, deeds: Deeds) -> HostReport:
    facts = machine.ask(questions.facts())
    hindered = {kind: tuple(_hindered(machine, kind, *deeds[kind])) for kind in deeds}
    sudo = _sudo(machine, hindered)
    return HostReport(
        host=config.name,
        transport=config.transport,
        address=config.address,
        reachable=True,
        host_key="known" if config.transport == "ssh" else "",
        sudo=sudo,
        kernel=facts.kernel,
        tools=_tools(machine, facts.tools),
        can=tuple(kind for kind, faults in hindered.items() if not faults),
        cannot={kind: faults for kind, faults in hindered.items() if faults},
        error=_powerless(hindered) if sudo == "refused" else None,
    )


def _tools(machine: Host, paths: Mapping[str, str]) -> dict[str, Tool]:
    machine.ask_all([questions.version(tool) for tool in paths])
    found = {}
    for tool, path in paths.items():
        said = attempt(lambda tool=tool: machine.ask(questions.version(tool)))  # type: ignore[misc]
        words = "" if isinstance(said, ExtendctlError) else " ".join(said)
        found[tool] = Tool(path, words)
    return found


def _hindered(
    machine: Host, kind: str, deeds: Sequence[Deed], readers: Sequence[str]
) -> Iterator[Fault]:
    for tool in readers:
        yield from missing(machine, tool)
    if kind == "ext4":
        yield from bounded(machine)
    for deed in deeds:
        found = attempt(lambda deed=deed: hindrances(machine, deed))  # type: ignore[misc]
        yield from found.faults if isinstance(found, ExtendctlError) else found


def _sudo(machine: Host, hindered: Mapping[str, Sequence[Fault]]) -> str:
    if not machine.uses_sudo:
        return "not needed" if machine.may_be_root else "refused"
    faults = [fault for faults in hindered.values() for fault in faults]
    barred = [fault for fault in faults if _rights(fault)]
    able = [kind for kind, faults in hindered.items() if not faults]
    if not barred:
        return "allowed"
    return "partly" if able else "refused"


def _rights(fault: Fault) -> bool:
    return "sudo" in fault.message or "as root" in fault.message


def _powerless(hindered: Mapping[str, Sequence[Fault]]) -> Refused:
    """One fault for each reason, or a host without sudo would say the same eight times."""
    faults = [fault for faults in hindered.values() for fault in faults if _rights(fault)]
    return Refused(list(dict.fromkeys(faults)))


@dataclass(frozen=True, slots=True)
class BackendReport:
    """A backend of the configuration, with its pool as it was found."""

    config: BackendConfig
    usage: PoolUsage | None = None
    error: ExtendctlError | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report as the JSON output has it."""
        usage = self.usage
        return {
            "name": self.config.name,
            "driver": self.config.driver,
            "host": self.config.host,
            "capabilities": sorted(str(one) for one in self.config.capabilities),
            "size": None if usage is None else usage.size,
            "free": None if usage is None else usage.free,
            "data_percent": None if usage is None else usage.data_percent,
            "metadata_percent": None if usage is None else usage.metadata_percent,
            "error": None if self.error is None else self.error.as_dict(),
        }


def look_at_backends(
    config: Config,
    machine: Callable[[str], Host],
    backend: Callable[[str, Host], Backend],
    names: Sequence[str],
) -> list[BackendReport]:
    """Ask backends for their pools, side by side. Raises Refused for an unknown name."""
    for name in names:
        named("backend", name, config.backends)

    def look(name: str) -> BackendReport:
        settings = config.backends[name]
        found = attempt(lambda: backend(name, machine(settings.host)).usage())
        if isinstance(found, PoolUsage):
            return BackendReport(settings, found)
        return BackendReport(settings, error=found)

    return side_by_side(look, names)


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What policy says of an extension, with every reason."""

    volume: str
    asker: Asker
    before: Size
    goal: Size
    decision: Decision

    @property
    def error(self) -> Refused | None:
        """The refusal, if it is one."""
        return None if self.decision.allowed else Refused(self.decision.faults)

    def as_dict(self) -> dict[str, Any]:
        """The report as the JSON output has it."""
        error = self.error
        return {
            "volume": self.volume,
            "user": self.asker.user,
            "sudo_user": self.asker.sudo_user,
            "groups": sorted(self.asker.groups),
            "before": self.before,
            "goal": self.goal,
            "allowed": self.decision.allowed,
            "reasons": list(self.decision.reasons),
            "error": None if error is None else error.as_dict(),
        }


def check_policy(means: Means, name: str, size: SizeRequest) -> PolicyReport:
    """What policy would say now. Measures the backend; raises what it raises."""
    volume = means.store.volume(name)
    wish = Wish(goal=goal_of(volume, size), allow_lagging=True)
    plan = look_at(means.desk(name), volume, wish)
    return PolicyReport(name, means.asker, volume.size, plan.rounded, plan.decision)
