"""Find the private keys that a host is to be offered."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

from extendctl.config import HostConfig
from extendctl.errors import ConfigError

DEFAULTS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
"""What is tried after the agent where no identity_file is configured."""

_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and where it comes from."""

    origin: str
    key: paramiko.PKey

    def __str__(self) -> str:
        return f"{self.origin} ({self.key.get_name()} {self.key.fingerprint})"


@contextmanager
def identities(config: HostConfig) -> Iterator[list[Identity]]:
    """The keys to offer, in order; the agent is held open while they are in use.

    A configured identity_file is the only one. Without it: the agent's keys, then those of
    DEFAULTS that can be loaded. Raises ConfigError, which names host and file, when the configured
    one cannot be used, or when there is none at all.
    """
    if config.identity_file is not None:
        yield [_configured(config, config.identity_file.expanduser())]
        return
    agent = _agent(config.connect_timeout)
    try:
        held = agent.get_keys() if agent else ()
        found = [Identity("the agent's key", key) for key in held] + list(_defaults())
        if not found:
            raise ConfigError(
                f"host {config.name}: no key to log in with: no identity_file is configured, "
                "the agent has none or does not answer, and none of "
                f"{', '.join(DEFAULTS)} can be used",
                hint="set ssh.identity_file, or start ssh-agent and ssh-add a key",
            )
        yield found
    finally:
        if agent:
            agent.close()


def _configured(config: HostConfig, path: Path) -> Identity:
    try:
        return _load(path)
    except _UnusableError as no:
        raise ConfigError(
            f"host {config.name}: identity_file {path}: {no}", hint=no.hint
        ) from no.__cause__


def _defaults() -> Iterator[Identity]:
    for name in DEFAULTS:
        try:
            yield _load(Path(name).expanduser())
        except _UnusableError:
            continue


def _agent(seconds: float) -> paramiko.Agent | None:
    """The agent with its keys; None where there is none, or it does not tell them in time.

    paramiko reads them with no limit of its own, so that a deaf agent would be waited for for ever.
    """
    found: list[paramiko.Agent] = []

    def connect() -> None:
        with suppress(paramiko.SSHException, OSError):
            found.append(paramiko.Agent())

    asking = threading.Thread(target=connect, name="ssh-agent", daemon=True)
    asking.start()
    asking.join(seconds)
    return found[0] if found else None


class _UnusableError(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _load(path: Path) -> Identity:
    try:
        state = path.stat()
        if state.st_uid == os.getuid() and state.st_mode & 0o077:
            # As ssh(1) has it: what others may read is no secret.
            mode = f"{state.st_mode & 0o777:04o}"
            raise _UnusableError(f"permissions {mode} are too open", f"chmod 600 {path}")
        # One at a time, so that a hundred hosts do not all parse the same file.
        with _loading:
            return Identity(str(path), _parse(path, state.st_mtime_ns))
    except OSError as no:
        raise _UnusableError(no.strerror or str(no)) from no
    except TypeError as no:
        # What cryptography raises when a passphrase is wanted and none was given.
        hint = "take identity_file out of the configuration and ssh-add the key to an agent"
        raise _UnusableError("is protected by a passphrase", hint) from no
    except (paramiko.SSHException, UnknownKeyType, ValueError) as no:
        raise _UnusableError("is not a private key that can be used here") from no


@lru_cache
def _parse(path: Path, _changed: int) -> paramiko.PKey:
    """Kept for the whole process: an RSA key of 4096 bits takes 0.6 s to load."""
    return paramiko.PKey.from_path(path)
