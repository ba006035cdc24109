"""A place of its own for one test: the state, volumes on loop devices, and no trace left."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extendctl.__main__ import run
from extendctl.cli.session import Session

MIB = 1 << 20
TOP = Path(__file__).parent.parent.parent

_MAKE = {
    "xfs": ("mkfs.xfs", "-q"),
    "btrfs": ("mkfs.btrfs", "-q"),
    "ext4": ("mkfs.ext4", "-q", "-E", "lazy_itable_init=0"),
}


def tool(*words: str, check: bool = True) -> str:
    """Runs one of the system's tools and gives what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{words}: {done.stderr or done.stdout}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Volume:
    """A volume with a loop device over its file, and perhaps something mounted."""

    name: str
    file: Path
    device: str
    mount: Path | None = None

    @property
    def file_size(self) -> int:
        return self.file.stat().st_size

    @property
    def device_size(self) -> int:
        return int(tool("blockdev", "--getsize64", self.device))

    @property
    def filesystem_size(self) -> int:
        """What df would call the size, less than the device's by what the filesystem needs."""
        assert self.mount is not None
        facts = os.statvfs(self.mount)
        return facts.f_blocks * facts.f_frsize

    @property
    def sizes(self) -> tuple[int, int, int]:
        """File, device and filesystem (0 when there is none mounted)."""
        return self.file_size, self.device_size, self.filesystem_size if self.mount else 0


class Place:
    """Runs the program over a configuration, and makes what it works on.

    The caller has set XDG_STATE_HOME to `top`, for the embedded default.
    """

    backend, host = "files", "local"

    def __init__(self, top: Path, config: Path | None = None) -> None:
        self.top = top
        self.volumes = top / "extendctl" / "volumes"
        self.words = () if config is None else ("--config", str(config))
        self.processes: list[subprocess.Popen[bytes]] = []

    def call(self, *words: str, status: int = 0) -> Any:
        """Runs a command within this process and gives its JSON."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = run([*self.words, *words, "-o", "json"], Session())
        return _answer(words, found, status, out.getvalue(), err.getvalue())

    def start(self, *words: str, status: int = 0) -> Any:
        """Runs a command as a person does, in a process of its own, and gives its JSON."""
        argv = [sys.executable, "-m", "extendctl", *self.words, *words, "-o", "json"]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=TOP, check=False)
        return _answer(words, done.returncode, status, done.stdout, done.stderr)

    def extend(self, volume: Volume | str, size: str, *words: str, status: int = 0) -> Any:
        """Extends one volume and gives its result."""
        name = volume if isinstance(volume, str) else volume.name
        (result,) = self.call("volume", "extend", name, "--size", size, *words, status=status)
        return result

    def check(self, volume: Volume, status: int = 0) -> Any:
        """What a check of one volume says."""
        (result,) = self.call("volume", "check", volume.name, status=status)
        return result

    def created(self, name: str, size: str = "128M") -> Path:
        """A volume that nobody uses; gives its file."""
        self.call("volume", "create", name, "--backend", self.backend, "--size", size)
        return self.volumes / name

    def looped(self, name: str, size: str = "128M", *options: str) -> Volume:
        """A volume under a loop device, not attached yet."""
        file = self.created(name, size)
        device = tool("losetup", "--find", "--show", *options, str(file))
        return Volume(name, file, device)

    def mounted(self, name: str, kind: str, size: str = "320M", point: str | None = None) -> Volume:
        """A volume in use: loop device, filesystem, mounted, attached."""
        volume = self.looped(name, size)
        tool(*_MAKE[kind], volume.device)
        mount = self.top / (point or f"mnt-{name}")
        mount.mkdir()
        tool("mount", volume.device, str(mount))
        self.attach(volume)
        return Volume(volume.name, volume.file, volume.device, mount)

    def attach(self, volume: Volume, status: int = 0) -> Any:
        """Tells the program where the volume is used."""
        return self.call("volume", "attach", volume.name, self.host, status=status)

    def clean(self) -> None:
        """Ends what runs, unmounts what is mounted below, lets go of the loop devices."""
        for process in self.processes:
            process.kill()
            process.wait()
        for point in sorted(_mounts_below(self.top), reverse=True):
            _unmount(point)
        for device in loops_below(self.top):
            tool("losetup", "--detach", device)


def _unmount(point: str, seconds: float = 5.0) -> None:
    """Tries for a while, as a killed writer ends in its own time; then busy or not."""
    end = time.monotonic() + seconds
    while subprocess.run(["umount", point], capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            tool("umount", "--lazy", point)
            return
        time.sleep(0.1)


def loops_below(top: Path) -> list[str]:
    """The loop devices over files in a directory, deleted ones too."""
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if file.read_text().startswith(f"{top}/"):
                found.append(f"/dev/{file.parent.parent.name}")
    return found


def _mounts_below(top: Path) -> list[str]:
    r"""proc_pid_mountinfo(5): the fifth field, with `\040` for a space."""
    fields = (line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    points = (re.sub(r"\\([0-7]{3})", lambda one: chr(int(one[1], 8)), field) for field in fields)
    return [point for point in points if point.startswith(f"{top}/")]


def _answer(words: tuple[str, ...], found: int, status: int, out: str, err: str) -> Any:
    said = f"extendctl {' '.join(words)}: exit {found}, not {status}\n{out}\n{err}"
    assert found == status, said
    return json.loads(out)


def layers(result: Any) -> dict[str, tuple[int, int, str]]:
    """(before, after, outcome) of each layer by its kind."""
    return {one["kind"]: (one["before"], one["after"], one["outcome"]) for one in result["layers"]}
