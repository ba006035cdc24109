"""Sparse files in a directory, each behind a loop device on the same machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from extendctl import names, phrasebook, questions
from extendctl.ability import hindrances
from extendctl.backends import Source, lio
from extendctl.backends.served import Where, claimed
from extendctl.config import BackendConfig
from extendctl.errors import Fault, Refused, half_made, not_found
from extendctl.host import Deed, Host
from extendctl.model import Capability, Identity, PoolUsage
from extendctl.size import Size, human, round_up
from extendctl.stack import Obstacle, Trunk

UNIT: Size = 4096  # what a loop device's content can use; a page
_LARGEST = (1 << 63) - 4096


@dataclass(frozen=True)
class FileLayer:
    """A regular file that stands for a disk."""

    machine: Host
    path: str
    machine_id: str

    kind = "file"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.machine_id}/file/{self.path}"

    @property
    def host(self) -> str:
        return self.machine.name

    @property
    def name(self) -> str:
        return self.path

    def measure(self) -> Size:
        return measure(self.machine, self.path)

    def room(self, below: Size) -> Size:
        return round_up(below, UNIT)

    def grow(self, to: Size) -> None:
        self.machine.do(phrasebook.extend_file(self.path, to))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        found = hindrances(self.machine, phrasebook.extend_file(self.path, to))
        block, _, free = space(self.machine, str(PurePosixPath(self.path).parent))
        if free < block:
            message = f"the filesystem of {self.path} on {self.host} is full"
            found.append(Fault("no-space", message, "make room there first", self.host))
        return found


def _making(path: str, size: Size) -> tuple[Deed, ...]:
    """The deeds that make a file: empty, then its owner's alone, then of its size."""
    return (
        phrasebook.create_file(path),
        phrasebook.close_file(path),
        phrasebook.extend_file(path, round_up(size, UNIT)),
    )


def measure(machine: Host, path: str) -> Size:
    """A regular file's bytes. Refused when it is not there or is something else."""
    size, kind = machine.ask(phrasebook.file_size(path))
    if kind not in {"regular file", "regular empty file"}:
        message = f"{path} on {machine.name} is a {kind}, not a regular file"
        raise Refused((Fault("obstacle", message, "", machine.name),))
    return size


def space(machine: Host, directory: str) -> tuple[Size, Size, Size]:
    """Of the filesystem under a directory, in bytes: its block, its size, what is free."""
    place = PurePosixPath(directory)
    for near in (place, *place.parents):  # the directory is made with the first volume in it
        try:
            block, total, free = machine.ask(phrasebook.filesystem_space(str(near)))
        except Refused:
            if near == place.parents[-1]:
                raise
        else:
            return block, block * total, block * free
    raise AssertionError(f"{directory} has no parents")


