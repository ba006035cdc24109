"""SCSI paths that are known by their iSCSI session and number, where a WWN would not be unique."""

from dataclasses import dataclass

from extendctl import questions
from extendctl.compute.scsi import PathLayer
from extendctl.compute.site import Site
from extendctl.errors import Fault, Refused
from extendctl.probe import Session
from extendctl.size import Size


@dataclass(frozen=True)
class SessionPathLayer(PathLayer):
    """All devices `sdX` of one LUN of one target. `wwid` is `IQN,LUN` here.

    `places` are the devices' directories, in which session and number stand.
    """

    places: tuple[str, ...] = ()

    def sizes(self) -> dict[str, Size]:
        """Each path's bytes, its session's target verified; the number is part of its place."""
        files = []
        for device, place in zip(self.devices, self.places, strict=True):
            session = place.partition("/target")[0]
            number = session.rpartition("/")[2]
            files.append(f"{session}/iscsi_session/{number}/targetname")
            files.append(f"{place}/block/{device}/size")
        try:
            answers = self.machine.ask(questions.sysfs(*files))
        except Refused as gone:
            raise Refused((self._passed(self.name),)) from gone
        for device, iqn in zip(self.devices, answers[::2], strict=True):
            if iqn != self.wwid.rpartition(",")[0]:
                raise Refused((self._passed(device),))
        sizes = (int(size) for size in answers[1::2])
        return dict(zip(self.devices, sizes, strict=True))

    def _passed(self, device: str) -> Fault:
        message = f"{device} on {self.host} is no longer LUN {self.wwid}"
        return self.no(message, "its name has passed to another disk; run the command again")


def sessions(site: Site) -> list[Session]:
    """The sessions through which a host sees the LUN `IQN,LUN`, by device."""
    found = [one for one in site.facts.sessions if f"{one.iqn},{one.lun}" == site.identity.value]
    unique = {one.block: one for one in found if one.block in site.facts.blocks}
    return [unique[name] for name in sorted(unique)]


def layer(site: Site, found: list[Session]) -> SessionPathLayer:
    """The layer of these devices."""
    devices = tuple(one.block for one in found)
    places = tuple(one.place for one in found)
    known = site.identity.value
    return SessionPathLayer(site.machine, site.anchor, known, devices, places=places)
