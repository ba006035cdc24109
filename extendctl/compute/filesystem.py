"""Mounted filesystems: ext2/3/4, xfs and btrfs, each grown online to what its device gives it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from extendctl import phrasebook, questions, readings
from extendctl.ability import bounded
from extendctl.compute import proof
from extendctl.compute.ext4_limit import beyond
from extendctl.compute.proof import Proof
from extendctl.compute.site import OnHost, Site
from extendctl.compute.stuck import StuckLayer
from extendctl.errors import Refused
from extendctl.host import Question
from extendctl.mounts import Mount
from extendctl.probe import Block
from extendctl.size import MIB, Size, human, round_down
from extendctl.stack import Layer, Obstacle, Skipped

_LEAST_BTRFS = 256 * MIB  # fs/btrfs/ioctl.c, btrfs_ioctl_resize: less ends with EINVAL
_EXT = frozenset({"ext2", "ext3", "ext4"})

T = TypeVar("T")


@dataclass(frozen=True)
class Mounted(OnHost):
    """A filesystem on a block device, mounted at `point`."""

    block: Block
    point: str
    read_only: bool
    proof: Proof

    @property
    def name(self) -> str:
        return self.point

    def sure(self, question: Question[T], *more: Question[Any]) -> T:
        """The answer to a question about its device, which is proved to be the one it was.

        What is asked besides is known then, too, and has cost no time of its own.
        """
        self.machine.ask_all([question, *more, *self.proof.questions()])
        self.proof.hold(self.machine)
        return self.machine.ask(question)

    def _is_mine(self, path: str) -> bool:
        """Whether a path that a tool printed is this device; its own names need no question."""
        if path in {self.block.path, f"/dev/{self.block.name}"}:
            return True
        block = self.machine.ask(questions.facts()).by_path(path)
        return block is not None and block.dev == self.block.dev

    def _read_only(self) -> list[Obstacle]:
        if not self.read_only:
            return self.protected(self.block.dev)
        message = f"{self.point} on {self.host} is mounted read-only"
        return [self.no(message, "mount it read-write, or use --no-filesystem")]


@dataclass(frozen=True)
class Ext4Layer(Mounted):
    """ext2, ext3 or ext4. `first` is the mount that resize2fs works through."""

    first: Mount

    kind = "ext4"

    @property
    def key(self) -> str:
        return f"{self.anchor}/ext4/{self.point}"

    @property
    def slack(self) -> Size:
        """A last group too small for its tables is left out by rules that vary with the kernel."""
        return 16 << 20

    def superblock(self) -> readings.Ext4:
        """The superblock, from the device that is mounted."""
        return self.sure(phrasebook.ext4(self.block.path))

    def measure(self) -> Size:
        return self.superblock().size

    def room(self, below: Size) -> Size:
        return self.superblock().reachable(below)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.grow_ext4(self.block.path))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = [*self.hindered(phrasebook.grow_ext4(self.block.path)), *self._read_only()]
        block = self.superblock()
        found += self._frozen(block)
        if "errors" in block.state:
            found.append(
                self.no(
                    f"the filesystem at {self.point} on {self.host} has errors ({block.state}); "
                    "the kernel refuses to grow it online",
                    f"unmount it and run e2fsck -f {self.block.path}",
                )
            )
        found += beyond(self, f"at {self.point}", block, to)
        if "sparse_super2" in block.features:
            message = f"the ext4 at {self.point} on {self.host} has sparse_super2"
            found.append(self.no(message, "such a filesystem grows only while unmounted"))
        return [*found, *bounded(self.machine)]

    def _read_only(self) -> list[Obstacle]:
        """Of several mounts resize2fs takes the first in the kernel's list, writable or not."""
        if self.first.covered:
            message = f"something else is mounted over {self.first.point} on {self.host}, through "
            message += f"which resize2fs would grow the ext4 at {self.point}"
            return [self.no(message, "unmount what covers it, or the filesystem there")]
        if self.read_only or not self.first.read_only:
            return super()._read_only()
        message = f"{self.first.point} on {self.host}, through which resize2fs would grow the ext4 "
        message += f"at {self.point}, is mounted read-only"
        return [self.no(message, f"mount -o remount,rw {self.first.point}, or unmount it there")]

    def _frozen(self, block: readings.Ext4) -> list[Obstacle]:
        """Freezing empties the journal; one that is written to always has something to recover.

        The other kernel drivers show nowhere that they are frozen.
        """
        journal = "has_journal" in block.features and not self.first.super_options & _NO_JOURNAL
        if self.read_only or not journal or "needs_recovery" in block.features:
            return []
        message = f"the ext4 at {self.point} on {self.host} is frozen"
        return [self.no(message, f"when its backup is done: fsfreeze --unfreeze {self.point}")]


_NO_JOURNAL = frozenset({"norecovery", "noload"})  # mount options that leave the journal alone


