"""What must hold between the keys of a configuration: names that exist, keys that fit together."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from extendctl.config import DRIVER_CAPABILITIES, RULES
from extendctl.config_faults import UNREADABLE, Finding, KeyPath, near, printable, unknown
from extendctl.config_values import NAME, NAME_MAX, PRINCIPAL
from extendctl.model import Capability

Abilities = Mapping[str, frozenset[Capability]]


class DriverKeys(NamedTuple):
    """The keys of a backend that a driver needs, needs one of, and has no use for."""

    needed: tuple[str, ...]
    one_of: tuple[str, ...]
    foreign: tuple[str, ...]


DRIVER_KEYS: Final[dict[str, DriverKeys]] = {
    "lvm": DriverKeys(("volume_group",), (), ("target", "directory")),
    "iscsi": DriverKeys(("target",), ("volume_group", "directory"), ()),
    "file": DriverKeys(("directory",), (), ("target", "volume_group", "pool")),
}

SSH_ONLY: Final = (
    "address", "port", "jump", "user", "identity_file", "known_hosts", "connect_timeout",
)  # fmt: skip


def check(data: Any, abilities: Abilities = DRIVER_CAPABILITIES) -> Iterator[Finding]:  # noqa: ANN401
    """Everything that is wrong between keys. What is of a wrong type is passed over here.

    `data` is the file as plain data, of any shape; `abilities` what each driver can be granted.
    """
    hosts = _section(data, "hosts")
    yield from _names("hosts", hosts)
    for name in hosts:
        yield from _host(name, hosts)
    yield from _loops(hosts)
    backends = _section(data, "backends")
    yield from _names("backends", backends)
    for name in backends:
        yield from _backend(name, _section(backends, name), hosts, abilities)
    policy = _section(data, "policy")
    yield from _names("policy.projects", _section(policy, "projects"))
    for rule, value in _section(policy, "rules").items():
        yield from _rule(rule, value)


def _section(data: object, key: str) -> dict[str, Any]:
    found = data.get(key) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _text(section: dict[str, Any], key: str) -> str | None:
    found = section.get(key)
    return found if isinstance(found, str) else None


def _names(section: str, named: dict[str, Any]) -> Iterator[Finding]:
    for name in named:
        path: KeyPath = (*section.split("."), name)
        if not re.fullmatch(NAME, name, re.ASCII):
            allowed = "letters, digits and _ . - (the last two not first)"
            yield Finding(path, f"'{printable(name)}' is not a name; it may have {allowed}")
        elif len(name) > NAME_MAX:
            yield Finding(path, f"a name has at most {NAME_MAX} letters; this has {len(name)}")


def _host(name: str, hosts: dict[str, Any]) -> Iterator[Finding]:
    host = _section(hosts, name)
    transport = host.get("transport", "ssh")
    if transport == "local":
        for key in SSH_ONLY:
            if key in host:
                message = "is for hosts reached by ssh, and this host is local; remove it"
                yield Finding(("hosts", name, key), message)
        return
    if transport == "ssh" and "address" not in host and isinstance(hosts[name], dict | None):
        message = "missing key; a host reached by ssh needs one ('transport: local' does not)"
        yield Finding(("hosts", name, "address"), message)
    jump = _text(host, "jump")
    if jump is not None and jump not in hosts:
        yield Finding(("hosts", name, "jump"), unknown("host", jump, hosts))
    elif jump is not None and _section(hosts, jump).get("transport") == "local":
        message = f"host '{jump}' is local; a jump leads through a host reached by ssh"
        yield Finding(("hosts", name, "jump"), message)


def _loops(hosts: dict[str, Any]) -> Iterator[Finding]:
    """Each circle of jumps once, at its host that stands first in the file."""
    done: set[str] = set()
    for start in hosts:
        trail: dict[str, None] = {}
        name: str | None = start
        while name in hosts and name not in done and name not in trail:
            trail[name] = None
            name = _text(_section(hosts, name), "jump")
        if name is not None and name in trail:
            order = list(trail)
            circle = order[order.index(name) :]
            shown = " -> ".join(printable(one) for one in [*circle[:10], name])
            yield Finding(("hosts", name, "jump"), f"the jumps go in a circle: {shown}")
        done.update(trail)


def _backend(
    name: str, backend: dict[str, Any], hosts: dict[str, Any], abilities: Abilities
) -> Iterator[Finding]:
    path: KeyPath = ("backends", name)
    host = _text(backend, "host")
    if host is not None and host not in hosts:
        yield Finding((*path, "host"), unknown("host", host, hosts))
    driver = _text(backend, "driver")
    if driver is None or driver not in DRIVER_KEYS:
        return
    yield from _driver_keys(path, driver, backend)
    granted = backend.get("capabilities")
    for index, capability in enumerate(granted if isinstance(granted, list) else []):
        if capability in list(Capability) and capability not in abilities[driver]:
            message = f"driver '{driver}' can never do '{capability}'; remove it"
            yield Finding((*path, "capabilities", index), message)


def _driver_keys(path: KeyPath, driver: str, backend: dict[str, Any]) -> Iterator[Finding]:
    keys = DRIVER_KEYS[driver]
    for key in keys.needed:
        if key not in backend:
            yield Finding((*path, key), f"missing key; driver '{driver}' needs it")
    for key in keys.foreign:
        if key in backend:
            yield Finding((*path, key), f"driver '{driver}' has no use for this key; remove it")
    if not keys.one_of:
        return
    words = " or ".join(f"'{key}'" for key in keys.one_of)
    given = [key for key in keys.one_of if key in backend]
    if not given:
        yield Finding(path, f"missing key; driver '{driver}' needs {words}")
    elif len(given) > 1:
        yield Finding(path, f"driver '{driver}' takes {words}, not both")
    if given == ["directory"] and "pool" in backend:
        yield Finding((*path, "pool"), "a thin pool is in a volume group, and none is given")


def _rule(rule: str, value: object) -> Iterator[Finding]:
    path: KeyPath = ("policy", "rules", rule)
    if rule not in RULES:
        yield Finding(path, unknown("rule", rule, RULES))
    if value is UNREADABLE or value in ("allow", "deny"):
        return
    wanted = "expected allow, deny, or a list of user:NAME and group:NAME"
    if isinstance(value, str):
        if re.fullmatch(PRINCIPAL, value):
            yield Finding(path, f"{wanted}; write [{printable(value)}]")
            return
        meant = near(value, ("allow", "deny"))
        yield Finding(path, f"{wanted}" + (f"; did you mean '{meant}'?" if meant else ""))
    elif isinstance(value, list):
        yield from _principals(path, value)
    else:
        trap = "; an unquoted yes, no, on or off is true or false to YAML"
        yield Finding(path, wanted + (trap if isinstance(value, bool) else ""))


def _principals(path: KeyPath, entries: list[Any]) -> Iterator[Finding]:
    for index, entry in enumerate(entries):
        if entry is UNREADABLE:
            continue
        if not isinstance(entry, str) or not re.fullmatch(PRINCIPAL, entry):
            hint = f"; write user:{entry}" if _bare(entry) else ""
            message = f"expected user:NAME or group:NAME{hint}"
            yield Finding((*path, index), message)


def _bare(entry: object) -> bool:
    return isinstance(entry, str) and re.fullmatch(NAME, entry, re.ASCII) is not None
