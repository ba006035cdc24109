"""Every phrase of the phrasebook as it is really said, and its neighbours, which nobody may say."""

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from extendctl import phrasebook
from extendctl.config import AutoextendRule, BackendConfig, Config, HostConfig, PolicyConfig
from extendctl.host import CLEAN, Deed, Question, timed

Phrase = Question[Any] | Deed

UUID = "6f2c1d5e-0a3b-4c7d-8e9f-001122334455"
IQN = "iqn.2003-01.org.linux-iscsi.extendctl:vol-1"
HOST_IQN = "iqn.1993-08.org.debian:01:ab-12"
DIRECTORY, KEY = "/var/lib/extendctl/volumes", "/etc/keys/tall.key"
DEVICES = (
    "/dev/sdb", "/dev/sdaa1", "/dev/vdb3", "/dev/nvme0n1p2", "/dev/dm-7", "/dev/loop11",
    "/dev/mapper/mpatha-part1", "/dev/mapper/360014051f2e3d4c-part2", "/dev/mapper/vg0-my--vol",
)  # fmt: skip
POINTS = ("/", "/srv/vol1", "/mnt/My-Data_2/.cache", "/srv/a..b/x@y:z=1")

Words = tuple[Any, ...]
_DEVICES = tuple((one,) for one in DEVICES)
_POINTS = tuple((one,) for one in POINTS)

SAID: dict[str, Sequence[Words]] = {
    "logical_volumes": (("vg0",), ("vg-1",)),
    "volume_group": (("vg0",), ("vg-1",)),
    "ext4": _DEVICES,
    "xfs": _POINTS,
    "btrfs": _POINTS,
    "signature": _DEVICES,
    "physical_volumes": ((),),
    "segments": (("vgtall",), ("my.vg+1",)),
    "partition_table": _DEVICES,
    "mapping": (("tallcrypt",), ("luks-6f2c1d5e-0a3b",)),
    "key_fits": tuple((KEY, one) for one in DEVICES),
    "paths": ((),),
    "node_records": ((IQN,), (HOST_IQN,), ("eui.0123456789abcdef",)),
    "saved_sizes": ((),),
    "tgt_targets": ((),),
    "file_size": ((f"{DIRECTORY}/vol1",), (f"{DIRECTORY}/.My=vol,1.img",)),
    "file_blocks": ((f"{DIRECTORY}/vol1",), (f"{DIRECTORY}/.My=vol,1.img",)),
    "directory": ((DIRECTORY,),),
    "filesystem_space": ((DIRECTORY,), ("/var/lib",), ("/",)),
    "fullness": _POINTS,
    "extend_lv": (("vg0", "vol1", 4 << 20), ("vg-1", "my-vol", 1 << 62), ("guest", ".data", 1)),
    "refresh_lv": (("vg0", "vol1"), ("vg-1", "my-vol"), ("guest", ".data")),
    "create_lv": (("vg0", "vol1", 4 << 20, None), ("vg-1", "my-vol", 1, "pool")),
    "create_file": ((f"{DIRECTORY}/vol1",), (f"{DIRECTORY}/.My=vol,1.img",)),
    "close_file": ((f"{DIRECTORY}/vol1",), (f"{DIRECTORY}/.My=vol,1.img",)),
    "create_directory": ((DIRECTORY,),),
    "create_backstore": (("vol1", "/dev/vg0/vol1"), ("my-vol", "/dev/vg-1/my-vol")),
    "create_fileio": (("vol1", f"{DIRECTORY}/vol1"),),
    "create_target": ((IQN,),),
    "create_portal": ((IQN, "192.0.2.10", 3260), (IQN, "2001:db8::a", 860)),
    "create_lun": ((IQN, "vol1"), (IQN, "vol1", "fileio")),
    "create_acl": ((IQN, HOST_IQN),),
    "save_target": ((),),
    "resize_fileio": (("fileio_0/vol1", 1 << 30), ("fileio_12/my:vol", 1)),
    "reopen_tgt": (
        (1, 1, "/dev/vg-1/my-vol"), (12, 3, "/dev/mapper/vg--1-my--vol"), (1, 1, "/dev/dm-3"),
    ),
    "extend_file": ((f"{DIRECTORY}/vol1", 1 << 30),),
    "rescan_path": (("sdb",), ("sdaa",)),
    "rescan_controller": (("nvme0",),),
    "refresh_loop": (("loop0",),),
    "resize_map": (("mpatha",), ("360014051f2e3d4c",)),
    "write_partition": (("/dev/sdb", 1, 2048), ("/dev/mapper/mpatha", 128, 1 << 40)),
    "tell_partition": (("/dev/sdb", 1), ("/dev/nvme0n1", 12)),
    "drop_cache": _DEVICES,
    "settle": ((),),
    "remap_partitions": tuple(("/dev/mapper/mpatha", one) for one in ("-part", "_part", "p", "")),
    "resize_luks": (("tallcrypt", None), ("tallcrypt", KEY)),
    "resize_pv": _DEVICES,
    "rest_swap": ((UUID, 5), (UUID, None)),
    "stop_swap": _DEVICES,
    "make_swap": (("/dev/sdb", UUID, ""), ("/dev/sdb", UUID, "swap-1"), ("/dev/sdb", UUID, "-x")),
    "start_swap": (("/dev/sdb", -1), ("/dev/sdb", 5)),
    "check_ext4": _DEVICES,
    "grow_idle_ext4": _DEVICES,
    "grow_ext4": _DEVICES,
    "grow_xfs": _POINTS,
    "grow_btrfs": tuple((3, one) for one in POINTS),
}  # fmt: skip
"""What each phrase is called with, by its name: usual words and unusual ones."""


