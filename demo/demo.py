"""Watch a mounted filesystem grow under a writer, on this machine, with every command shown."""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from writer import BLOCK, PLACES

HERE = Path(__file__).resolve().parent
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
GOAL = 1 << 30
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StepFailed(Exception):
    """A step did not do what it should; the message says which and why."""


class Stopped(Exception):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def main() -> int:
    """Run the demo and clean up after it, whatever happens. Returns the exit status."""
    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        ready()
        with ExitStack() as cleanup:
            try:
                summary = Demo(cleanup).run()
            finally:
                ignore_signals()  # nothing interrupts the cleaning up
    except Stopped as stopped:
        print(f"\n{stopped}; the demo has cleaned up", file=sys.stderr)
        return 128 + stopped.number
    except (StepFailed, OSError) as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    print(summary)
    return 0


def stop(number: int, _frame: FrameType | None) -> NoReturn:
    """End the demo on a signal, and heed no second one."""
    ignore_signals()
    raise Stopped(number)


def ignore_signals() -> None:
    """Let what follows come to its end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def ready() -> None:
    """See that this machine can run the demo; install xfsprogs where that is all it lacks."""
    if os.geteuid() != 0:
        raise StepFailed("it needs root, to attach a loop device and to mount: sudo make demo")
    if not Path("/dev/loop-control").exists() or quiet("losetup", "--find").returncode:
        raise StepFailed("this machine offers no loop devices (modprobe loop, or a real machine)")
    if shutil.which("mkfs.xfs") and shutil.which("xfs_growfs"):
        return
    if not shutil.which("apt-get"):
        raise StepFailed("mkfs.xfs and xfs_growfs are missing: install xfsprogs")
    say("mkfs.xfs is missing; installing the Debian package xfsprogs")
    for argv in (
        ["update", "-qq"],
        ["install", "-qq", "-y", "--no-install-recommends", "xfsprogs"],
    ):
        done = quiet("apt-get", *argv)
        if done.returncode:
            raise StepFailed(f"apt-get install xfsprogs: {done.stderr.strip()}")


def say(text: str) -> None:
    """Tell the reader what comes now."""
    print(f"\n\033[1m{text}\033[0m" if COLOUR else f"\n{text}", flush=True)


def quiet(*argv: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that is not part of the show."""
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


