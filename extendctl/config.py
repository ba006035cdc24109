"""The configuration as plain frozen data, and the default that holds when there is no file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from extendctl.model import Capability
from extendctl.size import Size

SEARCHED = ("--config", "EXTENDCTL_CONFIG", "$XDG_CONFIG_HOME/extendctl/config.yaml",
            "/etc/extendctl/config.yaml")  # fmt: skip

DRIVER_CAPABILITIES: Mapping[str, frozenset[Capability]] = {
    "lvm": frozenset({Capability.IN_USE_EXTEND}),
    "iscsi": frozenset({Capability.IN_USE_EXTEND}),
    "file": frozenset({Capability.IN_USE_EXTEND}),
}
"""The drivers, and what each can be granted; granting more is an error of configuration."""

TARGETS = ("lio", "tgt", "nvmet")
"""What may serve the volumes of an `iscsi` backend."""

RULES: Mapping[str, str] = {
    "volume:extend": "allow",
    "volume:extend_attached_volume": "allow",
    "volume:extend_with_pause": "deny",
}
"""The rules of policy, and what holds for each that the configuration does not name."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How a machine is reached. Times in seconds; `user` None is the user of this process."""

    name: str
    transport: str = "ssh"  # or "local"
    address: str = ""
    port: int = 22
    user: str | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    become: str = "sudo"  # or "none"
    jump: str | None = None
    connect_timeout: float = 10.0
    command_timeout: float = 180.0
    luks_keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """Where volumes live: which driver, on which host, in which volume group or directory."""

    name: str
    driver: str
    host: str
    capabilities: frozenset[Capability] = frozenset()
    target: str | None = None
    volume_group: str | None = None
    directory: str | None = None
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What policy limits. Sizes in bytes; percentages 0 to 100; None is no limit."""

    max_size: Size | None = None
    max_growth: Size | None = None
    confirm_above: float = 10.0
    min_pool_free: float | None = None
    max_thin_data: float | None = None


@dataclass(frozen=True, slots=True)
class AutoextendRule:
    """Volumes whose names match grow by `grow` when they are more than `above` percent full."""

    match: str
    above: float
    grow: str
    max: Size | None = None


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """Rules: `allow`, `deny`, or a tuple of `user:NAME` and `group:NAME`, by rule name."""

    rules: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    limits: Limits = Limits()
    projects: Mapping[str, Size] = field(default_factory=dict)  # project: max_total in bytes
    autoextend: tuple[AutoextendRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `source` is None for the embedded default.

    `state` is a SQLAlchemy URL without its password; `state_password` is the password in plain
    (not percent-encoded), and `state_password_from` says in words where it was found.
    """

    state: str
    hosts: Mapping[str, HostConfig]
    backends: Mapping[str, BackendConfig]
    policy: PolicyConfig = PolicyConfig()
    source: Path | None = None
    state_password: str = field(default="", repr=False)
    state_password_from: str = ""


# os.path.expanduser leaves `~` where there is no home; Path.expanduser raises RuntimeError.


def find(explicit: str | None) -> Path | None:
    """The configuration file to read: the first of SEARCHED that is named or exists."""
    named = explicit or os.environ.get("EXTENDCTL_CONFIG")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    for place in (Path(home, "extendctl/config.yaml"), Path("/etc/extendctl/config.yaml")):
        if place.exists():
            return place
    return None


def default_path() -> Path:
    """Where `init` writes: the first place in which `find` would look for a file."""
    named = os.environ.get("EXTENDCTL_CONFIG")
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    return Path(named) if named else Path(home, "extendctl/config.yaml")


def state_home() -> Path:
    """The directory that holds the embedded default's state and volumes."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111
    return Path(home, "extendctl")


def embedded() -> Config:
    """SQLite under the state home, this machine as `local`, and a `file` backend called `files`."""
    home = state_home()
    files = BackendConfig(
        "files", "file", "local", frozenset(Capability), directory=str(home / "volumes")
    )
    return Config(
        state=f"sqlite:///{home / 'state.db'}",
        hosts={"local": HostConfig("local", transport="local")},
        backends={"files": files},
    )
