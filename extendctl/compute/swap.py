"""Swap space: it grows only while it is off, so what is in it must fit into memory meanwhile."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.compute.proof import Proof
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.host import Deed
from extendctl.probe import Block, HostFacts, Swap
from extendctl.size import MIB, Size, human, round_down
from extendctl.stack import Obstacle, ToolFailed

_MARGIN = 64 * MIB  # memory that must be left when all of it has come back

# Blkid writes `^I` for a tab and, where the language is C, `M-CM-$` for an umlaut (safe_print in
# misc-utils/blkid.c of util-linux): nobody can tell that from a label that has just these signs.
_OBSCURE = re.compile(r"\^[@-_?]|M-")


@dataclass(frozen=True)
class SwapLayer(OnHost):
    """Swap space on `block`, in use, or resting because a run was cut short.

    Between swapoff and swapon it gives nothing: that is its size then, and so the next run has to
    do with it. A note under /run tells it from swap space that an administrator has switched off.
    """

    block: Block
    proof: Proof

    kind = "swap"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/swap"

    @property
    def name(self) -> str:
        return self.block.path

    def facts(self) -> HostFacts:
        """The machine's facts. Refused when the device has become another one."""
        self.machine.ask_all([questions.facts(), *self.proof.questions()])
        self.proof.hold(self.machine)
        facts = self.machine.ask(questions.facts())
        now = facts.blocks.get(self.block.name)
        if now is None or now.dev != self.block.dev:
            message = f"{self.block.name} on {self.host} has become another device"
            raise Refused((self.no(message, "run the command again"),))
        return facts

    def swap(self) -> Swap | None:
        """Its line in /proc/swaps, when it is in use."""
        return self.facts().swap_on(self.block)

    def measure(self) -> Size:
        swap = self.swap()
        return 0 if swap is None else swap.size + self.machine.ask(questions.page_size())

    def room(self, below: Size) -> Size:
        return round_down(below, self.machine.ask(questions.page_size()))

    def names(self) -> tuple[str, str]:
        """UUID and label. Refused when there is no swap space, or they could not be kept."""
        found = self.machine.ask(phrasebook.signature(self.block.path))
        if found.get("TYPE") != "swap" or not found.get("UUID"):
            message = f"the swap space on {self.name} on {self.host} has no UUID to be kept"
            raise Refused((self.no(message, f"make it anew: mkswap {self.name}"),))
        label = found.get("LABEL", "")
        if _OBSCURE.search(label) or not label.isprintable():
            message = f"the swap space on {self.name} on {self.host} has the label {label!r}, "
            message += "which stands for signs that blkid does not print as they are"
            hint = f"give it a plainer one first: swaplabel --label NAME {self.name}"
            raise Refused((self.no(message, hint),))
        return found["UUID"], label

    def grow(self, to: Size) -> None:
        """Note that it rests, take it out of use, make it anew, take it into use again."""
        (uuid, label), swap = self.names(), self.swap()
        priority = swap.priority if swap is not None else self.facts().resting.get(uuid, -1)
        complaint: ToolFailed | None = None
        self.machine.do(phrasebook.rest_swap(uuid, priority))
        try:
            if swap is not None:
                self.machine.do(phrasebook.stop_swap(self.block.path))
            self._anew(uuid, label, priority)
        except ToolFailed as failure:
            complaint = failure
        if self.swap() is not None:  # else the note is all that tells it from one switched off
            self.machine.do(phrasebook.rest_swap(uuid, None))
        if complaint is not None:
            raise complaint

    def _anew(self, uuid: str, label: str, priority: int) -> None:
        """Make it and take it into use, as it was where making it has failed."""
        try:
            self.machine.do(phrasebook.make_swap(self.block.path, uuid, label))
        except ToolFailed:
            self.machine.do(phrasebook.start_swap(self.block.path, priority))
            raise
        self.machine.do(phrasebook.start_swap(self.block.path, priority))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        uuid, label = self.names()
        found = [one for deed in self._deeds(uuid, label) for one in self.hindered(deed)]
        return [*found, *self.protected(self.block.dev), *self._memory()]

    def _deeds(self, uuid: str, label: str) -> Iterator[Deed]:
        swap = self.swap()
        yield phrasebook.rest_swap(uuid, None)
        yield phrasebook.stop_swap(self.block.path)
        yield phrasebook.make_swap(self.block.path, uuid, label)
        yield phrasebook.start_swap(self.block.path, -1 if swap is None else swap.priority)

    def _memory(self) -> list[Obstacle]:
        facts, swap = self.facts(), self.swap()
        if swap is None or not swap.used:
            return []
        others = sum(one.size - one.used for one in facts.swaps if one != swap)
        if swap.used + _MARGIN <= facts.available + others:
            return []
        return [
            self.no(
                f"{human(swap.used)} are in the swap space {self.name} on {self.host}, and only "
                f"{human(facts.available)} of memory are free to take them while it grows",
                "add swap space elsewhere for a while, or leave it alone with --no-filesystem",
            )
        ]
