"""One contract for every kind of layer: what a walk relies on, held on simulated machines."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby

import pytest

from extendctl import backends, compute
from extendctl.compute.stuck import StuckLayer
from extendctl.errors import Refused
from extendctl.host import Host
from extendctl.size import GIB, MIB, Size
from extendctl.stack import Event, Hand, Layer, Settled, ToolFailed, forecast, grow, walk
from tests.world import changes
from tests.world.every import SITES, stuck
from tests.world.site import ATTACHED, Site
from tests.world.state import State

GOAL = 20 * GIB
SECRET = "/root/very-secret.key"


def secretive(site: Site) -> dict[str, Host]:
    """The site's hosts, with something in their configuration that must not be shown."""
    hosts = {}
    for name, host in site.hosts().items():
        config = replace(host.config, luks_keys={**host.config.luks_keys, "crypt": SECRET})
        hosts[name] = Host(config, site.world.line(config), is_root=site.user == "root")
    return hosts


def all_layers() -> list[tuple[str, int, str]]:
    """(site, place in its layers, kind) of every layer; what all towers stand on but once."""
    found = []
    for name, make in SITES.items():
        site = make()
        for place, layer in enumerate(site.layers(site.hosts())):
            if name in ATTACHED or layer.host != site.silo:
                found.append((name, place, layer.kind))
    return found


ALL = all_layers()
EVERY = pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, place, _ in ALL],
    ids=[f"{name}-{place}-{kind}" for name, place, kind in ALL],
)


@dataclass
class Ready:
    """A layer with room above its size: all beneath it have grown, to `below` bytes."""

    site: Site
    place: int
    below: Size
    room: Size
    before: Size

    @property
    def layer(self) -> Layer:
        """The layer, found afresh by a program that remembers nothing."""
        return self.site.layers(self.site.hosts())[self.place]


def rise(site: Site, goal: Size, hand: Hand, targets: dict[str, Size]) -> Iterator[Event]:
    """Walk over all layers of a site: each host's stand on the backend's."""
    runs = groupby(site.layers(site.hosts()), lambda layer: layer.host)
    lowest, *others = [list(layers) for _, layers in runs]
    top = goal
    for event in walk(lowest, goal, hand, targets):
        yield event
        top = event.after if isinstance(event, Settled) else top
    for layers in others:
        yield from walk(layers, top, hand, targets)


def promised(site: Site, goal: Size) -> dict[str, Size]:
    """What a dry run foretells, by key, lowest first: an operation's targets."""
    events = rise(site, goal, forecast, {})
    return {one.layer.key: one.after for one in events if isinstance(one, Settled)}


def ready(name: str, place: int, goal: Size = GOAL) -> Ready:
    site = SITES[name]()
    targets = promised(site, goal)
    key = list(targets)[place]
    below = goal
    for event in rise(site, goal, grow, targets):
        if event.layer.key == key:
            break
        below = event.layer.measure()
    site.world.forget()
    layer = site.layers(site.hosts())[place]
    room = max(layer.room(below), targets[key])
    return Ready(site, place, below, room, layer.measure())


def sizes(site: Site) -> dict[str, int]:
    """Every size in the world, by a name for it."""
    state = site.world.state
    found = {f"content {name}": one.size for name, one in state.contents.items()}
    found |= {f"table {name}": row[2] for name, one in state.contents.items() for row in one.table}
    for name, machine in state.machines.items():
        found |= {f"{name} {path}": size for path, size in machine.files.items()}
        found |= {f"{name} {key}": one.size for key, one in machine.devices.items()}
        found |= {f"{name} swap {key}": used[0] for key, used in machine.swapped.items()}
        for key, group in machine.groups.items():
            found[f"{name} {key}"] = group.size
            found |= {f"{name} {key}/{lv}": one.size for lv, one in group.volumes.items()}
    return found


@EVERY
def test_a_grown_layer_fills_its_room(name: str, place: int) -> None:
    one = ready(name, place)
    one.layer.grow(one.room)
    after = one.layer.measure()
    assert one.room - one.layer.slack <= after
    assert after > one.before or one.layer.kind == "lun"


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize(
    "goal", [GOAL, GOAL + 1, 10 * GIB + 1, 10372 * MIB, 20 * GIB + 12345, 90 * GIB]
)
def test_the_forecast_is_what_will_be(name: str, goal: Size) -> None:
    """Of every layer, in one go; each is measured again when all have grown."""
    site = SITES[name]()
    foretold = promised(site, goal)
    events = [one for one in rise(site, goal, grow, foretold) if isinstance(one, Settled)]
    assert {one.layer.key: one.room for one in events} == foretold
    assert {one.layer.key: one.after for one in events} == foretold
    layers = site.layers(site.hosts())
    assert {one.key: one.measure() for one in layers} == foretold


@EVERY
def test_growing_twice_is_growing_once(name: str, place: int) -> None:
    one = ready(name, place)
    grow(one.layer, one.room)
    once = sizes(one.site)
    assert grow(one.layer, one.room) == one.layer.measure()
    assert sizes(one.site) == once


@EVERY
def test_a_full_layer_is_full_for_the_next_run(name: str, place: int) -> None:
    """A room that is never reached would lag for ever."""
    one = ready(name, place)
    grow(one.layer, one.room)
    assert one.layer.measure() >= one.layer.room(one.below)


@EVERY
def test_growing_to_the_present_size_does_no_harm(name: str, place: int) -> None:
    site = SITES[name]()
    layer = site.layers(site.hosts())[place]
    before = sizes(site)
    with suppress(ToolFailed):
        layer.grow(layer.measure())
    assert sizes(site) == before


