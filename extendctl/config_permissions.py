"""Who else may read or write the files that the program trusts."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from extendctl import config_state
from extendctl.config import Config

_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FILE = "file "  # how config_state says that the password was found in one


def loose(config: Config, state: Path | None) -> Iterator[str]:
    """A sentence for each file or directory that others may do too much with, and the remedy.

    `state` is SQLite's file, None for a server. What is missing, or may not be looked at, is passed
    over: whoever needs it says so.
    """
    if config.source is not None:
        yield from _written(config.source, "the configuration")
        yield from _written(config.source.absolute().parent, "the configuration's directory")
        if config.state_password_from == config_state.IN_FILE:
            yield from _read(config.source, "the configuration, which holds a password,")
    if state is not None:
        yield from loose_state(state)
    if config.state_password_from.startswith(_FILE):
        yield from _private(Path(config.state_password_from.removeprefix(_FILE)), "a password")
    for key in sorted({one.identity_file for one in config.hosts.values() if one.identity_file}):
        yield from _private(key, "a private key")
    for known in sorted({one.known_hosts for one in config.hosts.values() if one.known_hosts}):
        yield from _written(known, "the known host keys")


def loose_state(state: Path) -> Iterator[str]:
    """The same for SQLite's files and their directory; opening it makes the files private."""
    for suffix in ("", "-wal", "-shm"):
        yield from _private(Path(f"{state}{suffix}"), "the state")
    yield from _written(state.absolute().parent, "the state's directory")


def _private(path: Path, what: str) -> Iterator[str]:
    yield from _read(path, what)
    yield from _written(path, what)


def _read(path: Path, what: str) -> Iterator[str]:
    found = _status(path)
    if found is not None and found.st_mode & _OTHERS_READ:
        yield f"{what} {path} can be read by others (mode {_mode(found)}); chmod 600 {path}"


def _written(path: Path, what: str) -> Iterator[str]:
    found = _status(path)
    if found is None:
        return
    # In a sticky directory such as /tmp nobody can replace another's file.
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & _OTHERS_WRITE and not sticky:
        yield f"{what} {path} can be written by others (mode {_mode(found)}); chmod go-w {path}"
    if found.st_uid not in {0, os.geteuid()}:
        yield f"{what} {path} belongs to another user (uid {found.st_uid}), who can change it"


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
