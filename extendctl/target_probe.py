"""Ask a machine, in one unprivileged command, what its LIO target serves, from configfs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from extendctl.probe import Garbled

CONFIGFS = "/sys/kernel/config/target"

TARGET_SCRIPT = r"""
say() { printf '%s\t' "$@"; printf '\n'; }
get() { value=; { IFS= read -r value < "$1"; } 2>/dev/null; }
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
    rows = [line.removesuffix("\t").split("\t") for line in text.split("\n") if line]
    if not rows or rows[-1][0] != "end":
        raise Garbled("the machine's answer is cut short or is not an answer at all")
    luns = dict(_luns(rows))
    return TargetFacts(
        stores=tuple(_store(rows, id_, luns) for id_ in _column(rows, "serial")),
        groups={row[1]: row[2:] == ["1"] for row in rows if row[0] == "group"},
        portals=_several(rows, "portal"),
        acls=_several(rows, "acl"),
    )


def _several(rows: list[list[str]], key: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row[0] == key and len(row) > 2:
            found[row[1]] = (*found.get(row[1], ()), row[2])
    return found


def _column(rows: list[list[str]], key: str) -> dict[str, str]:
    return {row[1]: row[2] if len(row) > 2 else "" for row in rows if row[0] == key}


def _luns(rows: list[list[str]]) -> Iterator[tuple[str, tuple[Lun, ...]]]:
    found: dict[str, tuple[Lun, ...]] = {}
    for row in rows:
        if row[0] != "lun" or len(row) < 3:
            continue
        place, _, store = row[1].partition("/iscsi/")[2], "", row[2]
        parts = place.split("/")
        if len(parts) != 5 or "/core/" not in f"/{store}":
            continue
        lun = Lun(parts[0], int(parts[1].removeprefix("tpgt_")), int(parts[3][len("lun_") :]))
        id_ = f"/{store}".rpartition("/core/")[2]
        found[id_] = (*found.get(id_, ()), lun)
    yield from found.items()


def _store(rows: list[list[str]], id_: str, luns: Mapping[str, tuple[Lun, ...]]) -> Backstore:
    info = " ".join(row[2] for row in rows if row[0] == "info" and row[1] == id_ and len(row) > 2)
    words = info.split()
    return Backstore(
        id=id_,
        serial=_column(rows, "serial")[id_].rpartition(":")[2].strip(),
        udev_path=_column(rows, "udev_path").get(id_, ""),
        enabled=_column(rows, "enable").get(id_) == "1",
        dev=_dev(words),
        declared=_after(words, "Size:"),
        luns=luns.get(id_, ()),
    )


def _after(words: list[str], label: str) -> int | None:
    for place, word in enumerate(words[:-1]):
        if word == label and words[place + 1].isdigit():
            return int(words[place + 1])
    return None


def _dev(words: list[str]) -> str | None:
    major, minor = _after(words, "Major:"), _after(words, "Minor:")
    return None if major is None or minor is None else f"{major}:{minor}"
