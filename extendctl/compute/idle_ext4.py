"""An ext2, ext3 or ext4 that is not mounted: checked, then grown, where that was asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions, readings
from extendctl.compute.ext4_limit import beyond
from extendctl.compute.proof import Proof
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.probe import Block
from extendctl.size import Size
from extendctl.stack import Obstacle, ToolFailed


@dataclass(frozen=True)
class IdleExt4Layer(OnHost):
    """The filesystem `uuid` on a device that nothing has open (`--offline`)."""

    block: Block
    uuid: str
    proof: Proof

    kind = "ext4"
    slack: Size = 16 << 20  # as for a mounted one

    @property
    def key(self) -> str:
        return f"{self.anchor}/ext4/{self.uuid}"

    @property
    def name(self) -> str:
        return self.block.path

    def superblock(self) -> readings.Ext4:
        """The superblock. Refused when it has been mounted meanwhile."""
        self.machine.ask_all([questions.facts(), *self.proof.questions()])
        self.proof.hold(self.machine)
        facts = self.machine.ask(questions.facts())
        block = facts.blocks.get(self.block.name)
        if block is None or block.dev != self.block.dev or facts.in_use(block):
            message = f"{self.name} on {self.host} is in use now, or has become another device"
            raise Refused((self.no(message, "run the command again"),))
        return self.machine.ask(phrasebook.ext4(self.block.path))

    def measure(self) -> Size:
        return self.superblock().size

    def room(self, below: Size) -> Size:
        return self.superblock().reachable(below)

    def grow(self, to: Size) -> None:
        """Check it, as resize2fs demands, then grow it.

        E2fsck exits 1 when it has mended something, which is well; what it could not mend is told
        in its words when resize2fs refuses.
        """
        complaint: ToolFailed | None = None
        try:
            self.machine.do(phrasebook.check_ext4(self.block.path))
        except ToolFailed as failure:
            complaint = failure
        try:
            self.machine.do(phrasebook.grow_idle_ext4(self.block.path))
        except ToolFailed as failure:
            raise complaint or failure from failure

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = self.superblock()
        return [
            *self.hindered(phrasebook.check_ext4(self.block.path)),
            *self.hindered(phrasebook.grow_idle_ext4(self.block.path)),
            *self.protected(self.block.dev),
            *self._left_open(found),
            *self._broken(found),
            *self._untested(found),
            *beyond(self, self.name, found, to),
        ]

    def _left_open(self, found: readings.Ext4) -> Iterator[Obstacle]:
        """A mount that has not ended: e2fsck would recover the journal of a machine that writes.

        Without a journal the state tells. Neither is left by an e2fsck or resize2fs that was cut.
        """
        hint = "mount and unmount it once on the host that used it, or attach that host"
        if "needs_recovery" not in found.features:
            if "not clean" not in found.state:
                return
            hint = f"where no machine has it mounted, run e2fsck -f {self.name}"
        message = f"the ext4 {self.name} on {self.host} was not unmounted cleanly, or another "
        yield self.no(f"{message}machine has it mounted", hint)

    def _untested(self, found: readings.Ext4) -> Iterator[Obstacle]:
        """Resize2fs 1.47, without -f: "has not been fully tested.  Proceed at your own risk!"."""
        if "bigalloc" in found.features:
            message = f"the ext4 {self.name} on {self.host} has bigalloc, which resize2fs does not "
            hint = f"leave --offline away, or do it by hand: resize2fs -f {self.name}"
            yield self.no(f"{message}grow offline unless it is forced", hint)

    def _broken(self, found: readings.Ext4) -> Iterator[Obstacle]:
        """Errors that the kernel has met with. E2fsck may mend them, and a person should look.

        The state alone does not tell: resize2fs sets it to `clean with errors` while it is at work,
        and where it was cut short the next run goes on.
        """
        if "errors" in found.state and found.errors:
            message = f"the ext4 {self.name} on {self.host} has errors ({found.state}, "
            message += f"{found.errors} counted by the kernel)"
            yield self.no(message, f"look at what it has, and mend it: e2fsck -f {self.name}")
