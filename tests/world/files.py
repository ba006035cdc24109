"""stat, find, truncate, chmod and mkdir (coreutils 9.1), over files that only have a size."""

from pathlib import PurePosixPath

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Machine, Space

ARCHIVE = "/etc/lvm/archive"
VERSION = "(GNU coreutils) 9.1\n"


def stat(call: Call) -> Answer:
    """A file's size and type, or the space of the filesystem under a path."""
    match call.argv[1:]:
        case ("--format", "%s\n%F", path):
            size = call.machine.files.get(path)
            if size is not None:
                return Answer(0, said(str(size), "regular file" if size else "regular empty file"))
            if path in call.machine.directories:
                return Answer(0, said("4096", "directory"))
            words = f"stat: cannot statx '{path}': No such file or directory"
            return Answer(1, "", said(words))
        case ("--format", "%b", path) if path in call.machine.files:
            written = f"{call.name}{path}" in call.state.contents
            return Answer(0, said("8" if written else "0"))
        case ("--file-system", "--format", form, path):
            found = _space(call, form, path)
            words = f"stat: cannot read file system information for '{path}': "
            missing = Answer(1, "", said(words + "No such file or directory"))
            return missing if found is None else Answer(0, said(*map(str, found)))
    raise call.unknown()


def _space(call: Call, form: str, path: str) -> tuple[int, ...] | None:
    """What was asked for of the filesystem under a path; None where there is nothing."""
    if form == "%S\n%b\n%f\n%a":
        return _mounted(call, path)
    if form != "%S\n%b\n%a":
        raise call.unknown()
    if path not in call.machine.directories and path not in call.machine.files:
        return None
    space = beneath(call.machine, path)
    return space.block, space.blocks, space.free


def _mounted(call: Call, path: str) -> tuple[int, ...] | None:
    """Of a mounted filesystem, of whose free blocks root keeps a twentieth for itself."""
    mount = next((one for one in reversed(call.machine.mounts) if one.point == path), None)
    content = None if mount is None else call.state.content(call.name, mount.device)
    if content is None:
        return None
    free = content.blocks - content.used // content.block_size
    left = max(0, free - content.blocks // 20)
    return content.block_size, content.blocks, free, left


def beneath(machine: Machine, path: str) -> Space:
    """The filesystem that a path is on."""
    places = [one for one in machine.spaces if PurePosixPath(path).is_relative_to(one)]
    return machine.spaces[max(places, key=len)]


def find(call: Call) -> Answer:
    """The regular files directly in a directory."""
    match call.argv[1:]:
        case (path, "-maxdepth", "1", "-type", "f", "-printf", "%s %f\\0"):
            if path == ARCHIVE and call.machine.groups:
                groups = call.machine.groups.values()
                return Answer(
                    0, "".join(f"2048 {name}\0" for one in groups for name in one.archives)
                )
            if path not in call.machine.directories:
                return Answer(1, "", said(f"find: '{path}': No such file or directory"))
            inside = [one for one in call.machine.files if str(PurePosixPath(one).parent) == path]
            rows = (f"{call.machine.files[one]} {PurePosixPath(one).name}\0" for one in inside)
            return Answer(0, "".join(rows))
    raise call.unknown()


def truncate(call: Call) -> Answer:
    """`--size=>N`: at least N bytes, never fewer; `--no-create` leaves a missing file missing."""
    match call.argv[1:]:
        case ("--no-create", size, path) if size.startswith("--size=>"):
            return _truncate(call.machine, path, int(size[8:]), create=False)
        case (size, path) if size.startswith("--size=>"):
            return _truncate(call.machine, path, int(size[8:]), create=True)
    raise call.unknown()


def _truncate(machine: Machine, path: str, size: int, *, create: bool) -> Answer:
    if path not in machine.files and not create:
        return Answer()
    if str(PurePosixPath(path).parent) not in machine.directories:
        words = f"truncate: cannot open '{path}' for writing: No such file or directory"
        return Answer(1, "", said(words))
    if path not in machine.files:
        machine.modes[path] = "0644"
    machine.files[path] = max(machine.files.get(path, 0), size)
    return Answer()


def chmod(call: Call) -> Answer:
    """`0600 FILE`."""
    match call.argv[1:]:
        case ("0600", path):
            if path not in call.machine.files:
                words = f"chmod: cannot access '{path}': No such file or directory"
                return Answer(1, "", said(words))
            call.machine.modes[path] = "0600"
            return Answer()
    raise call.unknown()


def mkdir(call: Call) -> Answer:
    """`--parents --mode 0700 DIR`."""
    match call.argv[1:]:
        case ("--parents", "--mode", "0700", path):
            for one in (path, *map(str, PurePosixPath(path).parents)):
                if one not in call.machine.directories:
                    call.machine.directories.append(one)
            return Answer()
    raise call.unknown()


TOOLS = {
    "stat": Tool(stat, version="stat " + VERSION),
    "find": Tool(find, version="find (GNU findutils) 4.9.0\n"),
    "truncate": Tool(truncate, deed=True, version="truncate " + VERSION),
    "chmod": Tool(chmod, deed=True, version="chmod " + VERSION),
    "mkdir": Tool(mkdir, deed=True, version="mkdir " + VERSION),
}