@EVERY
def test_nothing_is_ever_made_smaller(name: str, place: int) -> None:
    one = ready(name, place)
    grow(one.layer, one.room)
    before = sizes(one.site)
    with suppress(ToolFailed):
        one.layer.grow(one.before)
    assert all(size >= before[key] for key, size in sizes(one.site).items())


def lasting(site: Site) -> State:
    """The world, without what every question leaves: lines in the log, and in the page cache."""
    state = site.world.state.model_copy(deep=True, update={"log": [], "calls": {}})
    for machine in state.machines.values():
        for device in machine.devices.values():
            device.cached = None
    return state


@EVERY
def test_looking_changes_nothing(name: str, place: int) -> None:
    site = SITES[name]()
    layer = site.layers(site.hosts())[place]
    before = lasting(site)
    layer.measure()
    layer.obstacles(GOAL)
    layer.room(GOAL)
    forecast(layer, GOAL)
    assert all((layer.key, layer.kind, layer.name, layer.host))
    assert site.world.deeds() == []
    assert lasting(site) == before


@EVERY
def test_where_all_is_well_nothing_stands_in_the_way(name: str, place: int) -> None:
    site = SITES[name]()
    assert not list(site.layers(site.hosts())[place].obstacles(GOAL))


@EVERY
def test_layers_are_data(name: str, place: int) -> None:
    """Equal when they are the same thing, and not to be changed."""
    site = SITES[name]()
    hosts = secretive(site)
    one, same = site.layers(hosts)[place], site.layers(hosts)[place]
    assert one == same
    assert hash(one) == hash(same)
    assert one.key != ""
    assert SECRET not in repr(one)
    assert "_memory" not in repr(one)
    with pytest.raises(AttributeError):
        one.machine = None  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SITES)
def test_keys_are_different_from_each_other(name: str) -> None:
    site = SITES[name]()
    keys = [layer.key for layer in site.layers(site.hosts())]
    assert len(set(keys)) == len(keys)


OTHERWISE = {"sdb": "sdx", "sdb1": "sdx1", "sdc": "sdy", "loop0": "loop9"}
OTHERWISE |= {f"dm-{number}": f"dm-{number + 70}" for number in range(20, 25)}


@pytest.mark.parametrize("name", SITES)
def test_keys_stay_when_devices_get_other_names(name: str) -> None:
    site = SITES[name]()
    before = [layer.key for layer in site.layers(site.hosts())]
    with site.world.change() as state:
        for machine in site.users:
            for device in list(state.machines[machine].devices):
                if device in OTHERWISE:
                    changes.rename(state, machine, device, OTHERWISE[device])
    layers = site.layers(site.hosts())
    assert [layer.key for layer in layers] == before
    assert all(layer.measure() for layer in layers)


@pytest.mark.parametrize("name", SITES)
def test_deeds_are_absolute_and_never_shell_grammar(name: str) -> None:
    site = SITES[name]()
    before = sizes(site)
    list(rise(site, GOAL, grow, promised(site, GOAL)))
    least = min(size for size in before.values() if size)
    for argv in site.world.deeds():
        for word in _ours(argv):
            plain = re.sub("^(--size=>|--timeout=|online=0,path=)", "", word)
            assert re.fullmatch(r"[A-Za-z0-9_./:-]+", plain), argv
            number = re.fullmatch(r"(\d{6,})b?", plain)
            assert number is None or int(number[1]) >= least, argv
    assert all(size >= before[key] for key, size in sizes(site).items())


@pytest.mark.parametrize("name", SITES)
def test_a_second_walk_sends_no_deed(name: str) -> None:
    site = SITES[name]()
    targets = promised(site, GOAL)
    list(rise(site, GOAL, grow, targets))
    site.world.forget()
    list(rise(site, GOAL, grow, targets))
    assert site.world.deeds() == []


def _ours(argv: tuple[str, ...]) -> list[str]:
    """The words after the tool, but for a label, which is what somebody has called it."""
    return [word for word in argv[1:] if not word.startswith("--label=")]


def test_what_cannot_grow_says_so_and_touches_nothing() -> None:
    """The one kind that growth is no matter of; it is full as long as nothing beneath it grows."""
    site = stuck()
    hosts = site.hosts()
    layer, same = (
        next(one for one in site.layers(hosts) if isinstance(one, StuckLayer)) for _ in range(2)
    )
    assert layer == same
    assert layer.room(layer.beneath.size) == layer.measure() < layer.room(GOAL)
    assert layer.obstacles(GOAL)
    with pytest.raises(Refused):
        layer.grow(GOAL)
    assert site.world.deeds() == []


def kinds_of_layers() -> set[type]:
    """Every class of the backends and of compute that does what stack.Layer asks for."""
    asked = {name for name, what in vars(Layer).items() if inspect.isfunction(what)}
    asked = {name for name in asked if not name.startswith("_")}
    assert asked == {"measure", "room", "grow", "obstacles"}
    found: set[type] = set()
    for package in (backends, compute):
        for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            classes = inspect.getmembers(importlib.import_module(one.name), inspect.isclass)
            found |= {what for _, what in classes if what.__module__ == one.name
                      and all(callable(getattr(what, name, None)) for name in asked)}  # fmt: skip
    return found


def test_every_kind_of_layer_is_held_to_the_contract() -> None:
    """Who adds one adds a site that carries it, to SITES in tests/world/every.py."""
    sites = [make() for make in SITES.values()]
    held = {type(layer) for site in sites for layer in site.layers(site.hosts())}
    assert kinds_of_layers() - held == {StuckLayer}
