"""A program at work on simulated machines: real state on disk, real layers, sizes told by a world.

`begin(iscsi_ext4(), tmp_path)` gives a Stage on which a volume is taken in and attached as its
site says; every extension on it is compared with what the machines really became.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extendctl import app, inventory
from extendctl.config import BackendConfig, Config, Limits, PolicyConfig
from extendctl.errors import ExtendctlError
from extendctl.extension.check import check
from extendctl.extension.extend import extend, resume
from extendctl.extension.means import Means, silent
from extendctl.extension.plan import Wish
from extendctl.host import Host
from extendctl.journal import Listener
from extendctl.model import GrowOptions, LayerReport, Operation, Volume, VolumeReport
from extendctl.policy import Asker
from extendctl.size import Size, parse
from extendctl.store import Store, open_store
from extendctl.transport import Result, Transport
from tests.world import World, build, lio
from tests.world.machine import undress
from tests.world.site import ATTACHED, POINT, Site, shared
from tests.world.state import GIB, State
from tests.world.swap import PAGE

VOLUME = "vol1"
GOAL = 20 * GIB
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
"""Where hundreds of extensions in a row need not wait for a disk to sync."""
ALICE = Asker("alice", None, frozenset({"staff"}))
Sizes = dict[tuple[str, str], Size]
OPTIONS = ("no_filesystem", "grow_lv", "fill", "offline")
Wrap = Callable[[Transport, str], Transport]
Make = Callable[[Path | None], Site]


SITES: dict[str, Make] = dict(ATTACHED)
"""Sites that are extended, by name; policy lets the hosts of tgt wait."""


def sizes(state: State) -> Sizes:
    """Everything in a world that has a size and can grow, by machine and name."""
    found: Sizes = {}
    for name, machine in state.machines.items():
        for group, one in machine.groups.items():
            found |= {(name, f"{group}/{key}"): lv.size for key, lv in one.volumes.items()}
        found |= {(name, path): size for path, size in machine.files.items()}
        found |= {(name, key): device.size for key, device in machine.devices.items()}
        found |= {
            (name, mount.point): content.size
            for mount in machine.mounts
            if (content := state.content(name, mount.device)) is not None
        }
    return found


def grown(before: Sizes, after: Sizes) -> Counter[tuple[str, str]]:
    """How often each thing grew between two looks: once or not at all."""
    return Counter(key for key, size in after.items() if size > before.get(key, size))


@dataclass
class Tally:
    """Counts what deeds really make larger, in a file, which outlives a killed program."""

    path: Path

    def note(self, before: Sizes, after: Sizes) -> None:
        with self.path.open("a") as file:
            file.writelines(f"{host} {thing}\n" for host, thing in grown(before, after))

    @property
    def growths(self) -> Counter[str]:
        """How often each thing has grown by a deed of the program."""
        return Counter(self.path.read_text().splitlines() if self.path.exists() else ())


@dataclass
class CountedLine:
    """A line that tells the tally what each deed has really changed."""

    line: Transport
    world: World
    tally: Tally

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        if not undress(argv).deed:
            return self.line.run(argv, stdin, timeout)
        lost: ExtendctlError | None = None
        with self.world.change() as state:  # no other command comes between the two looks
            before = sizes(state)
            try:
                result = self.line.run(argv, stdin, timeout)
            except ExtendctlError as error:  # kept, because a block that raises changes nothing
                lost = error
            self.tally.note(before, sizes(state))
        if lost is not None:
            raise lost
        return result

    def close(self) -> None:
        self.line.close()


@dataclass
class Stage:
    """One program on one site, and the things to look at afterwards."""

    site: Site
    store: Store
    config: Config
    tally: Tally
    asker: Asker = ALICE
    wrap: Wrap = lambda line, _: line
    stop: threading.Event = field(default_factory=threading.Event)
    listener: Listener = silent
    listen: float = 0.0  # in place of a heartbeat's time

    @property
    def world(self) -> World:
        """The machines."""
        return self.site.world

    def means(self) -> Means:
        """What the composition root would put together, over simulated lines."""
        lines: dict[str, Transport] = {}

        def machine(name: str) -> Host:
            settings = self.config.hosts.get(name)
            if settings is None:
                return app.Lines(self.config).machine(name)  # which says what is wrong
            if name not in lines:
                line = CountedLine(self.world.line(settings), self.world, self.tally)
                lines[name] = self.wrap(line, name)
            return Host(settings, lines[name], is_root=settings.user == "root")

        backend = app.Lines(self.config).backend
        return Means(
            self.config, self.store, self.asker, machine, backend, self.stop, self.listener,
            self.listen,
        )  # fmt: skip

    def extend(self, size: str = "20G", name: str = VOLUME, **more: Any) -> VolumeReport:
        """`volume extend`, with the wish's fields and GrowOptions' by their names."""
        options = {key: more.pop(key) for key in OPTIONS if key in more}
        how = {key: more.pop(key) for key in ("dry_run", "wait") if key in more}
        wish = Wish(0, GrowOptions(**options), **more)
        return extend(self.means(), name, parse(size), wish, **how)

    def resume(self, name: str = VOLUME) -> VolumeReport:
        """`volume resume`."""
        return resume(self.means(), name)

    def check(self, name: str = VOLUME) -> VolumeReport:
        """`volume check`."""
        return check(self.means(), name)

    def volume(self, name: str = VOLUME) -> Volume:
        """What the state says."""
        return self.store.volume(name)

    @property
    def status(self) -> str:
        """The volume's status."""
        return str(self.volume().status)

    @property
    def unfinished(self) -> Operation | None:
        """The operation that waits for `resume`."""
        return self.store.unfinished(VOLUME)

    @property
    def growths(self) -> Counter[str]:
        """How often each thing has grown by a deed."""
        return self.tally.growths

    def configured(self, **more: Any) -> None:
        """Change the configuration: `hosts`, `backends`, `policy`."""
        self.config = replace(self.config, **more)

    def governed(self, limits: Limits | None = None, **more: Any) -> None:
        """Set the policy: limits, rules, projects."""
        self.configured(policy=PolicyConfig(limits=limits or Limits(), **more))

    def granted(self, *capabilities: Any) -> None:
        """Grant the backend these capabilities and no others."""
        backend = self.site.backend
        fresh: BackendConfig = replace(backend, capabilities=frozenset(capabilities))
        self.configured(backends={backend.name: fresh})

    def change(self) -> AbstractContextManager[State]:
        """Change the world."""
        return self.world.change()


