"""What a database complains of, in our words and with a way out."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from extendctl.errors import Busy, ConfigError, Damaged, ExtendctlError, Unreachable

RESTORE = "restore a backup, or move the file away to begin with an empty state"
ACCESS = "run as the user that owns the state, or name another place in the configuration"
# What SQLite's primary result codes mean to an operator (https://www.sqlite.org/rescode.html).
_SQLITE = {
    "NOTADB": ("is not a database, or is damaged", RESTORE),
    "CORRUPT": ("is damaged", RESTORE),
    "READONLY": ("is read-only, or its directory is", ACCESS),
    "CANTOPEN": ("cannot be opened", ACCESS),
    "PERM": ("may not be used", ACCESS),
    "AUTH": ("may not be used", ACCESS),
    "FULL": ("cannot grow: the filesystem is full", "make room, and try again"),
    "IOERR": ("cannot be read or written", "look at the disk and at the kernel log"),
}
_NO_TEXT = "Could not decode to UTF-8"  # Python's own words, for a text whose bytes have changed
# PostgreSQL: the administrator or a crash ended the connection, it is starting; connections.
_AWAY_STATES = ("57P01", "57P02", "57P03", "08")
_BUSY_STATES = {"55P03", "40P01", "40001", "57014"}  # PostgreSQL: no lock, deadlock, conflict
_LOCKED = 1205  # MariaDB's number for a lock that was not given in time, of no state of its own


@contextmanager
def explained(state: str, file: Path | None, wait: float) -> Iterator[None]:
    """Turn complaints, but for IntegrityError, into ours.

    `state` says in words where it is, `file` is SQLite's, `wait` how many seconds a lock was waited
    for. Raises ConfigError, Damaged, Busy, Unreachable.
    """
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeout as late:
        raise Busy(f"{state} has too many users at once") from late
    except DataError as error:
        said = " ".join(str(error.orig).split())
        raise ConfigError(f"{state} cannot hold what was to be kept: {said}") from error
    except DBAPIError as error:
        raise _told(error.orig, state, file, wait) from error
    except sqlite3.Error as error:
        raise _told(error, state, file, wait) from error
    except ValueError as error:  # what a type or an enumeration cannot make anything of
        said = " ".join(str(error).split())
        raise Damaged(f"{state} holds what nobody wrote there ({said})", hint=RESTORE) from error


def _told(
    error: BaseException | None, where: str, file: Path | None, wait: float
) -> ExtendctlError:
    said = " ".join(str(error).split())
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_").partition("_")[0]
        return _sqlite(code, said, where, file, wait)
    state = getattr(error, "sqlstate", None)
    if state in _BUSY_STATES or _LOCKED in getattr(error, "args", ()):
        return Busy(f"{where} is locked: {said}", hint="try again")
    if state is not None and str(state).startswith(_AWAY_STATES):
        return Unreachable(f"{where} has gone: {said}", hint="when the server is back, try again")
    if state is not None or "authentication failed" in said or "does not exist" in said:
        return ConfigError(f"{where} cannot be used: {said}", hint="check `state:`")
    return Unreachable(f"{where} cannot be reached: {said}", hint="check the server, try again")


def _sqlite(code: str, said: str, where: str, file: Path | None, wait: float) -> ExtendctlError:
    if code in {"BUSY", "LOCKED"}:
        return Busy(
            f"{where} has been locked by another program for {wait:g} s",
            hint="try again; `fuser` names the programs that have it open",
        )
    if file is not None and file.is_dir():
        return ConfigError(f"{where} is a directory, not a database", hint="name a file")
    what, hint = _SQLITE.get(code, ("does not answer as it should", RESTORE))
    if code in {"CANTOPEN", "IOERR", "READONLY"} and file is not None:
        what, hint = _beneath(file) or (what, hint)
    garbled = said.startswith(_NO_TEXT)
    kind = Damaged if garbled or code in {"NOTADB", "CORRUPT"} else ConfigError
    return kind(f"{where} {what} ({said})", hint=hint)


def _beneath(file: Path) -> tuple[str, str] | None:
    """What the filesystem under a state has to say, where SQLite only says that it cannot.

    On a full one -shm cannot grow, so that not even reading is possible.
    """
    try:
        found = os.statvfs(file.parent)
    except OSError:
        return None
    if found.f_flag & os.ST_RDONLY:
        return "is on a filesystem that is mounted read-only", "mount it for writing, and try again"
    return _SQLITE["FULL"] if found.f_blocks and not found.f_bavail else None
