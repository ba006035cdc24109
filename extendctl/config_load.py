"""Load a configuration file with every fault at once, warn about it, and show what holds."""

import dataclasses
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from extendctl import config_file, config_rules, config_state
from extendctl.config import (
    AutoextendRule,
    BackendConfig,
    Config,
    HostConfig,
    Limits,
    PolicyConfig,
)
from extendctl.config_faults import lines
from extendctl.config_rules import SSH_ONLY
from extendctl.config_schema import (
    BackendSection,
    FileSection,
    HostSection,
    PolicySection,
    SshSection,
    validate,
)
from extendctl.config_state import located
from extendctl.errors import ConfigError
from extendctl.model import Capability

_PATHS = ("identity_file", "known_hosts")


def load(path: Path) -> Config:
    """The configuration in the file. Raises ConfigError with all faults, in the file's order.

    An empty file is a configuration without hosts and backends. Reads the file, and the
    environment variable or file that it names for the database's password; nothing else.
    """
    document = config_file.read(path)
    base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - a link's own directory is meant
    section, findings = validate(document)
    data = document.data if isinstance(document.data, dict) else {}
    state, state_findings = config_state.read(data.get("state"), base)
    found = [*document.findings, *findings, *config_rules.check(data), *state_findings]
    if section is None or found:
        hint = "extendctl config schema describes every key"
        raise ConfigError(lines(str(path), document, found), hint=hint)
    return Config(
        state=state.url,
        hosts=_hosts(section, base),
        backends={name: _backend(name, one) for name, one in section.backends.items()},
        policy=_policy(section.policy),
        source=path,
        state_password=state.password,
        state_password_from=state.password_from,
    )


def warnings(path: Path, config: Config | None = None) -> list[str]:
    """What is unsafe about the file itself, a sentence each; nothing if it cannot be looked at.

    With the configuration that was loaded from it, its readers are looked at too.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return []
    found = []
    if mode & 0o022:
        found.append(f"{path}: others may write this file (mode {mode:04o}); chmod go-w {path}")
    in_file = config is not None and config.state_password_from == config_state.IN_FILE
    if in_file and mode & 0o044:
        found.append(f"{path}: holds a password and others may read it; chmod 600 {path}")
    return found


def doubts(config: Config) -> list[str]:
    """What is well written and will yet not do what it should, a sentence each.

    A file may come later, and a name be served by somebody else, so these are no faults.
    """
    found = []
    for host in config.hosts.values():
        for key in ("identity_file", "known_hosts"):
            path = getattr(host, key)
            if host.transport == "ssh" and path is not None and (why := _unseen(path)):
                found.append(f"hosts.{host.name}: {key} {path} {why}")
    return found


def _unseen(path: Path) -> str:
    """Why a file could not be read, as far as looking tells; empty when it is there."""
    try:
        path.stat()
    except FileNotFoundError:
        return "is not there"
    except OSError as no:
        return f"cannot be looked at: {no.strerror}"
    return ""


def show(config: Config) -> dict[str, Any]:
    """The configuration that holds, defaults filled in, as plain data in the file's order of keys.

    Sizes are bytes, percentages numbers, times seconds; a password is shown as ***.
    """
    return {
        "source": None if config.source is None else str(config.source),
        "state": config_state.masked(config.state, password=bool(config.state_password)),
        "state_password_from": config.state_password_from or None,
        "hosts": {name: _shown(one) for name, one in config.hosts.items()},
        "backends": {name: _shown(one) for name, one in config.backends.items()},
        "policy": _plain(dataclasses.asdict(config.policy)),
    }


def _shown(named: HostConfig | BackendConfig) -> dict[str, Any]:
    shown: dict[str, Any] = _plain(dataclasses.asdict(named))
    del shown["name"]
    return shown


def _plain(value: Any) -> Any:  # noqa: ANN401 - data of any shape
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(str(one) for one in value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _hosts(section: FileSection, base: Path) -> dict[str, HostConfig]:
    return {name: _host(name, one, section.ssh, base) for name, one in section.hosts.items()}


def _host(name: str, host: HostSection, ssh: SshSection, base: Path) -> HostConfig:
    values = ssh.given() | host.given()
    if values.get("transport") == "local":
        values = {key: value for key, value in values.items() if key not in SSH_ONLY}
    for key in _PATHS:
        if key in values:
            values[key] = located(values[key], base)
    return HostConfig(name, **values)


def _backend(name: str, backend: BackendSection) -> BackendConfig:
    values = backend.given()
    values["capabilities"] = frozenset(map(Capability, values.get("capabilities", ())))
    if "directory" in values:
        values["directory"] = str(PurePosixPath(values["directory"]))
    return BackendConfig(name, **values)


def _policy(policy: PolicySection) -> PolicyConfig:
    return PolicyConfig(
        rules={
            rule: tuple(value) if isinstance(value, list) else str(value)
            for rule, value in policy.rules.items()
        },
        limits=Limits(**policy.limits.given()),
        projects={name: project.max_total for name, project in policy.projects.items()},
        autoextend=tuple(AutoextendRule(**rule.given()) for rule in policy.autoextend),
    )
