"""Ask a machine, in one unprivileged command, what its LIO target serves, from configfs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from extendctl import figures
from extendctl.errors import quoted

CONFIGFS = "/sys/kernel/config/target"

TARGET_SCRIPT = r"""
say() { printf '%s\t' "$@"; printf '\n'; }
get() { value=; { IFS= read -r value < "$1"; } 2>/dev/null; }
get /proc/sys/kernel/random/boot_id; say boot-id "$value"
get /proc/uptime; say uptime "${value%% *}"
root=/sys/kernel/config/target
for store in "$root"/core/*/*; do
  [ -e "$store/wwn/vpd_unit_serial" ] || continue
  id=${store#"$root"/core/}
  get "$store/wwn/vpd_unit_serial"; say serial "$id" "$value"
  get "$store/udev_path"; say udev_path "$id" "$value"
  get "$store/enable"; say enable "$id" "$value"
  while IFS= read -r line; do say info "$id" "$line"; done < "$store/info"
done 2>/dev/null
for group in "$root"/iscsi/iqn.*/tpgt_*; do
  [ -e "$group/enable" ] || continue
  id=${group#"$root"/iscsi/}
  get "$group/enable"; say group "$id" "$value"
  for portal in "$group"/np/*; do [ -e "$portal" ] && say portal "$id" "${portal##*/}"; done
  for acl in "$group"/acls/*; do [ -e "$acl" ] && say acl "$id" "${acl##*/}"; done
done
if [ -d "$root/iscsi" ]; then
  find "$root/iscsi" -type l -path '*/tpgt_*/lun/lun_*' -printf 'lun\t%p\t%l\t\n' 2>/dev/null
fi
say end
"""


@dataclass(frozen=True, slots=True)
class Lun:
    """A backstore's place in a target: the IQN, the portal group and the number."""

    iqn: str
    group: int
    number: int

    def __str__(self) -> str:
        return f"{self.iqn},lun{self.number}"


@dataclass(frozen=True, slots=True)
class Backstore:
    """A LIO storage object. `id` is `iblock_0/NAME`; `dev` is major:minor of a block backstore.

    `declared` is the size in bytes that `info` shows for fileio, 0 or None where it shows none.
    """

    id: str
    serial: str
    udev_path: str
    enabled: bool
    dev: str | None
    declared: int | None
    luns: tuple[Lun, ...] = ()

    @property
    def plugin(self) -> str:
        """`iblock`, `fileio`, ..."""
        return self.id.split("/")[0].rpartition("_")[0]

    @property
    def name(self) -> str:
        """What targetcli calls it."""
        return self.id.split("/")[1]

    @property
    def wwid(self) -> str:
        """The name under which Linux initiators know it in sysfs.

        NAA 6, LIO's OUI 001405, then the first 25 hexadecimal digits of the unit serial
        (drivers/target/target_core_spc.c, spc_gen_naa_6h_vendor_specific).
        """
        digits = [digit for digit in self.serial.lower() if digit in "0123456789abcdef"]
        return "naa.6001405" + "".join(digits[:25]).ljust(25, "0")


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What LIO serves. `groups` by `IQN/tpgt_N`: whether it is enabled; portals and ACLs alike."""

    stores: tuple[Backstore, ...] = ()
    groups: Mapping[str, bool] = field(default_factory=dict)
    portals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    acls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def target_facts(text: str) -> TargetFacts:
    """Read what TARGET_SCRIPT printed. Raises Garbled when its end is missing."""
    rows = [row for row in figures.fields(text) if len(row) > 1]
    luns = _luns(rows)
    paths, enabled = _column(rows, "udev_path"), _column(rows, "enable")
    info, portals = _several(rows, "info"), _several(rows, "portal")
    return TargetFacts(
        stores=tuple(
            _store(id_, serial, paths.get(id_, ""), enabled.get(id_, ""), info.get(id_, ()), luns)
            for id_, serial in _column(rows, "serial").items()
        ),
        groups={row[1]: row[2:] == ["1"] for row in rows if row[0] == "group"},
        portals={group: tuple(map(_portal, some)) for group, some in portals.items()},
        acls=_several(rows, "acl"),
    )


def _several(rows: list[list[str]], key: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row[0] == key and len(row) > 2:
            found.setdefault(row[1], []).append(row[2])
    return {name: tuple(values) for name, values in found.items()}


def _column(rows: list[list[str]], key: str) -> dict[str, str]:
    return {row[1]: row[2] if len(row) > 2 else "" for row in rows if row[0] == key}


def _luns(rows: list[list[str]]) -> dict[str, tuple[Lun, ...]]:
    found: dict[str, list[Lun]] = {}
    for row in rows:
        if row[0] != "lun" or len(row) < 3:
            continue
        place, _, store = row[1].partition("/iscsi/")[2], "", row[2]
        parts = place.split("/")
        if len(parts) != 5 or "/core/" not in f"/{store}":
            continue
        group = figures.number(parts[1].removeprefix("tpgt_"), "a portal group")
        lun = Lun(parts[0], group, figures.number(parts[3].removeprefix("lun_"), "a LUN"))
        found.setdefault(f"/{store}".rpartition("/core/")[2], []).append(lun)
    return {id_: tuple(several) for id_, several in found.items()}


def _store(  # noqa: PLR0913, PLR0917 - what the probe has of a backstore
    id_: str,
    serial: str,
    path: str,
    enabled: str,
    info: Sequence[str],
    luns: Mapping[str, tuple[Lun, ...]],
) -> Backstore:
    if not re.fullmatch(r"[a-z]+_[0-9]+/[^/]+", id_):
        raise figures.Garbled(f"not the name of a backstore: {quoted(id_)}")
    words = " ".join(info).split()
    return Backstore(
        id=id_,
        serial=serial.rpartition(":")[2].strip(),
        udev_path=path,
        enabled=enabled == "1",
        dev=_dev(words),
        declared=_after(words, "Size:"),
        luns=luns.get(id_, ()),
    )


def _after(words: list[str], label: str) -> int | None:
    for place, word in enumerate(words[:-1]):
        if word == label and words[place + 1].isdigit():
            return figures.number(words[place + 1], label)
    return None


def _portal(text: str) -> str:
    """`ADDRESS:PORT`, as the kernel names its directory."""
    address, _, port = text.rpartition(":")
    return f"{address}:{figures.number(port, 'a port', 1, 65535)}"


def _dev(words: list[str]) -> str | None:
    major, minor = _after(words, "Major:"), _after(words, "Minor:")
    return None if major is None or minor is None else f"{major}:{minor}"
