"""Prove that a device is still the one that was found under its name, by what does not pass on."""

from collections.abc import Iterator
from dataclasses import dataclass

from extendctl import questions
from extendctl.compute.site import Site
from extendctl.errors import Fault, Refused
from extendctl.host import Host, Question
from extendctl.probe import Block


@dataclass(frozen=True, slots=True)
class Proof:
    """Files under /sys by which a device is known, and what stood in them when it was found.

    The kernel gives `sdb` and 8:16 to the next disk when one is gone; a WWN it does not.
    """

    device: str
    files: tuple[tuple[str, str], ...]

    def questions(self) -> list[Question[tuple[str, ...]]]:
        """What has to be asked for it; nothing for a device that is known by its name alone."""
        return [questions.sysfs(*(path for path, _ in self.files))] if self.files else []

    def hold(self, machine: Host) -> None:
        """Raise Refused when the name has passed to another device, Unreachable like `ask`."""
        for question in self.questions():
            answers = machine.ask(question)
            for (path, known), now in zip(self.files, answers, strict=True):
                if now != known:
                    raise Refused((self._passed(machine.name, path, known, now),))

    def _passed(self, host: str, path: str, known: str, now: str) -> Fault:
        message = f"{self.device} on {host} is no longer the device that it was: {path} says "
        message += f"{now}, and it said {known}"
        return Fault("obstacle", message, "run the command again", host)


def of(site: Site, block: Block) -> Proof:
    """The proof of a block device; of a partition it is that of its disk, and its number."""
    return Proof(block.path, tuple(_files(site, block)))


def _files(site: Site, block: Block) -> Iterator[tuple[str, str]]:
    place = f"/sys/class/block/{block.name}"
    if block.dm_uuid:
        yield f"{place}/dm/uuid", block.dm_uuid
    elif block.partition is not None:
        disks = (one for one in site.facts.blocks.values() if block.name in one.children)
        for disk in disks:
            yield from _files(site, disk)
        yield f"{place}/partition", str(block.partition)
    elif block.backing_file:
        yield f"{place}/loop/backing_file", block.backing_file
    elif site.identity.kind == "iqn":
        yield from _session(site, block)
    elif block.wwid:
        yield f"{place}/{_WWID[block.name.startswith('nvme')]}", block.wwid


_WWID = {False: "device/wwid", True: "wwid"}


def _session(site: Site, block: Block) -> Iterator[tuple[str, str]]:
    """Where a WWN is not unique: the target of its session, and that the disk is still in it."""
    for one in site.facts.sessions:
        if one.block == block.name:
            session = one.place.partition("/target")[0]
            number = session.rpartition("/")[2]
            yield f"{session}/iscsi_session/{number}/targetname", one.iqn
            yield f"{one.place}/block/{block.name}/dev", block.dev
            return