def every_phrase() -> dict[str, Callable[..., Phrase]]:
    """The phrases of the phrasebook by their names."""
    return {
        name: one
        for name, one in inspect.getmembers(phrasebook, inspect.isfunction)
        if one.__module__ == phrasebook.__name__ and not name.startswith("_")
    }


def sent(argv: Sequence[str]) -> tuple[str, ...]:
    """Argv as it reaches sudo on a host with the default time limit."""
    return timed(argv, 180)


def said() -> dict[str, tuple[str, ...]]:
    """Everything in SAID as it reaches sudo, by how it was said."""
    phrases = every_phrase()
    return {
        f"{name}{words!r}": sent(phrases[name](*words).argv)
        for name, calls in SAID.items()
        for words in calls
    }


def neighbours(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Commands that are nearly the same, and that the program never runs."""
    dress = words.index("timeout") + 4
    dressed, (tool, *rest) = words[:dress], words[dress:]
    yield (*CLEAN, *words)
    yield ("env", " ".join((*CLEAN[1:], *words[:-1])), words[-1])
    yield (*words, "--force")
    yield (*words, "/etc/shadow")
    yield (*dressed, tool, "--version", *rest)
    yield (*dressed, "/tmp/" + tool, *rest)
    yield (*dressed, "sh", "-c", *rest)
    yield ("env", "LD_PRELOAD=/tmp/x.so", *words)
    yield ("env", "-S", *words)
    yield ("timeout", "--foreground", *words[1:])
    yield (*words[: dress - 1], "180s", tool, *rest)
    yield (tool, *rest)
    for place, word in enumerate(rest):
        for other in _other_words(word):
            yield (*dressed, tool, *rest[:place], *other, *rest[place + 1 :])


def joined(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words, sent as fewer in every way that reads the same when blanks join them."""
    for gaps in itertools.product(" \0", repeat=len(words) - 1):
        pairs = zip(words, (*gaps, ""), strict=True)
        yield tuple("".join(part for pair in pairs for part in pair).split("\0"))


def _other_words(word: str) -> Iterator[tuple[str, ...]]:
    yield ("-x",)
    yield (f"-{word}",)
    yield (word, word)
    yield (f"{word} x",)
    yield (f"{word}\n",)
    if "/" in word:
        yield (f"{word}/..",)
        yield (f"{word}/../../etc/passwd",)
        yield (word.replace("/", "/../", 1),)
        yield (word.replace("/", "//", 1),)
        yield (word.lstrip("/") or "x",)


def site(user: str) -> Config:
    """A configuration that has every backend on one host, which uses volumes, too."""
    host = HostConfig("box", user=user, luks_keys={"tallcrypt": KEY})
    place: dict[str, Any] = {"driver": "iscsi", "host": "box"}
    backends = (
        BackendConfig("fast", "lvm", "box", volume_group="vg0"),
        BackendConfig("thin", "lvm", "box", volume_group="vg-1", pool="pool"),
        BackendConfig("files", "file", "box", directory=DIRECTORY),
        BackendConfig("san", **place, target="lio", volume_group="vg0"),
        BackendConfig("san-1", **place, target="lio", volume_group="vg-1", pool="pool"),
        BackendConfig("filesan", **place, target="lio", directory=DIRECTORY),
        BackendConfig("old", **place, target="tgt", volume_group="vg-1"),
        BackendConfig("new", **place, target="nvmet", volume_group="vg-1"),
    )
    policy = PolicyConfig(autoextend=(AutoextendRule("*", 80.0, "+20%"),))
    return Config("sqlite://", {"box": host}, {one.name: one for one in backends}, policy)
