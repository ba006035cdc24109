"""Keeps built images outside the checkout: where they lie, when they are whole, which may go."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_KEEP = 2


def root() -> Path:
    """The cache's directory, from the environment or the user's home."""
    named = os.environ.get("EXTENDCTL_LAB_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "extendctl-lab"


def fingerprint(parts: Iterable[str | Path]) -> str:
    """A short hash of words, files and whole directories, the same on every machine."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(b"word\0" + part.encode() + b"\0")
            continue
        for file in [part] if part.is_file() else sorted(p for p in part.rglob("*") if p.is_file()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The directory KIND-KEY, built now if it is missing; two processes never build at once.

    A build happens in a directory of its own and is renamed at its end, so what is there is whole.
    """
    place = root() / f"{kind}-{key}"
    if place.is_dir():
        os.utime(place)
        return place
    root().mkdir(parents=True, exist_ok=True)
    with _locked(root() / f"{kind}.lock"):
        if not place.is_dir():
            _clear_leftovers(kind)
            scratch = Path(tempfile.mkdtemp(prefix=f"{kind}-new-", dir=root()))
            try:
                build(scratch)
                scratch.chmod(0o755)
                scratch.rename(place)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
        os.utime(place)
        _prune(kind)
    return place


def hold(place: Path) -> IO[str]:
    """A shared lock that says 'in use'; it lasts until every holder of the open file has gone."""
    file = (place / "in-use").open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear_leftovers(kind: str) -> None:
    """Removes builds that were cut short; only the holder of the lock may call this."""
    for path in root().glob(f"{kind}-new-*"):
        shutil.rmtree(path, ignore_errors=True)


def _prune(kind: str) -> None:
    """Keeps the newest builds, and those that a running lab stands on."""
    builds = sorted(root().glob(f"{kind}-*"), key=lambda p: p.stat().st_mtime, reverse=True)
    for place in builds[_KEEP:]:
        with (place / "in-use").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(place, ignore_errors=True)