class Demo:
    """One run of the demo, in a directory of its own that is removed at the end."""

    def __init__(self, cleanup: ExitStack) -> None:
        self.cleanup = cleanup
        self.top = Path(tempfile.mkdtemp(prefix="extendctl-demo-"))
        cleanup.callback(shutil.rmtree, self.top, ignore_errors=True)
        self.mount = self.top / "mnt"
        self.data, self.log = self.mount / "data", self.top / "checksums"
        self.env = {
            **{key: value for key, value in os.environ.items() if key != "EXTENDCTL_CONFIG"},
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "XDG_STATE_HOME": str(self.top / "state"),
            "XDG_CONFIG_HOME": str(self.top / "config"),
        }

    def run(self) -> str:
        """Show everything and return the summary."""
        say("A volume: a file that extendctl keeps.")
        self.show("extendctl init")
        self.show("extendctl volume create vol1 --backend files --size 512M")
        say("In use: on a loop device, with a filesystem, mounted, and written to all the time.")
        device = self.mounted(self.source())
        writer = self.writing()
        self.show("extendctl volume attach vol1 local")
        self.show("extendctl volume show vol1")
        say("What an extension would do, layer by layer; this changes nothing.")
        self.show("extendctl volume extend vol1 --size 1G --dry-run")
        before, first = size_of(self.mount), self.written()
        self.show(f"df -h {self.mount}")
        say("The extension, under the writer.")
        self.show("extendctl volume extend vol1 --size 1G")
        last, after = self.written(), size_of(self.mount)
        self.show(f"df -h {self.mount}")
        self.grown(device, before, after)
        say("Did the writer lose anything? Stop it, mount afresh, and read every block back.")
        self.stop(writer)
        self.show(f"umount {self.mount}")
        self.show(f"mount {device} {self.mount}")
        return self.summary(before, after, last - first)

    def show(self, line: str) -> None:
        """Print a command as a person would type it, run it, and fail when it fails."""
        print(f"\033[36m$ {line}\033[0m" if COLOUR else f"$ {line}", flush=True)
        status = subprocess.run(shlex.split(line), env=self.env, check=False).returncode
        if status:
            raise StepFailed(f"`{line}` ended with status {status}")

    def ask(self, *argv: str) -> dict[str, Any]:
        """What a command of extendctl says as JSON; a list of one is that one."""
        done = quiet("extendctl", *argv, "-o", "json", env=self.env)
        if done.returncode:
            raise StepFailed(f"`extendctl {' '.join(argv)}`: {done.stderr or done.stdout}")
        said = json.loads(done.stdout)
        return dict(said[0] if isinstance(said, list) else said)

    def source(self) -> Path:
        """The volume's file: its source, in the backend's directory."""
        directory = self.ask("backend", "show", "files").get("directory")
        volumes = Path(directory or self.top / "state" / "extendctl" / "volumes")
        file = volumes / str(self.ask("volume", "show", "vol1")["source"])
        if not file.is_file():
            raise StepFailed(f"the volume's file {file} is not there")
        return file

    def mounted(self, file: Path) -> str:
        """Put the file on a loop device with a filesystem, mount it, and return the device."""
        self.cleanup.callback(detach, file)
        line = f"losetup --find --show {file}"
        print(f"$ {line}", flush=True)
        done = quiet(*shlex.split(line))
        if done.returncode:
            raise StepFailed(f"`{line}`: {done.stderr.strip()}")
        device = done.stdout.strip()
        print(device)
        self.show(f"mkfs.xfs -q {device}")
        self.show(f"mkdir {self.mount}")
        self.cleanup.callback(unmount, self.mount)
        self.show(f"mount {device} {self.mount}")
        return device

    def writing(self) -> subprocess.Popen[bytes]:
        """Start the writer and return it when it has written something."""
        argv = [sys.executable, str(HERE / "writer.py"), str(self.data), str(self.log)]
        print(f"$ demo/writer.py {self.data} {self.log} &", flush=True)
        writer = subprocess.Popen(argv)
        self.cleanup.callback(end, writer)
        until(lambda: writer.poll() is not None or self.written() > 0, "the writer wrote nothing")
        return writer

    def written(self) -> int:
        """How many blocks are known to be safe."""
        return self.log.read_text().count("\n") if self.log.exists() else 0

    def grown(self, device: str, before: int, after: int) -> None:
        """See for ourselves that the device and the filesystem are larger."""
        size = int(quiet("blockdev", "--getsize64", device).stdout or 0)
        if size != GOAL or after <= before:
            raise StepFailed(
                f"extendctl said that it was done, but {device} has {size} bytes and the "
                f"filesystem went from {before} to {after}"
            )

    def stop(self, writer: subprocess.Popen[bytes]) -> None:
        """Stop the writer, after some writes to the larger filesystem."""
        target = self.written() + 50
        until(lambda: writer.poll() is not None or self.written() >= target, "the writer hangs")
        status = writer.poll()
        if status is not None:
            raise StepFailed(f"the writer failed with status {status} while the volume was in use")
        if end(writer):
            raise StepFailed("the writer did not end well")

    def summary(self, before: int, after: int, during: int) -> str:
        """Read every block back and say in two lines what was seen."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        latest = {int(number) % PLACES: digest for number, digest, _ in lines}
        with self.data.open("rb", buffering=0) as file:
            lost = sum(checksum(file.fileno(), at) != digest for at, digest in latest.items())
        if lost:
            raise StepFailed(f"{lost} of {len(latest)} blocks are not what was written")
        longest = max(int(took) for _, _, took in lines) / 1000
        return (
            f"\nThe mounted filesystem grew from {mib(before)} to {mib(after)} under {during} "
            f"writes; the longest of all {len(lines)} took {longest:.0f} ms.\n"
            f"{len(latest) * BLOCK} bytes verified by checksum, 0 lost."
        )


def checksum(file: int, place: int) -> str:
    """The checksum of the block at a place."""
    return hashlib.sha256(os.pread(file, BLOCK, place * BLOCK)).hexdigest()


def mib(size: int) -> str:
    """A size as df would have it."""
    return f"{size / (1 << 20):.0f} MiB"


def size_of(mount: Path) -> int:
    """The size of a mounted filesystem in bytes."""
    facts = os.statvfs(mount)
    return facts.f_blocks * facts.f_frsize


def until(done: Callable[[], bool], complaint: str, seconds: float = 30.0) -> None:
    """Wait for something that takes moments; fail with the complaint when it takes too long."""
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            raise StepFailed(complaint)
        time.sleep(0.05)


def end(writer: subprocess.Popen[bytes]) -> int:
    """End the writer and return its status; harmless to repeat."""
    writer.terminate()
    try:
        return writer.wait(timeout=10)
    except subprocess.TimeoutExpired:
        writer.kill()
        return writer.wait()


def unmount(mount: Path) -> None:
    """Unmount, with patience for a command that is still at it."""
    for _ in range(50):
        if not mount.is_mount() or quiet("umount", str(mount)).returncode == 0:
            return
        time.sleep(0.2)
    print(f"{mount} could not be unmounted; please do: umount {mount}", file=sys.stderr)


def detach(file: Path) -> None:
    """Let go of every loop device on the file."""
    for line in quiet("losetup", "--associated", str(file)).stdout.splitlines():
        quiet("losetup", "--detach", line.split(":")[0])


if __name__ == "__main__":
    sys.exit(main())
