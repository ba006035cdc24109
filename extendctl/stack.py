"""The one idea: a volume is a stack of layers; let the lowest take the goal and each fill it.

Dry run, run, verification, resume and check are readings of `walk`; none of them has a second
description of what there is to do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from extendctl.errors import Fault, Incomplete, NotVerified
from extendctl.model import Identity, PoolUsage
from extendctl.size import Size, human

Obstacle = Fault
"""Why a layer cannot grow now: one sentence, asked for before anything is touched."""


class Layer(Protocol):
    """One thing with a size. Implementations are frozen dataclasses.

    `key` names it for ever (by identity, not by `sdX`), `name` is what its machine calls it today.
    """

    @property
    def key(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def slack(self) -> Size:
        """Bytes by which it may fall short of its room and still count as verified."""
        ...

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        """Why it cannot grow to `to` bytes now; empty means that it can."""
        ...

    def measure(self) -> Size:
        """Its size in bytes, seen now, its identity verified. Raises Unreachable or Refused."""
        ...

    def room(self, below: Size) -> Size:
        """The size that it will have when it fills a layer of `below` bytes."""
        ...

    def grow(self, to: Size) -> None:
        """Let it be `to` bytes: an absolute size, harmless to repeat. Its word is not believed."""
        ...


def pauses(layer: Layer) -> bool:
    """True when growing it lets those wait who read and write; few layers have the attribute."""
    return bool(getattr(layer, "pauses", False))


@runtime_checkable
class Archived(Protocol):
    """A layer whose machine keeps, before each change, what its metadata were; few layers are."""

    def archive(self) -> str | None:
        """Where that will be kept by the next change, None when it is not known. Never raises."""
        ...

    def archived(self, expected: str) -> str | None:
        """Where it has been kept, given what was expected; None when it has not."""
        ...


@runtime_checkable
class Pooled(Protocol):
    """A layer that may take its space from a pool only as it is written to: a thin volume does."""

    def pool(self) -> PoolUsage | None:
        """The pool as it is now, asked anew; None for what has its space already."""
        ...


@runtime_checkable
class Viewed(Protocol):
    """A layer of which each host's kernel has a view of its own: a partition, a mapping."""

    def view(self) -> Layer:
        """What is left to do on a host when another one has grown the content."""
        ...


@dataclass(frozen=True, slots=True)
class Use:
    """A mount, or swap space in use, of something on a volume.

    `place` tells from the volume's device upwards what it is on, in the same words on all hosts;
    `kind` is the filesystem's type or `swap`.
    """

    place: tuple[str, ...]
    kind: str
    point: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """What stands on the stack and is left as it is, with the reason."""

    host: str
    kind: str
    name: str
    reason: str


@runtime_checkable
class Ending(Protocol):
    """A layer of which only a question tells whether growth ends beneath it after all."""

    def ends(self) -> Skipped | None:
        """What to say in its place, None when it grows. Raises what its questions raise."""
        ...


DEVICES = frozenset({"path", "nvme", "multipath", "loop"})
"""Kinds of layers that are a host's own view of the volume; what is above them is its content."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A run of layers, lowest first, and what is left alone above them.

    `views` stand on the devices in place of content that another host grows: this one reads again.
    `uses` are all that it is used for, grown or not; `opened` tells that mappings stand on it.
    """

    layers: tuple[Layer, ...]
    skipped: tuple[Skipped, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    device: str | None = None
    mountpoint: str | None = None
    views: tuple[Layer, ...] = ()
    uses: tuple[Use, ...] = ()
    opened: bool = False

    @property
    def every(self) -> tuple[Layer, ...]:
        """All layers that this host measures and grows, lowest first."""
        return (*self.layers, *self.views)

    @property
    def devices(self) -> tuple[Layer, ...]:
        """The layers that each host has for itself."""
        return tuple(layer for layer in self.layers if layer.kind in DEVICES)

    @property
    def content(self) -> tuple[Layer, ...]:
        """The layers that are in the volume, and that one host alone may grow."""
        return tuple(layer for layer in self.layers if layer.kind not in DEVICES)


@dataclass(frozen=True, slots=True)
class Trunk(Stack):
    """The backend's part of a volume: its layers, and how hosts know what they are given.

    `source` and `source_identity` are what the state remembers; `pool` is what the space comes
    from, of which each byte takes `copies`, and a `thin` volume takes none until it is written.
    """

    identity: Identity | None = None
    source: str = ""
    source_identity: str = ""
    pool: PoolUsage | None = None
    thin: bool = False
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """A layer has been measured and asked for its room; nothing has been touched yet."""

    layer: Layer
    before: Size
    room: Size


@dataclass(frozen=True, slots=True)
class Settled:
    """A layer is done with: it was full, or the hand has acted and this is its size now."""

    layer: Layer
    before: Size
    room: Size
    after: Size

    @property
    def grown(self) -> bool:
        """True when it is larger than it was."""
        return self.after > self.before


Event = Measured | Settled
Hand = Callable[[Layer, Size], Size]
"""What is done to a layer that is not full: given its room, gives the size it has then."""


def walk(
    layers: Sequence[Layer],
    goal: Size,
    hand: Hand,
    targets: Mapping[str, Size] = {},
) -> Iterator[Event]:
    """Walk a stack from the lowest layer up and let `hand` act on each that is not full.

    The generator waits for its reader, so what a reader commits on Measured is on disk before the
    machine is touched. `targets` are absolute sizes by key from when the operation was opened:
    a layer's room is never less than its target, or what has grown already would be forgotten.
    """
    below = goal
    for layer in layers:
        before = layer.measure()
        room = max(layer.room(below), targets.get(layer.key, 0))
        yield Measured(layer, before, room)
        after = before if before >= room else hand(layer, room)
        yield Settled(layer, before, room, after)
        below = after


def forecast(_layer: Layer, room: Size) -> Size:
    """The hand of a dry run: says what would be, touches nothing."""
    return room


def grow(layer: Layer, room: Size) -> Size:
    """The hand of a run: grow, then look again and believe only the second look.

    Raises NotVerified when the layer fell short although all went well, and the layer's own
    complaint when it fell short after complaining. A complaint about a layer that then measures
    full is no failure: `lvextend` exits 5 at the size it should have.
    """
    complaint: Incomplete | None = None
    try:
        layer.grow(room)
    except ToolFailed as failure:
        complaint = failure
    after = layer.measure()
    if after + layer.slack >= room:
        return after
    if complaint is not None:
        raise complaint
    raise NotVerified(
        f"{layer.kind} {layer.name} on {layer.host} measures {human(after)} ({after} bytes) "
        f"where {human(room)} ({room} bytes) were expected, although the command succeeded",
        host=layer.host,
        hint="look at the layer beneath it and at the kernel log, then resume",
    )


class ToolFailed(Incomplete):
    """A command that should have grown something said that it did not."""

    code = "host-failed"
