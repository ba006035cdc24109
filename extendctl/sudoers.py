"""The least that sudo on a host has to allow, given the configuration, as a sudoers(5) file."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from extendctl import phrasebook
from extendctl import sudo_patterns as any_
from extendctl.backends.lio import IQN_PREFIX
from extendctl.config import BackendConfig, Config, HostConfig
from extendctl.errors import ConfigError, Fault, Refused
from extendctl.host import PATH
from extendctl.sudo_patterns import COMMAND, LONGEST, Phrase

NEEDS = "1.9.10"
"""The first sudo whose sudoers file may have regular expressions."""

_SEARCHED = f'secure_path="{PATH.removeprefix("PATH=")}"'
_PLACE = "CWD=/"
"""Where root alone makes directories: `tee /sys/x`, sent as one, is a path below `tee `."""
Phrases = Iterator[Phrase]


@dataclass(frozen=True, slots=True)
class Rule:
    """A command that root may be: for the sake of which layer, and the arguments of COMMAND."""

    layer: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Sudoers:
    """What a user may run as root on a host."""

    host: str
    user: str
    rules: tuple[Rule, ...]

    def as_dict(self) -> dict[str, Any]:
        """The file's content as the JSON output has it, and the file itself."""
        rules = [
            {"layer": one.layer, "command": COMMAND, "pattern": one.pattern, "cwd": "/"}
            for one in self.rules
        ]
        return {
            "host": self.host, "user": self.user, "needs": NEEDS, "rules": rules, "text": self.text
        }  # fmt: skip

    @property
    def text(self) -> str:
        """The file."""
        lines = [
            f"# What extendctl may run as root on {self.host}; made by: extendctl host sudoers",
            f"# Needs sudo {NEEDS}. Check it with `visudo -cf FILE`; install it as root, 0440, in",
            "# /etc/sudoers.d under a name without a dot. A new configuration needs a new file.",
            "# Of all rules that match the last one holds: name it so that none comes after it.",
            "# The tools are looked for in root's directories, whatever PATH the user has.",
            f"Defaults:{_quoted(self.user)} env_reset, !setenv, !exempt_group, {_SEARCHED}",
        ]
        layer = ""
        for rule in self.rules:
            if rule.layer != layer:
                lines += ["", f"# {rule.layer}"]
                layer = rule.layer
            may = f"{_quoted(self.user)} ALL = (root) {_PLACE} NOPASSWD:"
            lines.append(f"{may} {COMMAND} {rule.pattern}")
        return "\n".join([*lines, ""])


def sudoers(config: Config, host: HostConfig, user: str, layers: Sequence[str] = ()) -> Sudoers:
    """What `user` needs on a host. `layers` are those that a volume may have there.

    Without `layers` all of COMPUTE are meant, but on a machine that only serves volumes to others
    (each of its backends is `iscsi`) none. Raises Refused where sudo is not used, ConfigError for
    what cannot be written as a pattern.
    """
    if user == "root" or host.become != "sudo":
        why = "its user is root" if user == "root" else "its `become` is none"
        message = f"sudo is not used on {host.name}: {why}"
        raise Refused((Fault("obstacle", message, "nothing is to be allowed there", host.name),))
    backends = [one for one in config.backends.values() if one.host == host.name]
    serves_only = bool(backends) and all(one.driver == "iscsi" for one in backends)
    wanted = layers or (() if serves_only else tuple(COMPUTE))
    rules = [rule for one in backends for rule in _rules(f"backend {one.name}", _backend(one))]
    if wanted:
        rules += _rules("what stands on a device", iter([phrasebook.signature(any_.DEVICE)]))
    rules += [rule for one in wanted for rule in _rules(one, COMPUTE[one](host))]
    if wanted and config.policy.autoextend:
        rules += _rules("autoextend", iter([phrasebook.fullness(any_.POINT)]))
    first = {rule.pattern: rule for rule in reversed(rules)}
    return Sudoers(host.name, user, tuple(rule for rule in rules if first[rule.pattern] is rule))


def _rules(layer: str, phrases: Phrases) -> Iterator[Rule]:
    for phrase in phrases:
        pattern = any_.pattern(phrase)
        # sudo joins the arguments by blanks: a path with one could be sent as two paths.
        parted = [word for word in phrase.argv if word.startswith("/") and " " in word]
        if len(pattern) > LONGEST or not (pattern.isascii() and pattern.isprintable()) or parted:
            raise ConfigError(
                f"{layer}: sudoers cannot tell `{' '.join(phrase.argv)}` from other commands",
                hint=f"a path of printable ASCII without blanks, {LONGEST} characters at most",
            )
        yield Rule(layer, pattern)


def _quoted(user: str) -> str:
    """A user's name as sudoers(5) reads it; plain upper case would be the name of an alias."""
    if re.fullmatch("[a-z_][a-z0-9_.-]*", user):
        return user
    if not re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_.@ -]*", user):  # `%`, `#` and `+` in front: groups
        raise ConfigError(f"{user!r} cannot be written in a sudoers file", hint="log in as another")
    return f'"{user}"'


def _backend(backend: BackendConfig) -> Phrases:
    """What a backend does on its own machine."""
    group, directory = backend.volume_group, (backend.directory or "").rstrip("/") or "/"
    if group is not None:
        yield phrasebook.logical_volumes(group)
        yield phrasebook.volume_group(group)
        yield phrasebook.directory(phrasebook.LVM_ARCHIVE)
        yield phrasebook.extend_lv(group, any_.VOLUME, any_.SIZE)
        if backend.target in {None, "lio"}:
            yield phrasebook.create_lv(group, any_.VOLUME, any_.SIZE, backend.pool)
            yield phrasebook.signature(f"/dev/{group}/{any_.VOLUME}")
    else:
        yield from _files(directory)
    if backend.driver == "lvm":
        yield phrasebook.tgt_targets()  # what it serves is not to be taken for free
    if backend.target == "tgt" and group is not None:
        yield phrasebook.tgt_targets()
        yield from (phrasebook.reopen_tgt(any_.NUMBER, any_.NUMBER, one) for one in _nodes(group))
    if backend.target == "lio":
        yield from _lio(group, directory)


