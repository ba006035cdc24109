"""Everything that is asked of a machine as an ordinary user; see the phrasebook for the rest."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from extendctl import figures, readings, told
from extendctl.host import Question
from extendctl.nvmet_probe import NVMET_SCRIPT, Namespace
from extendctl.nvmet_probe import namespaces as read_namespaces
from extendctl.probe import HostFacts, host_facts
from extendctl.probe_script import HOST_SCRIPT
from extendctl.size import Size
from extendctl.target_probe import TARGET_SCRIPT, TargetFacts, target_facts
from extendctl.transport import Result

T = TypeVar("T")


def facts() -> Question[HostFacts]:
    """All that discovery needs, as an ordinary user; and what sudo allows, where it is used."""
    return replace(_probe(HOST_SCRIPT, host_facts), tells_sudo=True)


def target() -> Question[TargetFacts]:
    """What LIO serves, as an ordinary user."""
    return _probe(TARGET_SCRIPT, target_facts)


def namespaces() -> Question[tuple[Namespace, ...]]:
    """What the NVMe target serves, as an ordinary user."""
    return _probe(NVMET_SCRIPT, read_namespaces)


def _probe(script: str, parse: Callable[[str], T]) -> Question[T]:
    """One of the fixed texts for `sh -s`; each of them tells the machine's clock as well."""
    words = ("sh", "-s")
    return Question(
        words, lambda result: parse(result.stdout), stdin=script.encode(), tells_time=True
    )


def sysfs(*paths: str) -> Question[tuple[str, ...]]:
    """The one-line contents of files under /sys, in order; what `size` holds is in bytes.

    Raises Refused for a path that is none; a machine has given the names in it.
    """
    return Question(("cat", *map(_sysfs, paths)), lambda result: _each(paths, result))


def _sysfs(path: str) -> str:
    if not told.path(path, "a file under /sys").startswith("/sys/"):
        raise told.strange(path, "a file under /sys")
    return path


def _each(paths: Sequence[str], result: Result) -> tuple[str, ...]:
    found = readings.lines(result)
    if len(found) != len(paths):
        raise ValueError(f"{len(found)} lines from {len(paths)} files")
    pairs = zip(paths, found, strict=True)
    return tuple(
        str(figures.sectors(line)) if path.endswith("/size") else line for path, line in pairs
    )


def backstore(store: str) -> Question[tuple[str, Size]]:
    """Of a fileio backstore of LIO's, by its directory: the unit serial, and the bytes served."""
    files = (_sysfs(f"{store}/wwn/vpd_unit_serial"), _sysfs(f"{store}/info"))
    return Question(("cat", *files), _backstore)


def _backstore(result: Result) -> tuple[str, Size]:
    serial, *info = readings.lines(result)
    words = " ".join(info).split()
    size = figures.number(words[words.index("Size:") + 1], "Size")
    return serial.rpartition(":")[2].strip(), size


def page_size() -> Question[Size]:
    """Bytes of a page of memory, in which swap space is counted."""
    return Question(("getconf", "PAGESIZE"), readings.page_size)


def version(tool: str) -> Question[tuple[str, ...]]:
    """What a tool says its version is; nothing when it does not tell."""
    flag = _VERSION_FLAGS.get(tool, "--version")
    return Question((tool, flag), _spoken, accept=frozenset(range(126)))


_VERSION_FLAGS = {
    "nvme": "version",
    "xfs_growfs": "-V", "xfs_spaceman": "-V", "resize2fs": "-V", "dumpe2fs": "-V",
    "e2fsck": "-V",
}  # fmt: skip


def _spoken(result: Result) -> tuple[str, ...]:
    """The first line with a version; targetcli complains first, multipathd tells none."""
    said = f"{result.stdout}\n{result.stderr}".splitlines()
    return tuple(" ".join(line.split()) for line in said if _VERSION.search(line))[:1]


_VERSION = re.compile("[0-9][.][0-9]")


def permitted(words: Sequence[str]) -> Question[int]:
    """Whether sudo would run these words, dressed as they would go out, without a password."""
    return Question(("sudo", "-n", "-l", *words), readings.status, accept=frozenset(range(126)))
