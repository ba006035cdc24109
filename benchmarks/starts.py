"""What it costs to start: time, modules, memory, and where the time of the imports goes."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.clock import MIB, Failed, Series, in_turns, timed
from extendctl.app import read_config, state

VOLUMES = 1000
NOTHING = "python that does nothing"
PACKAGES = ("sqlalchemy", "paramiko", "cryptography", "pydantic", "yaml", "rich", "click")

# Runs the program as `python -m extendctl` would, then tells what is loaded and how much memory
# it took at the most. getrusage(2) would tell the memory of whoever started it, if that is more.
_PROBE = """
import json, runpy, sys
sys.argv = ["extendctl", *sys.argv[1:]]
try:
    runpy.run_module("extendctl", run_name="__main__", alter_sys=True)
except SystemExit as end:
    status = end.code or 0
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
modules = [name for name, module in sys.modules.items() if module is not None]
print()
print(json.dumps({"status": status, "modules": modules, "kib": peak}))
"""


@dataclass(frozen=True)
class Start:
    """What one command loads, and how long it took."""

    title: str
    modules: int
    packages: tuple[str, ...]
    memory: float  # MiB
    series: Series


def starts(runs: int, volumes: int = VOLUMES) -> list[Start]:
    """Commands that talk to no machine, beside a Python that does nothing."""
    with tempfile.TemporaryDirectory(prefix="extendctl-bench-") as top:
        commands = _commands(Path(top), volumes)
        runners = {
            title: partial(timed, [sys.executable, "-m", "extendctl", *words])
            for title, words in commands.items()
        }
        series = in_turns(
            {NOTHING: partial(timed, [sys.executable, "-c", "pass"]), **runners}, runs
        )
        found = [Start(NOTHING, 0, (), 0.0, series[NOTHING])]
        return [*found, *(_start(title, words, series) for title, words in commands.items())]


def _commands(top: Path, volumes: int) -> dict[str, tuple[str, ...]]:
    empty, full = top / "empty.yaml", top / "full.yaml"
    empty.write_text(f"state: sqlite:///{top}/empty.db\n")
    full.write_text(f"state: sqlite:///{top}/full.db\n")
    fill(full, volumes)
    listing = ("volume", "list")
    return {
        "--help": ("--help",),
        "volume extend --help": ("volume", "extend", "--help"),
        "volume list, none there": ("--config", str(empty), *listing),
        f"volume list, {volumes} there": ("--config", str(full), *listing),
        f"volume list, {volumes} there, JSON": ("--config", str(full), *listing, "-o", "json"),
    }


def _start(title: str, words: Sequence[str], series: dict[str, Series]) -> Start:
    modules, memory = loaded(words)
    packages = tuple(name for name in PACKAGES if name in modules)
    return Start(title, len(modules), packages, memory, series[title])


def fill(config: Path, count: int) -> None:
    """A state with volumes, each attached to a host; as files in one directory."""
    with state(read_config(str(config))) as store:
        for number in range(count):
            name = f"volume-{number:04}"
            store.add_volume(
                name, backend="far", source=name, identity=f"file:none:/{name}", size=10 << 30
            )
            store.attach(name, f"host{number % 20}", device="/dev/sda")


def loaded(words: Sequence[str], status: int = 0) -> tuple[set[str], float]:
    """The modules that a command has imported at its end, and its peak of memory in MiB."""
    said = json.loads(_run(["-c", _PROBE, *words]).stdout.splitlines()[-1])
    if said["status"] != status:
        raise Failed(f"extendctl {' '.join(words)}: exit {said['status']}")
    return set(said["modules"]), said["kib"] * 1024 / MIB


def imports(words: Sequence[str], runs: int) -> dict[str, float]:
    """Seconds that a command spends in importing, by package; the least of several runs each.

    What a package takes along from the standard library counts as `stdlib`.
    """
    least: dict[str, int] = {}
    for _ in range(runs):
        said = _run(["-X", "importtime", "-m", "extendctl", *words]).stderr
        for match in re.finditer(r"^import time: +(\d+) \| +\d+ \| *(\S+)$", said, re.MULTILINE):
            own, module = int(match[1]), match[2]
            least[module] = min(own, least.get(module, own))
    found: dict[str, float] = {}
    for module, micros in least.items():
        top = module.split(".")[0]
        name = "stdlib" if top in sys.stdlib_module_names else top
        found[name] = found.get(name, 0.0) + micros / 1e6
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
