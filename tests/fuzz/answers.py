"""Every question that the program asks a machine, and a machine that answers what it is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extendctl import phrasebook, questions
from extendctl.config import HostConfig
from extendctl.host import Host, Question
from extendctl.transport import Result

_SYSFS = ("/sys/block/sdb/device/wwid", "/sys/block/sdb/size")
_STORE = "/sys/kernel/config/target/core/fileio_0/vol1"

QUESTIONS: Mapping[str, Callable[[], Question[Any]]] = {
    "facts": questions.facts,
    "target": questions.target,
    "namespaces": questions.namespaces,
    "sysfs": lambda: questions.sysfs(*_SYSFS),
    "backstore": lambda: questions.backstore(_STORE),
    "page_size": questions.page_size,
    "version": lambda: questions.version("lvs"),
    "logical_volumes": lambda: phrasebook.logical_volumes("vg0"),
    "volume_group": lambda: phrasebook.volume_group("vg0"),
    "ext4": lambda: phrasebook.ext4("/dev/sdb"),
    "xfs": lambda: phrasebook.xfs("/srv/vol1"),
    "btrfs": lambda: phrasebook.btrfs("/srv/vol1"),
    "signature": lambda: phrasebook.signature("/dev/sdb"),
    "physical_volumes": phrasebook.physical_volumes,
    "segments": lambda: phrasebook.segments("vg0"),
    "partition_table": lambda: phrasebook.partition_table("/dev/sdb"),
    "mapping": lambda: phrasebook.mapping("crypt"),
    "paths": phrasebook.paths,
    "node_records": lambda: phrasebook.node_records("iqn.2026-11.com.example:vol1"),
    "saved_sizes": phrasebook.saved_sizes,
    "tgt_targets": phrasebook.tgt_targets,
    "file_size": lambda: phrasebook.file_size("/srv/vol1"),
    "directory": lambda: phrasebook.directory("/srv"),
    "filesystem_space": lambda: phrasebook.filesystem_space("/srv"),
    "fullness": lambda: phrasebook.fullness("/srv/vol1"),
}
"""By the phrase's name; the words in them stand for any."""


@dataclass(frozen=True)
class Parrot:
    """A line to a machine that says the same to everything, or what `by_tool` has for a tool."""

    said: str
    by_tool: Mapping[str, str]

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        tool = next(word for word in argv if word not in {"env", "timeout"} and _plain(word))
        return Result(tuple(argv), 0, self.by_tool.get(tool, self.said), "")

    def close(self) -> None:
        """There is nothing to let go of."""


def _plain(word: str) -> bool:
    return not word.startswith("-") and "=" not in word and not word.isdigit()


def machine(said: str, by_tool: Mapping[str, str] | None = None) -> Host:
    """A host, asked as root, whose tools all say this."""
    return Host(HostConfig("web1", user="root"), Parrot(said, by_tool or {}), is_root=True)