def begin(
    site: Site,
    directory: Path,
    *,
    attached: bool = True,
    project: str | None = None,
    url: str = "",
    **more: Any,
) -> Stage:
    """Take the site's volume in, and attach it where the site has it attached.

    The state is a SQLite file in the directory, or the database at `url`.
    """
    url = url or f"sqlite:///{directory / 'state.db'}"
    store = open_store(url, create=True)
    stage = Stage(site, store, site.config(url), Tally(directory / "growths"), **more)
    means = stage.means()
    inventory.take(means, VOLUME, site.backend.name, site.source, project)
    for host in site.users if attached else ():
        inventory.attach(means, VOLUME, inventory.Place(host))
    site.world.forget()
    return stage


class Rehearsal:
    """A stage that can be set up again and again as it was; with `shared`, its world is a file."""

    def __init__(self, make: Make, directory: Path, *, shared: bool = False) -> None:
        self.world = directory / "world.json" if shared else None
        self.database = directory / "state.db"
        self.stage = begin(make(self.world), directory)
        self.state = self.stage.world.state
        self.stage.store.close()
        self.first = self.database.read_bytes()

    def again(self) -> Stage:
        """The stage as it was in the beginning."""
        self.stage.store.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.database}{suffix}").unlink(missing_ok=True)
        self.database.write_bytes(self.first)
        self.stage.tally.path.unlink(missing_ok=True)
        world = World(self.world, self.state.model_copy(deep=True))
        self.stage.site = replace(self.stage.site, world=world)
        self.stage.store = open_store(f"sqlite:///{self.database}")
        return self.stage


def measured(state: State, line: LayerReport) -> Size | None:
    """What a line of a report should say: the size in the world; None where that is not told."""
    machine = state.machines[line.host]
    if line.kind == "lun":
        return served(state, line)
    known = sizes(state)
    if line.kind == "path":
        return min(known[line.host, name] for name in line.name.split(","))
    bare = line.name.removeprefix("/dev/")
    device = machine.device_at(f"/dev/{bare}") or machine.device_at(f"/dev/mapper/{bare}")
    if line.kind == "swap":
        used = machine.swapped.get(device or "")
        return None if used is None else used[0] + PAGE
    if line.kind == "pv":
        return next((one.size for one in machine.groups.values() if one.device == device), None)
    return known.get((line.host, line.name if device is None else device))


def served(state: State, line: LayerReport) -> Size | None:
    """What a target of whatever kind answers for a line of a LUN or namespace."""
    name, _, number = line.name.split(", ", maxsplit=1)[0].rpartition(",")
    number = number.removeprefix("lun").removeprefix("ns")
    target = state.machines[line.host].targets.get(name)
    store = target.luns[int(number)] if target else None
    places = (store, f"tgt/{name},{number}", f"nvmet/{name},{number}")
    found = (lio.capacity(state, f"{line.host}/{one}") for one in places if one)
    return next((one for one in found if one is not None), None)


def untrue(stage: Stage, report: VolumeReport) -> list[str]:
    """Lines of a report that say of a layer what it is not, as things are now."""
    state = stage.world.state
    lies = []
    for line in report.layers:
        said = line.before if line.outcome == "planned" else line.after
        true = measured(state, line)
        if None not in {said, true} and said != true:
            lies.append(f"{line.kind} {line.name}: {said} and not {true}")
    return lies


def outgrow(stage: Stage, size: Size) -> None:
    """Somebody has extended the logical volume by hand."""
    with stage.change() as state:
        machine = state.machines["silo"]
        volume = machine.groups["vg0"].volumes["vol1"]
        volume.size = size
        machine.devices[volume.device or ""].size = size


def untouched(stage: Stage, size: Size = 10 * GIB) -> bool:
    """Nothing was done on any machine, and nothing is left behind in the state."""
    volume = stage.volume()
    facts = (volume.status, volume.size, volume.lagging, stage.store.operations())
    return stage.world.deeds() == [] and facts == ("in-use", size, (), [])


def mounted_once(path: Path | None = None) -> Site:
    """A LUN that two hosts see, with an ext4 that web2 has mounted."""
    site = shared(path)
    with site.world.change() as state:
        build.filesystem(state, "web2", "sdb", "ext4")
        build.mount(state, "web2", "sdb", POINT)
    return site


def code(report: VolumeReport) -> str | None:
    """What names the result, if it is an error."""
    return None if report.error is None else report.error.fault.code


def codes(report: VolumeReport) -> list[str]:
    """All reasons' codes."""
    return [] if report.error is None else [fault.code for fault in report.error.faults]
