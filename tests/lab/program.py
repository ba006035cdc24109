"""Runs the program as a person would and reads its JSON; measures the machines without it."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.lab.lab import Lab
from tests.lab.volumes import VOLUME_DIRECTORY, VOLUMES, Volume

MIB = 1 << 20
Sizes = dict[str, int]
"""Bytes by `HOST KIND`, with the kinds that the program's own layers have."""

BACKENDS = {"fullvol": "small", "filevol": "files", "freevol": "fast", "localvol": "fast"}
# Backends of the other volumes: a target serves them.
_ELSE = "san"


@dataclass(frozen=True)
class Ran:
    """What one call of the program left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.stdout)

    @property
    def result(self) -> Any:
        """The result of the only volume."""
        (one,) = self.json
        return one

    @property
    def code(self) -> str:
        """The code of the error of the only volume."""
        return str(self.result["error"]["code"])

    @property
    def words(self) -> str:
        """All that the error of the only volume says."""
        return json.dumps(self.result["error"])


class Program:
    """The program over one configuration."""

    def __init__(self, config: Path) -> None:
        self.config = config

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Starts a command; `wait` gives what came of it."""
        base = [sys.executable, "-m", "extendctl", "--config", str(self.config)]
        return subprocess.Popen(
            [*base, *words, "-o", "json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, status: int = 0) -> Ran:
        """Runs a command, which has to end with this exit status."""
        return wait(self.start(*words), status)

    def show(self, volume: str) -> Any:
        """What the program knows of a volume."""
        return self.run("volume", "show", volume).json

    def edit(self, old: str, new: str) -> "Program":
        """Changes the configuration, in which `old` has to be; the same state goes on."""
        text = self.config.read_text()
        assert old in text, f"{old!r} is not in {text}"
        self.config.write_text(text.replace(old, new))
        return self

    def policy(self, lines: str) -> "Program":
        """The same state under a configuration of its own that ends with a policy."""
        other = self.config.with_name(f"policy-{abs(hash(lines))}.yaml")
        other.write_text(f"{self.config.read_text()}policy:\n{lines}\n")
        return Program(other)


def wait(process: "subprocess.Popen[str]", status: int = 0) -> Ran:
    """Waits for a command that was started, which has to end with this exit status."""
    try:
        stdout, stderr = process.communicate(timeout=900)
    except BaseException:  # a test's own time limit, too: nothing is left running
        process.kill()
        process.communicate()
        raise
    shown = [str(word) for word in process.args[5:]] if isinstance(process.args, list) else []
    said = f"extendctl {' '.join(shown)}: exit {process.returncode}, not {status}"
    assert process.returncode == status, f"{said}\n{stdout}\n{stderr}"
    return Ran(process.returncode, stdout, stderr)


def bare(lab: Lab, directory: Path, user: str = "ops") -> Program:
    """The program with a configuration of the lab and nothing in its state."""
    return Program(lab.write_config(directory, user=user))


def known(lab: Lab, directory: Path, *names: str) -> Program:
    """The program with these volumes of a fresh lab imported and attached where they are used."""
    program = bare(lab, directory)
    (directory / "state.db").write_bytes(_state(lab, names))
    (directory / "state.db").chmod(0o600)
    return program


def side_by_side(work: Callable[[Volume], object], volumes: Sequence[Volume]) -> None:
    """Does the same for several volumes, two at a time, as there are few processors."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, volumes))


def take(program: Program, volume: Volume) -> None:
    """Imports a volume and attaches it wherever it is used."""
    backend = BACKENDS.get(volume.name, _ELSE)
    words = ("volume", "import", volume.name, "--backend", backend, "--source", volume.name)
    program.run(*words)
    for host in hosts_of(volume):
        program.run("volume", "attach", volume.name, host)


def hosts_of(volume: Volume) -> tuple[str, ...]:
    """The machines that use a volume: those it is exported to, or silo where it is mounted."""
    exported = tuple(host for host, _ in volume.exports)
    return exported or (("silo",) if volume.filesystem else ())


def named(*names: str) -> tuple[Volume, ...]:
    """Volumes of the lab by their names."""
    table = {volume.name: volume for volume in VOLUMES}
    return tuple(table[name] for name in names)


@cache
def _state(lab: Lab, names: tuple[str, ...]) -> bytes:
    """The state with these volumes in it; what identifies them outlives a reset."""
    with TemporaryDirectory() as place:
        program = bare(lab, Path(place))
        side_by_side(lambda volume: take(program, volume), named(*names))
        return (Path(place) / "state.db").read_bytes()


_MEASURE = r"""
set -u
fs() {  # type mountpoint
    case $1 in
    ext4) dumpe2fs -h "$(findmnt -no SOURCE "$2")" 2>/dev/null |
        awk -F: '/^Block count/ {n=$2} /^Block size/ {b=$2} END {printf "%.0f\n", n*b}';;
    xfs) xfs_info "$2" | awk -F'[= ,]+' '/^data/ {printf "%.0f\n", $3*$5}';;
    btrfs) btrfs filesystem show --raw "$2" | awk '/devid/ {print $4}';;
    esac
}
served() { sg_readcap --long --16 "$1" | sed -n 's/.*Device size: \([0-9]*\) bytes.*/\1/p'; }
"""


def measure(lab: Lab, *names: str) -> dict[str, Sizes]:
    """What the machines' own tools say of these volumes, layer by layer."""
    found: dict[str, Sizes] = {name: {} for name in names}
    asked: dict[str, list[str]] = {}
    for volume in named(*names):
        for machine, line in _questions(volume):
            asked.setdefault(machine, []).append(line)
    for machine, lines in asked.items():
        for answer in lab.run(machine, _MEASURE + "\n".join(lines)).stdout.splitlines():
            name, host, kind, size = answer.split()
            found[name][f"{host} {kind}"] = int(size)
    return found