def _files(directory: str) -> Phrases:
    path = f"{directory.rstrip('/')}/{any_.FILE}"
    yield phrasebook.file_size(path)
    yield phrasebook.file_blocks(path)
    yield phrasebook.directory(directory)
    for place in (PurePosixPath(directory), *PurePosixPath(directory).parents):
        yield phrasebook.filesystem_space(str(place))
    yield phrasebook.extend_file(path, any_.SIZE)
    yield phrasebook.create_directory(directory)
    yield phrasebook.create_file(path)
    yield phrasebook.close_file(path)


def _nodes(group: str) -> tuple[str, ...]:
    mapped = f"/dev/mapper/{group.replace('-', '--')}-{any_.VOLUME}"
    return f"/dev/{group}/{any_.VOLUME}", mapped, f"/dev/dm-{any_.NUMBER}"


def _lio(group: str | None, directory: str) -> Phrases:
    plugin = "fileio" if group is None else "block"
    if group is None:
        yield phrasebook.create_fileio(any_.VOLUME, f"{directory.rstrip('/')}/{any_.FILE}")
        yield phrasebook.saved_sizes()
        yield phrasebook.resize_fileio(f"fileio_{any_.NUMBER}/{any_.STORE}", any_.SIZE)
    else:
        yield phrasebook.create_backstore(any_.VOLUME, f"/dev/{group}/{any_.VOLUME}")
    iqn = f"{IQN_PREFIX}:{any_.TARGET}"
    yield phrasebook.create_target(iqn)
    yield phrasebook.create_portal(iqn, any_.ADDRESS, any_.NUMBER)
    yield phrasebook.create_lun(iqn, any_.VOLUME, plugin)
    yield phrasebook.create_acl(iqn, any_.INITIATOR)
    yield phrasebook.save_target()


def _luks(host: HostConfig) -> Phrases:
    yield phrasebook.mapping(any_.MAP)
    yield phrasebook.resize_luks(any_.MAP, None)
    for mapping, key_file in host.luks_keys.items():
        yield phrasebook.resize_luks(mapping, key_file)
        yield phrasebook.key_fits(key_file, any_.DEVICE)


def _partition(_: HostConfig) -> Phrases:
    yield phrasebook.partition_table(any_.DEVICE)
    yield phrasebook.write_partition(any_.DEVICE, any_.NUMBER, any_.SIZE)
    yield phrasebook.tell_partition(any_.DEVICE, any_.NUMBER)
    yield phrasebook.drop_cache(any_.DEVICE)
    yield phrasebook.settle()
    yield phrasebook.remap_partitions(any_.DEVICE, any_.DELIMITER)


def _swap(_: HostConfig) -> Phrases:
    yield phrasebook.rest_swap(any_.UUID, None)
    yield phrasebook.stop_swap(any_.DEVICE)
    yield phrasebook.make_swap(any_.DEVICE, any_.UUID, "")
    yield phrasebook.make_swap(any_.DEVICE, any_.UUID, any_.LABEL)
    yield phrasebook.start_swap(any_.DEVICE, -1)
    yield phrasebook.start_swap(any_.DEVICE, any_.NUMBER)


def _ext4(_: HostConfig) -> Phrases:
    yield phrasebook.ext4(any_.DEVICE)
    yield phrasebook.grow_ext4(any_.DEVICE)
    yield phrasebook.check_ext4(any_.DEVICE)


def _guest_lv(_: HostConfig) -> Phrases:
    yield phrasebook.physical_volumes()
    yield phrasebook.segments(any_.GROUP)
    yield phrasebook.directory(phrasebook.LVM_ARCHIVE)
    yield phrasebook.extend_lv(any_.GROUP, any_.VOLUME, any_.SIZE)
    yield phrasebook.refresh_lv(any_.GROUP, any_.VOLUME)


COMPUTE: Mapping[str, Callable[[HostConfig], Phrases]] = {
    "loop": lambda _: iter([phrasebook.refresh_loop(any_.LOOP)]),
    "path": lambda _: iter([phrasebook.rescan_path(any_.SCSI)]),
    "nvme": lambda _: iter([phrasebook.rescan_controller(any_.NVME)]),
    "multipath": lambda _: iter(
        [
            phrasebook.paths(),
            phrasebook.node_records(any_.INITIATOR),
            phrasebook.resize_map(any_.MAP),
        ]
    ),
    "partition": _partition,
    "luks": _luks,
    "pv": lambda _: iter(
        [
            phrasebook.physical_volumes(),
            phrasebook.segments(any_.GROUP),
            phrasebook.directory(phrasebook.LVM_ARCHIVE),
            phrasebook.resize_pv(any_.DEVICE),
        ]
    ),
    "guest-lv": _guest_lv,
    "ext4": _ext4,
    "xfs": lambda _: iter([phrasebook.xfs(any_.POINT), phrasebook.grow_xfs(any_.POINT)]),
    "btrfs": lambda _: iter(
        [phrasebook.btrfs(any_.POINT), phrasebook.grow_btrfs(any_.NUMBER, any_.POINT)]
    ),
    "swap": _swap,
}
"""What each layer of a host's own does there, by kind."""
