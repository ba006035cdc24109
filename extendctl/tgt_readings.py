"""Read what tgtadm shows of a tgt daemon's targets, and reckon with its sizes in MB."""

import re
from dataclasses import dataclass

from extendctl import figures
from extendctl.size import LARGEST, MIB, Size, round_down
from extendctl.transport import Result


@dataclass(frozen=True, slots=True)
class TgtLun:
    """A LUN of a tgt target. `megabytes` is all that is told of its size.

    `locked` means that an initiator forbids its removal, `backing` how it is stored (`rdwr`).
    """

    target: int
    iqn: str
    number: int
    path: str
    megabytes: int
    backing: str = "rdwr"
    online: bool = True
    locked: bool = False
    initiators: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The name by which hosts know it: the IQN and the number."""
        return f"{self.iqn},{self.number}"


def targets(result: Result) -> tuple[TgtLun, ...]:
    """`tgtadm --mode target --op show`: all LUNs but the controllers, which have no path.

    An online LUN's size is written `Size: 805 MB, Block size: 512`.
    """
    found: list[TgtLun] = []
    for section in re.split(r"^(?=Target \d+: )", result.stdout, flags=re.MULTILINE):
        head = re.match(r"Target (\d+): (\S+)", section)
        if head is None:
            continue
        initiators = tuple(re.findall(r"^ +Initiator: (\S+)", section, re.MULTILINE))
        for lun in re.split(r"^ +LUN: ", section, flags=re.MULTILINE)[1:]:
            one = _lun(figures.number(head[1], "tid"), head[2], lun, initiators)
            found += [] if one is None else [one]
    return tuple(found)


def _lun(target: int, iqn: str, text: str, initiators: tuple[str, ...]) -> TgtLun | None:
    number = figures.number(text.split(maxsplit=1)[0], "LUN")
    values = dict(re.findall(r"^ +([A-Z][^:\n]*): (.*)$", text, re.MULTILINE))
    path = values.get("Backing store path", "None").strip()
    if path == "None":
        return None
    return TgtLun(
        target=target,
        iqn=iqn,
        number=number,
        path=path,
        megabytes=figures.number(values["Size"].split()[0], "Size", most=LARGEST // 1_000_000),
        backing=values["Backing store type"].strip(),
        online=values["Online"].strip() == "Yes",
        locked=values.get("Prevent removal", "No").strip() == "Yes",
        initiators=initiators,
    )


def megabytes(size: Size) -> int:
    """The number of MB that tgtd shows for a size in bytes (tgt, usr/target.c, print_disksize)."""
    sectors = size // 512
    return (sectors - (sectors // 625 - 974)) // 1950


def probable(shown: int) -> Size:
    """A size, in bytes, that tgtd shows as so many MB: whole MiB if there is one, else the least.

    Where it differs from the truth, then by less than 1 MB.
    """
    least = _least(shown)
    whole = round_down(_least(shown + 1) - 512, MIB)
    return max(whole, least)


def _least(shown: int) -> Size:
    sectors = max(0, (1950 * shown - 974) * 625 // 624 - 8)
    while megabytes(sectors * 512) < shown:
        sectors += 1
    return sectors * 512
