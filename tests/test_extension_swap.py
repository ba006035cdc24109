"""Two volumes' devices change places at any moment: nothing is done to what is not the volume."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from extendctl.model import LayerOutcome, Outcome
from extendctl.transport import Result, Transport
from tests.extending import GOAL, MEMORY, Rehearsal, Stage, begin, sizes
from tests.world import build
from tests.world.machine import Undressed, undress
from tests.world.partition import GPT_END
from tests.world.site import ISCSI, POINT, Site
from tests.world.state import GIB, Content, Device, State
from tests.world.swap import PAGE
from tests.world.world import World

pytestmark = pytest.mark.long

OTHER = "/srv/other"


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a hundred extensions in a row do not wait for a disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as found:
        yield Path(found)


Put = Callable[[State, str, str], str]


def whole(state: State, device: str, point: str) -> str:
    """Nothing between the disk and what is on it."""
    return device


def partitioned(state: State, device: str, point: str) -> str:
    """One partition on it."""
    disk = state.machines["web1"].devices[device]
    assert disk.content is not None
    sectors = disk.size // 512 - 2048 - GPT_END
    state.contents[disk.content] = Content(type="gpt", table=[[1, 2048, sectors]])
    minor = int(disk.dev.partition(":")[2]) + 1
    state.machines["web1"].devices[f"{device}1"] = Device(
        dev=f"8:{minor}", size=sectors * 512, parent=device, partition=1, start=2048,
        content=f"{disk.content}1",
    )  # fmt: skip
    return f"{device}1"


def two_volumes(put: Put, kind: str, path: Path | None = None) -> Site:
    """Vol1 on `sdb` and another volume on `sdc`, both with the same things on them."""
    state = State()
    build.machine(state, "silo")
    build.machine(state, "web1")
    build.group(state, "silo")
    for name, disk, point in (("vol1", "sdb", POINT), ("other", "sdc", OTHER)):
        build.volume(state, "silo", f"vg0/{name}")
        build.disk(state, "web1", build.export(state, "silo", f"vg0/{name}"), disk)
        device = put(state, disk, point)
        if kind == "swap":
            content = state.machines["web1"].devices[device].content
            blocks = state.machines["web1"].devices[device].size // PAGE
            state.contents[content or ""] = Content(type="swap", blocks=blocks, label=name)
            state.machines["web1"].swapped[device] = [(blocks - 1) * PAGE, 0, 5]
        else:
            made = build.filesystem(state, "web1", device, kind)
            made.uuid = f"{made.uuid[:-4]}{disk:0>4}"
            build.mount(state, "web1", device, point)
    _room_to_spare(state)
    return Site(World(path, state), ISCSI, "vol1", ("web1",))


def _room_to_spare(state: State) -> None:
    """What is on the other disk could grow: whoever takes it for ours would make it grow."""
    silo, web1 = state.machines["silo"], state.machines["web1"]
    volume = silo.groups["vg0"].volumes["other"]
    volume.size = silo.devices[volume.device or ""].size = web1.devices["sdc"].size = GOAL


NAMES = {"sdb": "sdc", "sdc": "sdb", "sdb1": "sdc1", "sdc1": "sdb1"}


def swap(state: State) -> None:
    """As after a reboot: each disk has the other one's name and number, and all that is on it."""
    one = state.machines["web1"]
    before = dict(one.devices)
    for name, other in NAMES.items():
        if name in before:
            update = {"dev": before[other].dev, "parent": NAMES.get(before[name].parent or "")}
            one.devices[other] = before[name].model_copy(update=update)
    for mount in one.mounts:
        mount.device = NAMES[mount.device]
    one.swapped = {NAMES[name]: figures for name, figures in one.swapped.items()}


@dataclass
class Moment:
    """The place of a command on web1 before which the devices change places, from one on."""

    world: World
    place: int
    count: int = 0
    before: Undressed | None = None

    def wrap(self, line: Transport, host: str) -> Transport:
        return SwappedLine(line, self) if host == "web1" else line

    def pass_by(self, argv: Sequence[str]) -> None:
        """Called before each command."""
        self.count += 1
        if self.count == self.place:
            self.before = undress(argv)
            with self.world.change() as state:
                swap(state)


@dataclass
class SwappedLine:
    """A line to a machine whose devices change places at a moment."""

    line: Transport
    moment: Moment

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 60.0) -> Result:
        self.moment.pass_by(argv)
        return self.line.run(argv, stdin, timeout)

    def close(self) -> None:
        self.line.close()


def others(stage: Stage) -> dict[tuple[str, str], int]:
    """All sizes of the other volume, by what it is and not by what it is called."""
    state = stage.world.state
    lun = next(one for one in state.machines["silo"].stores if one.endswith("/other"))
    web1 = state.machines["web1"].devices
    disk = next(name for name, one in web1.items() if one.lun == f"silo/{lun}")
    known = {("web1", disk): "disk", ("web1", f"{disk}1"): "part", ("web1", OTHER): "content"}
    found = {(key[0], known[key]): size for key, size in sizes(state).items() if key in known}
    table = state.contents["silo/vg0/other"].table
    return found | {("web1", "table"): table[0][2] if table else 0}


STACKS: dict[str, tuple[Put, str]] = {
    "ext4": (whole, "ext4"),
    "xfs": (whole, "xfs"),
    "btrfs": (whole, "btrfs"),
    "swap": (whole, "swap"),
    "partition-ext4": (partitioned, "ext4"),
    "partition-xfs": (partitioned, "xfs"),
}


@pytest.mark.parametrize("name", STACKS)
def test_devices_that_were_swapped_before_are_found_by_what_they_are(
    name: str, tmp_path: Path
) -> None:
    """The volume is `sdc` now: it grows, the other one does not, and nothing is amiss."""
    stage = begin(two_volumes(*STACKS[name]), tmp_path)
    with stage.change() as state:
        swap(state)
    before = others(stage)
    assert stage.extend().outcome is Outcome.DONE
    assert others(stage) == before
    assert stage.world.state.machines["web1"].devices["sdc"].size == GOAL
    assert "sdb" not in " ".join(word for argv in stage.world.deeds("web1") for word in argv)


FEW = {"ext4", "partition-xfs"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.long) for name in STACKS]
)
def test_devices_that_are_swapped_meanwhile_are_not_confused(name: str, directory: Path) -> None:
    """Before each command in turn; where that is a deed, it was proved just before, and no sooner.

    Nothing of the other volume grows, and what was refused or left half way is finished later.
    """
    rehearsal = Rehearsal(lambda path: two_volumes(*STACKS[name], path), directory)
    moments, place = 0, 1
    while True:
        stage = rehearsal.again()
        moment = Moment(stage.world, place)
        before, stage.wrap = others(stage), moment.wrap
        report = stage.extend()
        if moment.before is None:
            break
        place += 1
        if moment.before.deed:
            continue
        moments += 1
        assert others(stage) == before, f"before {moment.before.argv}"
        assert report.exit_status in {0, 3, 5}
        healed = stage.extend()
        assert healed.outcome in {Outcome.DONE, Outcome.UNCHANGED}, moment.before.argv
        assert others(stage) == before
        lines = [line for line in healed.layers if line.outcome is not LayerOutcome.SKIPPED]
        assert all((line.after or 0) >= 19 * GIB for line in lines)
    assert moments > 5