@dataclass(frozen=True)
class XfsLayer(Mounted):
    """xfs, whose tools know it by its mount point."""

    kind = "xfs"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/xfs/{self.point}"

    def geometry(self) -> readings.Xfs:
        """Its geometry; Refused when something else is mounted there now."""
        geometry = self.sure(phrasebook.xfs(self.point), questions.facts())
        if not self._is_mine(geometry.device) or not self._in_reach():
            message = f"{geometry.device} is mounted at {self.point} on {self.host}, "
            message += f"not {self.block.path}"
            raise Refused((self.no(message, "run the command again"),))
        return geometry

    def _in_reach(self) -> bool:
        """Whether the path leads to it: the tools name the device that was mounted there first."""
        mounts = self.machine.ask(questions.facts()).mounts
        return any(
            (one.point, one.dev, one.covered) == (self.point, self.block.dev, False)
            for one in mounts
        )

    def measure(self) -> Size:
        return self.geometry().size

    def room(self, below: Size) -> Size:
        return self.geometry().reachable(below)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.grow_xfs(self.point))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        return [*self.hindered(phrasebook.grow_xfs(self.point)), *self._read_only()]


@dataclass(frozen=True)
class BtrfsLayer(Mounted):
    """One device of a btrfs, which may have several; `max` without its number means devid 1."""

    kind = "btrfs"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/btrfs/{self.point}"

    def member(self) -> tuple[int, Size]:
        """(devid, bytes) of this device. Refused when the filesystem does not have it."""
        for path, member in self.sure(phrasebook.btrfs(self.point)).items():
            if self._is_mine(path):
                return member
        message = f"{self.block.path} is no device of the btrfs at {self.point} on {self.host}"
        raise Refused((self.no(message, "run the command again"),))

    def measure(self) -> Size:
        return self.member()[1]

    def room(self, below: Size) -> Size:
        return round_down(below, 4096)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.grow_btrfs(self.member()[0], self.point))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        devid = self.member()[0]
        deed = phrasebook.grow_btrfs(devid, self.point)
        found = [*self._read_only(), *self.hindered(deed), *self._unwilling(devid)]
        if to < _LEAST_BTRFS:
            message = f"the btrfs at {self.point} on {self.host} cannot be resized to less than "
            found.append(self.no(f"{message}{human(_LEAST_BTRFS)}", "choose a larger size"))
        return found

    def _unwilling(self, devid: int) -> Iterator[Obstacle]:
        """What btrfs answers with EPERM, or with another operation that is in progress."""
        pool = self.machine.ask(questions.facts()).pool_of(self.block)
        if devid in pool.sealed:
            message = f"the btrfs at {self.point} on {self.host} never writes to {self.block.path}"
            hint = "a seed keeps its size: grow what was added to it, or use --no-filesystem"
            yield self.no(f"{message}, its device {devid}", hint)
        if pool.busy:
            message = f"the btrfs at {self.point} on {self.host} is busy with another operation"
            rest = f", or cancel it: btrfs balance cancel {self.point}"
            hint = f"wait for its end{rest if 'paused' in pool.busy else ''}"
            yield self.no(f"{message}: {pool.busy}", hint)


def mounted(site: Site, block: Block, mounts: Sequence[Mount]) -> Iterator[Layer | Skipped]:
    """The layer of a mounted filesystem, or the reason why it is left alone."""
    mount = writable(mounts)
    kind = "ext4" if mount.fstype in _EXT else mount.fstype
    if mount.covered and not site.options.no_filesystem:
        yield _covered(site, block, mount, kind)
        return
    if site.options.no_filesystem:
        yield site.skipped(kind, mount.point, "left alone, as asked by --no-filesystem")
        return
    if _renamed(site, block, mount):
        yield _under_an_old_name(site, block, mount, kind)
        return
    known = proof.of(site, block)
    common = (site.machine, site.anchor, block, mount.point, mount.read_only, known)
    if mount.fstype in _EXT:
        yield Ext4Layer(*common, mounts[0])
    elif mount.fstype == "xfs":
        yield XfsLayer(*common)
    elif mount.fstype == "btrfs":
        yield BtrfsLayer(*common)
    else:
        yield site.skipped(kind, mount.point, f"{mount.fstype} cannot be grown by this program")


def _renamed(site: Site, block: Block, mount: Mount) -> bool:
    """True when it is mounted under a name that its device does not have any more (lvrename).

    Both resize2fs and xfs_growfs then fail, with words about other things.
    """
    old = mount.source.startswith("/dev/mapper/") and block.dm_name is not None
    return old and mount.fstype != "btrfs" and site.facts.by_path(mount.source) != block


def _under_an_old_name(site: Site, block: Block, mount: Mount, kind: str) -> StuckLayer:
    message = (
        f"{mount.point} on {site.machine.name} was mounted as {mount.source}, which is called "
        f"{block.path} now, and so the tools do not find it"
    )
    return StuckLayer(
        site.machine, site.anchor, mount.point, kind, mount.point, block, block, message,
        "mount it anew, or give the device its old name back",
    )  # fmt: skip


def _covered(site: Site, block: Block, mount: Mount, kind: str) -> StuckLayer:
    """Whoever works at its mount point works on what is mounted over it."""
    message = f"something else is mounted over {mount.point} on {site.machine.name}, so that "
    message += f"the {kind} on {block.path} cannot be reached there"
    hint = "unmount what covers it, or mount the filesystem at another place, too"
    return StuckLayer(
        site.machine, site.anchor, mount.point, kind, mount.point, block, block, message, hint
    )  # fmt: skip


def writable(mounts: Sequence[Mount]) -> Mount:
    """The mount to work through: in reach, writable, and of the whole filesystem, if there is."""
    return min(mounts, key=lambda one: (one.covered, one.read_only, one.root != "/", one.point))
