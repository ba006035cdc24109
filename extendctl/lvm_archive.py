"""Where LVM keeps what a volume group was before a change: the way back for an operator."""

import re
from typing import Any

from extendctl import phrasebook
from extendctl.errors import Refused, Unreachable
from extendctl.host import Host, Question

_COPY = re.compile(r"(?P<group>.+)_(?P<number>[0-9]{5,9})-[0-9]+\.vg")


def coming(machine: Host, group: str) -> str | None:
    """The file to which LVM will write the group's present metadata before it changes the group.

    LVM numbers these files and ends the name with a number by chance, for which a `*` stands:
    `/etc/lvm/archive/vg0_00012-*.vg` (archive.c, archive_vg). None where that cannot be told: the
    directory is elsewhere (lvm.conf, backup/archive_dir), or may not be looked at, which is no
    reason not to extend anything.
    """
    copies = _copies(machine, group)
    if copies is None:
        return None
    return f"{phrasebook.LVM_ARCHIVE}/{group}_{max(copies, default=-1) + 1:05}-*.vg"


def came(machine: Host, expected: str) -> str | None:
    """The file's whole name after the change; None if LVM did not write it (backup/archive = 0)."""
    found = _COPY.fullmatch(expected.rpartition("/")[2].replace("*", "0"))
    copies = None if found is None else _copies(machine, found["group"])
    if found is None or copies is None:
        return None
    name = copies.get(int(found["number"]))
    return None if name is None else f"{phrasebook.LVM_ARCHIVE}/{name}"


def look_again(machine: Host, *sizes: Question[Any]) -> None:
    """After a change, ask for sizes and copies side by side: `came` then costs no round trip."""
    machine.ask_all([*sizes, phrasebook.directory(phrasebook.LVM_ARCHIVE)])


def _copies(machine: Host, group: str) -> dict[int, str] | None:
    """The copies that there are of a group, by their numbers; None when nothing is known."""
    try:
        names = machine.ask(phrasebook.directory(phrasebook.LVM_ARCHIVE))
    except (Refused, Unreachable):
        return None
    found = [(name, _COPY.fullmatch(name)) for name in names]
    return {int(one["number"]): name for name, one in found if one and one["group"] == group}
