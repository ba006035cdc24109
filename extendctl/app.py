"""The composition root: put the parts together that a command needs, and no others."""

import grp
import os
import pwd
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from extendctl import backends, config
from extendctl.backends import Backend
from extendctl.config import Config, HostConfig
from extendctl.database import Database
from extendctl.errors import ConfigError
from extendctl.extension.means import Means, silent
from extendctl.host import Host
from extendctl.journal import Listener
from extendctl.owner import me
from extendctl.policy import Asker
from extendctl.store import Store, open_store
from extendctl.transport import LocalTransport, Transport

if TYPE_CHECKING:
    from extendctl.restoration import Restored


def read_config(explicit: str | None) -> Config:
    """The configuration that holds: a file's, or the embedded default. Raises ConfigError."""
    path = config.find(explicit)
    if path is None:
        return config.embedded()
    from extendctl.config_load import load

    return load(path)


def asker() -> Asker:
    """Who is asking: the user of this process, or the one who called sudo.

    SUDO_USER is believed of root alone, or anybody could set it.
    """
    owner = me()
    sudo_user = owner.sudo_user if os.geteuid() == 0 else None
    name = sudo_user or owner.user
    try:
        gid = pwd.getpwnam(name).pw_gid
        groups = {grp.getgrgid(one).gr_name for one in os.getgrouplist(name, gid)}
    except KeyError:
        groups = set()
    return Asker(owner.user, sudo_user, frozenset(groups))


def user_of(host: HostConfig) -> str:
    """Who runs commands on a host: `root`, or who has to become root there."""
    if host.transport == "local":
        return "root" if os.geteuid() == 0 else me().user
    return host.user or me().user


@dataclass
class Lines:
    """One line to each machine, made when it is first needed, shared by everything after."""

    config: Config
    _lines: dict[str, Transport] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def machine(self, name: str) -> Host:
        """A host of the configuration. Raises ConfigError when there is none of that name."""
        settings = self.config.hosts.get(name)
        if settings is None:
            known = ", ".join(sorted(self.config.hosts)) or "none"
            raise ConfigError(f"there is no host {name!r} in the configuration; known: {known}")
        return Host(settings, self._line(settings), is_root=user_of(settings) == "root")

    def _line(self, settings: HostConfig) -> Transport:
        with self._lock:
            if settings.name not in self._lines:
                self._lines[settings.name] = self._made(settings)
            return self._lines[settings.name]

    def _made(self, settings: HostConfig) -> Transport:
        if settings.transport == "local":
            return LocalTransport()
        # paramiko takes invoke along if it is there, for a `Match exec` in ssh_config, which is not
        # read here: two fifths of the time that importing paramiko takes.
        sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
        from extendctl.ssh import SshTransport

        jump = None
        if settings.jump is not None:
            jump = SshTransport(self.config.hosts[settings.jump])
        return SshTransport(settings, jump)

    def backend(self, name: str, machine: Host) -> Backend:
        """A backend of the configuration, on its machine."""
        return backends.build(self.config.backends[name], machine)

    def close(self) -> None:
        """Let go of all lines."""
        for line in self._lines.values():
            line.close()


@contextmanager
def opened(settings: Config, stop: threading.Event, listener: Listener = silent) -> Iterator[Means]:
    """Everything that a command on volumes works with, and nothing left open after it."""
    lines = Lines(settings)
    with state(settings) as store:
        try:
            yield Means(settings, store, asker(), lines.machine, lines.backend, stop, listener)
        finally:
            lines.close()


def state(settings: Config) -> Store:
    """The state of a configuration; made when it is not there. Raises ConfigError."""
    return open_store(settings.state, settings.state_password, create=True)


@contextmanager
def database(settings: Config) -> Iterator[Database]:
    """The state's database as it is: not made, not brought up to date. Raises ConfigError."""
    found = Database(settings.state, settings.state_password, make=False)
    try:
        yield found
    finally:
        found.close()


def replaced(settings: Config, backup: Path) -> "Restored":
    """Put a backup where the state is; made when it is not there. See restoration.restore."""
    from extendctl.restoration import restore

    found = Database(settings.state, settings.state_password)
    try:
        return restore(found, backup)
    finally:
        found.close()


def initialise(target: Path | None) -> Path:
    """Write a commented configuration, never over one that is there, and make the state."""
    from extendctl.config_template import template

    path = target or config.default_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already and is left as it is", hint="edit it, or name another"
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(template())
    state(read_config(str(path))).close()
    return path