def _questions(volume: Volume) -> list[tuple[str, str]]:
    """(machine, line of shell) for each layer; each prints `VOLUME HOST KIND BYTES`."""
    file = f"{VOLUME_DIRECTORY}/{volume.name}"
    lvs = "lvs --noheadings --units b --nosuffix -o lv_size"
    lines = [("silo", "lv", f"{lvs} {volume.group}/{volume.name}")]
    if volume.kind == "file":
        loop = f'blockdev --getsize64 "$(losetup -nO NAME -j {file})"'
        lines = [("silo", "file", f"stat -c %s {file}"), ("silo", "loop", loop)]
    for host, portals in volume.exports:
        device = f"/dev/disk/by-path/ip-{portals[0]}:3260-iscsi-{volume.iqn}-lun-0"
        lines.append((host, "path", f"blockdev --getsize64 {device}"))
        lines.append((host, "lun", f"served {device}"))
    kind = volume.filesystem
    if kind:
        lines.append((volume.user, kind, f"fs {kind} {volume.mountpoint}"))
    return [
        (machine, f"echo {volume.name} {'silo' if kind == 'lun' else machine} {kind} $({command})")
        for machine, kind, command in lines
    ]


def layers(result: Any, key: str = "after") -> Sizes:
    """What the program says of a volume, in the same form; what it leaves alone has no size."""
    lines = [one for one in result["layers"] if one["outcome"] != "skipped"]
    return {f"{one['host']} {one['kind']}": one[key] for one in lines}


def left(result: Any) -> list[str]:
    """What the program leaves as it is, in the form of `HOST KIND`."""
    lines = [one for one in result["layers"] if one["outcome"] == "skipped"]
    return [f"{one['host']} {one['kind']}" for one in lines]


_DEEDS = (
    "lvextend|lvcreate|/device/rescan|resize2fs|xfs_growfs|filesystem resize|set-capacity|"
    "truncate|targetcli"
)


def deeds(lab: Lab) -> dict[str, int]:
    """How many commands that change something sudo has written down on each machine."""
    journal = "journalctl -q -o cat _COMM=sudo | grep COMMAND= | grep -v COMMAND=list"
    count = f"{journal} | grep -cE '{_DEEDS}'"
    return {name: int(lab.run(name, count, check=False).stdout) for name in lab.names}


def disk(lab: Lab, machine: str, volume: Volume) -> str:
    """The `sdX` under which a machine sees a volume."""
    portal = dict(volume.exports)[machine][0]
    path = f"/dev/disk/by-path/ip-{portal}:3260-iscsi-{volume.iqn}-lun-0"
    return lab.run(machine, f"basename $(readlink -f {path})").stdout.strip()
