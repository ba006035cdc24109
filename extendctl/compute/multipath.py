"""A multipath map, and whether every path that should be in it is well."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.block_readings import NodeRecord
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.size import Size
from extendctl.stack import Obstacle, ToolFailed

_BUSY = ("timeout", "fail", "map or partition in use")
"""What multipathd says, too, while it is at work itself: a second question may be answered.

After a reconfigure it waits for udev to tell of each map, and until then says no more than `fail`
("device not fully created, failing resize", cli_resize in multipathd/cli_handlers.c); from 0.9.8
on it has more words (its NEWS.md).
"""
_TRIES = 3
_PAUSE = 2.0  # seconds between them
_WELL = (("active", "ready"), ("active", "ghost"))


@dataclass(frozen=True)
class MultipathLayer(OnHost):
    """`mpathX` over all paths of one WWN. `uuid` is device mapper's: `mpath-3600...`."""

    map: str
    block: str
    uuid: str
    paths: tuple[str, ...]

    kind = "multipath"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/multipath"

    @property
    def name(self) -> str:
        return self.map

    def measure(self) -> Size:
        block = f"/sys/block/{self.block}"
        uuid, name, size = self.machine.ask(
            questions.sysfs(f"{block}/dm/uuid", f"{block}/dm/name", f"{block}/size")
        )
        if (uuid, name) != (self.uuid, self.map):
            message = f"{self.block} on {self.host} is no longer the map {self.map}"
            raise Refused((self.no(message, "run the command again"),))
        return int(size)

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self.machine.do(phrasebook.resize_map(self.map))
            except ToolFailed as failure:
                if not str(failure).endswith(tuple(f": {word}" for word in _BUSY)) or not left:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        return [
            *self.hindered(phrasebook.resize_map(self.map)),
            *self._ill(),
            *self._logged_out(),
        ]

    def _ill(self) -> Iterator[Obstacle]:
        """Paths that multipathd holds for failed; they would keep the map at its old size."""
        states = self.machine.ask(phrasebook.paths())
        for path in self.paths:
            mapped, checked, device = states.get(path, ("missing", "missing", "missing"))
            if (mapped, checked) not in _WELL or device != "running":
                yield self.no(
                    f"the path {path} of {self.map} on {self.host} is "
                    f"{mapped}, {checked}, {device}",
                    "bring it back first: with one path behind, the map cannot grow",
                )

    def _logged_out(self) -> Iterator[Obstacle]:
        """Portals that the node database expects a session to, where there is none."""
        facts = self.machine.ask(questions.facts())
        mine = [one for one in facts.sessions if one.block in self.paths]
        for iqn in sorted({one.iqn for one in mine}):
            sessions = {(one.address, one.port) for one in mine if one.iqn == iqn}
            records = self.machine.ask(phrasebook.node_records(iqn))
            usual = {one.startup for one in records if (one.address, one.port) in sessions}
            known = {(one.address, one.port) for one in facts.sessions if one.iqn == iqn}
            for record in records:
                place = (record.address, record.port)
                if place not in sessions and record.startup in usual:
                    yield self._missed(iqn, record, logged_in=place in known)

    def _missed(self, iqn: str, record: NodeRecord, *, logged_in: bool) -> Obstacle:
        where = f"{iqn} at {record.address}:{record.port}"
        node = f"iscsiadm -m node -T {iqn} -p {record.address}:{record.port}"
        if logged_in:
            message = f"{self.host} has a session to {where}, and no path of {self.map} by it"
            return self.no(message, f"{node} --rescan")
        message = f"{self.host} has no session to {where}, a path of {self.map}"
        return self.no(message, f"{node} --login; for a portal that nobody wants: {node} -o delete")
