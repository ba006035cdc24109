"""The parsers, each as a function of bytes that may end with an ExtendctlError and nothing else."""

import json
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from extendctl import names, size, sudo_listing
from extendctl.block_readings import PhysicalVolume, Table, lvm_mapping
from extendctl.compute.linux import LinuxCompute
from extendctl.config_load import load
from extendctl.errors import ConfigError, ExtendctlError, Refused
from extendctl.host import Question, timed, why
from extendctl.model import GrowOptions, Identity
from extendctl.page import Line, clean, plain
from extendctl.probe import HostFacts
from extendctl.readings import Ext4, LogicalVolume, Xfs
from extendctl.shell import render
from extendctl.stack import Layer
from extendctl.target_probe import TargetFacts
from extendctl.tgt_readings import TgtLun, megabytes, probable
from extendctl.transport import Result
from tests.fuzz import seeds
from tests.fuzz.answers import QUESTIONS, machine

Subject = Callable[[bytes], None]
GOALS = (0, 1, 512, 4096, 10 << 30, size.LARGEST)
MANY = 40
"""Of what an answer has a thousand of, so many are used in one try."""


def text_of(data: bytes) -> str:
    """What a transport makes of bytes."""
    return data.decode("utf-8", errors="replace")


def within_bounds(value: Any) -> None:
    """No number that came in is larger than a device can be, or is no number at all."""
    if isinstance(value, Mapping):
        within_bounds(tuple(islice(value.items(), MANY)))
    elif isinstance(value, tuple | frozenset):
        for one in islice(value, MANY):
            within_bounds(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            within_bounds(getattr(value, one.name))
    elif isinstance(value, int | float):
        assert -(1 << 31) <= value < 1 << 64, value
    else:
        assert value is None or isinstance(value, str), type(value)


def answer(question: Question[Any], data: bytes) -> None:
    """One answer as a machine may give it, read, and used as the layers use it."""
    try:
        found = machine(text_of(data)).ask(question)
    except ExtendctlError as error:
        told(error)
        return
    within_bounds(found)
    use(found)


def told(error: ExtendctlError) -> None:
    """An error that can be shown: of a bounded length, with nothing in it that a terminal obeys."""
    for fault in error.faults:
        assert len(fault.message) < 2000, len(fault.message)
        assert fault.exit_status in {2, 3, 4, 5}
    shown = plain([Line(str(error))])
    assert shown.removesuffix("\n").isprintable()
    json.dumps(error.as_dict(), allow_nan=False).encode()


def use(found: Any) -> None:
    """What layers reckon from an answer."""
    if isinstance(found, HostFacts | TargetFacts):
        _look_through(found)
    elif isinstance(found, Ext4 | Xfs):
        assert all(0 <= found.reachable(goal) <= goal for goal in GOALS)
    elif isinstance(found, Table):
        assert all(found.limit(goal) <= goal for goal in GOALS)
    elif isinstance(found, Mapping | tuple):
        for one in islice(found.values() if isinstance(found, Mapping) else found, MANY):
            _use_row(one)


def _look_through(found: HostFacts | TargetFacts) -> None:
    if isinstance(found, TargetFacts):
        for store in islice(found.stores, MANY):
            assert len(store.wwid) == 36
            assert store.id == f"{store.id.partition('/')[0]}/{store.name}"
        return
    for block in islice(found.blocks.values(), MANY):
        found.in_use(block)
        found.by_path(block.path)
    for session in islice(found.sessions, MANY):
        assert session.lun >= -1


def _use_row(one: Any) -> None:
    if isinstance(one, PhysicalVolume):
        assert all(0 <= one.reachable(goal) <= goal for goal in GOALS)
    elif isinstance(one, LogicalVolume):
        assert one.unit > 0
        assert isinstance(one.thin, bool)
    elif isinstance(one, TgtLun):
        assert megabytes(probable(one.megabytes)) == one.megabytes


TOWER = {
    "lvs": text_of(seeds.of("segments")[-1]),
    "pvs": text_of(seeds.of("physical_volumes")[-1]),
    "sfdisk": text_of(seeds.of("partition_table")[-1]),
    "cryptsetup": text_of(seeds.of("mapping")[-1]),
    "dumpe2fs": text_of(seeds.of("ext4")[-1]),
    "xfs_spaceman": text_of(seeds.of("xfs")[-1]),
    "btrfs": text_of(seeds.of("btrfs")[-1]),
    "blkid": text_of(seeds.of("signature")[-1]),
    "multipathd": text_of(seeds.of("paths")[-1]),
    "iscsiadm": text_of(seeds.of("node_records")[-1]),
    "cat": text_of(seeds.of("sysfs")[-1]),
    "getconf": "4096\n",
}


def climb(data: bytes) -> None:
    """A whole stack on a host whose probe lies, up to the deeds that its layers would do."""
    host = machine(text_of(data), TOWER)
    try:
        facts = host.ask(QUESTIONS["facts"]())
    except ExtendctlError:
        return
    known = [Identity("wwn", one.wwid) for one in facts.blocks.values() if one.wwid]
    known += [Identity("dm-uuid", one.dm_uuid) for one in facts.blocks.values() if one.dm_uuid]
    known += [Identity("iqn", f"{one.iqn},{one.lun}") for one in facts.sessions]
    for identity in known[:MANY]:
        try:
            stack = LinuxCompute(host).stack(identity, GrowOptions())
        except ExtendctlError as error:
            told(error)
            continue
        for layer in stack.layers:
            _layer(layer)


def _layer(layer: Layer) -> None:
    assert layer.key
    for ask in (layer.measure, partial(layer.room, 10 << 30), partial(layer.obstacles, 10 << 30)):
        try:
            ask()
        except ExtendctlError as error:
            told(error)


def words(data: bytes) -> None:
    """Names at the border: what passes cannot be taken for an option, a path, or grammar."""
    text = text_of(data)
    checks: tuple[Callable[[], str], ...] = (
        lambda: names.name(text, "volume"),
        lambda: names.lvm(text, "volume"),
        lambda: names.device(text),
        lambda: names.iqn(text),
        lambda: names.path(text, "a file"),
        lambda: names.filename(text),
    )
    for check in checks:
        try:
            found = check()
        except ExtendctlError as error:
            told(error)
            continue
        assert found == text
        assert text.isprintable()
        assert not text.startswith("-")
        assert ".." not in text.split("/")


def sizes(data: bytes) -> None:
    """Sizes as people type them."""
    try:
        request = size.parse(text_of(data))
        goal = request.goal(10 << 30)
    except ExtendctlError as error:
        told(error)
        return
    assert 0 < goal <= size.LARGEST
    assert not request.relative or goal >= 10 << 30


def quoting(data: bytes) -> None:
    """Words that a shell is given come out as they went in; here by Python's reading of POSIX."""
    argv = text_of(data).split("\n")
    try:
        line = render(argv)
    except ExtendctlError as error:
        told(error)
        return
    assert shlex.split(line) == argv


def shown(data: bytes) -> None:
    """Text for a terminal, and a failed command's words."""
    text = text_of(data)
    assert not text or clean(text).isprintable()
    for status in (1, 5, 127):
        told(Refused((why("web1", ("lvs", "vg0"), Result(("lvs",), status, text, text), None),)))


def mappings(data: bytes) -> None:
    """Device mapper's name and UUID, parted by a line break."""
    name, _, uuid = text_of(data).partition("\n")
    found = lvm_mapping(name, uuid)
    if found is not None:
        str((found.whole, found.hidden))


def sudo_rules(data: bytes) -> None:
    """What `sudo -l` lists, and which of its rules decides."""
    try:
        rule = sudo_listing.asking(text_of(data).split("\n"), _SENT)
    except ValueError:
        return
    assert rule is None or (rule.asks and len(str(rule)) < 1000)


_SENT = timed(("tee", "/sys/block/sdb/device/rescan"), 180)


def configuration(data: bytes) -> None:
    """A configuration file."""
    with tempfile.NamedTemporaryFile(suffix=".yaml", dir=_MEMORY) as file:
        path = Path(file.name)
        path.write_bytes(data)
        try:
            load(path)
        except ConfigError as error:
            told(error)


_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

SUBJECTS: Mapping[str, Subject] = {
    **{name: partial(answer, make()) for name, make in QUESTIONS.items()},
    "climb": climb,
    "names": words,
    "size": sizes,
    "quoting": quoting,
    "shown": shown,
    "lvm_mapping": mappings,
    "sudo_rules": sudo_rules,
    "configuration": configuration,
}
"""Every parser by name."""