@dataclass(frozen=True)
class FileBackend:
    """A directory of files."""

    config: BackendConfig
    machine: Host

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def directory(self) -> str:
        """Where the files are."""
        return names.path(self.config.directory or "", "a directory")

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.config.capabilities

    def trunk(self, source: str, identity: str | None = None) -> Trunk:
        path = self._path(source)
        if source not in self._files():
            raise not_found(
                f"there is no file {path} on {self.machine.name}",
                f"`ls {self.directory}` there shows what there is",
            )
        machine_id = self.machine.ask(questions.facts()).machine_id
        found = f"file:{machine_id}:{path}"
        if identity is not None and identity != found:
            message = f"{path} on {self.machine.name} is not the file that was taken in: "
            message += f"that was {identity.removeprefix('file:')}"
            raise Refused((Fault("obstacle", message, "", self.machine.name),))
        return Trunk(
            (FileLayer(self.machine, path, machine_id),),
            identity=Identity("file", path),
            source=source,
            source_identity=found,
            pool=self.usage(),
            thin=True,
        )

    def usage(self) -> PoolUsage:
        _, total, free = space(self.machine, self.directory)
        used = 100.0 * (total - free) / total if total else 100.0
        key = f"{self.machine.ask(questions.facts()).machine_id}:{self.directory}"
        return PoolUsage(key, total, free, UNIT, data_percent=round(used, 2))

    def sources(self) -> Sequence[Source]:
        """The files. One that a target serves belongs to the backend that knows the target."""
        wanted = (phrasebook.directory(self.directory), questions.facts(), questions.target())
        self.machine.ask_all(wanted)
        exports = lio.exports(self.machine)
        host = self.machine.name
        return [claimed(source, where, exports, host) for source, where in self.listed()]

    def listed(self) -> list[tuple[Source, Where]]:
        """The files, whoever serves them."""
        facts = self.machine.ask(questions.facts())
        looped = {one.backing_file for one in facts.blocks.values()}
        found = [self._source(*one, facts.machine_id) for one in self._files().items()]
        paths = (source.identity.removeprefix(f"file:{facts.machine_id}:") for source in found)
        wheres = (Where(frozenset({path}), used=path in looped) for path in paths)
        return list(zip(found, wheres, strict=True))

    def _source(self, name: str, size: Size, machine_id: str) -> Source:
        path = f"{self.directory.rstrip('/')}/{name}"
        empty = Fault("obstacle", f"{path} on {self.machine.name} is empty", "", self.machine.name)
        return Source(
            name,
            f"file:{machine_id}:{path}",
            size,
            Identity("file", path),
            faults=() if size else (empty,),
        )

    def _files(self) -> dict[str, Size]:
        return self.machine.ask(phrasebook.directory(self.directory))

    def create(self, name: str, size: Size, initiators: Sequence[str]) -> str:
        faults = self.hindered(name, size)
        if faults:
            raise Refused(faults)
        self.make(name, size)
        return name

    def make(self, name: str, size: Size) -> None:
        """Make a file that `hindered` has nothing against, unless it is there.

        Nobody but its owner may read it from before there is anything in it; what has its size
        already keeps its mode. Raises Incomplete once there is something that was left.
        """
        path, files = self._path(name), self._files_so_far()
        if name not in files:
            self.machine.do(phrasebook.create_directory(self.directory))
        if not files.get(name):
            first, *others = _making(path, size)
            self.machine.do(first)
            with half_made(name, self.machine.name):
                for deed in others:
                    self.machine.do(deed)

    def hindered(self, name: str, size: Size, *, opened: bool = False) -> list[Fault]:
        """Why a file could not be made. One that an earlier try has left is gone on with.

        `opened` says that such a one may be served: the caller knows by whom.
        """
        path = self._path(name)
        if size > _LARGEST:
            return [Fault("no-space", f"{human(size)} is more than a file can have")]
        files = self._files_so_far()
        if name not in files or (files[name] == 0 and self._left(path, opened=opened)):
            found = (hindrances(self.machine, one) for one in _making(path, size))
            return [*dict.fromkeys(fault for faults in found for fault in faults)]
        if files[name] == round_up(size, UNIT) and self._left(path, opened=opened):
            return []
        message = f"{path} is there already on {self.machine.name}"
        return [Fault("obstacle", message, "import it, or choose another name")]

    def _left(self, path: str, *, opened: bool) -> bool:
        """Whether a file was made and then left: nobody has it, and nothing was ever written."""
        blocks = self.machine.ask(questions.facts()).blocks.values()
        served = [one for one in lio.exports(self.machine) if one.path == path]
        if any(one.backing_file == path for one in blocks) or (served and not opened):
            return False
        return self.machine.ask(phrasebook.file_blocks(path)) == 0

    def _files_so_far(self) -> dict[str, Size]:
        """The files, none where there is no directory yet: the first file comes with it."""
        try:
            return self._files()
        except Refused:
            return {}

    def _path(self, source: str) -> str:
        return f"{self.directory.rstrip('/')}/{names.filename(source)}"
