"""One contract for every kind of layer: what a walk relies on, held on simulated machines."""

import re
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from extendctl.host import Host
from extendctl.size import GIB, MIB, Size
from extendctl.stack import Layer, ToolFailed, forecast, grow, walk
from tests.world import changes
from tests.world.site import ATTACHED, Site

GOAL = 20 * GIB
SECRET = "/root/very-secret.key"


def secretive(site: Site) -> dict[str, Host]:
    """The site's hosts, with something in their configuration that must not be shown."""
    hosts = {}
    for name, host in site.hosts().items():
        config = replace(host.config, luks_keys={"crypt": SECRET})
        hosts[name] = Host(config, site.world.line(config), is_root=site.user == "root")
    return hosts


def all_layers() -> list[tuple[str, int, str]]:
    """(site, place in its layers, kind) of every layer of every site."""
    found = []
    for name, make in ATTACHED.items():
        site = make()
        kinds = [layer.kind for layer in site.layers(site.hosts())]
        found += [(name, place, kind) for place, kind in enumerate(kinds)]
    return found


EVERY = pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, place, _ in all_layers()],
    ids=[f"{name}-{place}-{kind}" for name, place, kind in all_layers()],
)


@dataclass
class Ready:
    """A layer with room above its size: all beneath it have grown."""

    site: Site
    place: int
    room: Size
    before: Size

    @property
    def layer(self) -> Layer:
        """The layer, found afresh by a program that remembers nothing."""
        return self.site.layers(self.site.hosts())[self.place]


def ready(name: str, place: int, goal: Size = GOAL) -> Ready:
    site = ATTACHED[name]()
    layers = site.layers(site.hosts())
    below = goal
    for event in walk(layers[:place], goal, grow):
        below = event.layer.measure()
    site.world.forget()
    layer = site.layers(site.hosts())[place]
    return Ready(site, place, layer.room(below), layer.measure())


def sizes(site: Site) -> dict[str, int]:
    """Every size in the world, by a name for it."""
    state = site.world.state
    found = {f"content {name}": one.size for name, one in state.contents.items()}
    for name, machine in state.machines.items():
        found |= {f"{name} {path}": size for path, size in machine.files.items()}
        found |= {f"{name} {key}": one.size for key, one in machine.devices.items()}
        for key, group in machine.groups.items():
            found |= {f"{name} {key}/{lv}": one.size for lv, one in group.volumes.items()}
    return found


@EVERY
def test_a_grown_layer_fills_its_room(name: str, place: int) -> None:
    one = ready(name, place)
    one.layer.grow(one.room)
    after = one.layer.measure()
    assert one.room - one.layer.slack <= after
    assert after > one.before or one.layer.kind == "lun"


@EVERY
@pytest.mark.parametrize(
    "goal", [GOAL, GOAL + 1, 10 * GIB + 1, 10372 * MIB, 20 * GIB + 12345, 90 * GIB]
)
def test_the_forecast_is_what_will_be(name: str, place: int, goal: Size) -> None:
    one = ready(name, place, goal)
    foretold = forecast(one.layer, one.room)
    real = grow(one.layer, one.room)
    assert real == foretold


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
    assert one.layer.measure() >= one.layer.room(one.room)


@EVERY
def test_growing_to_the_present_size_does_no_harm(name: str, place: int) -> None:
    site = ATTACHED[name]()
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


@EVERY
def test_looking_changes_nothing(name: str, place: int) -> None:
    site = ATTACHED[name]()
    layer = site.layers(site.hosts())[place]
    before = site.world.state.model_copy(update={"log": [], "calls": {}})
    layer.measure()
    layer.obstacles(GOAL)
    layer.room(GOAL)
    forecast(layer, GOAL)
    assert all((layer.key, layer.kind, layer.name, layer.host))
    assert site.world.deeds() == []
    assert site.world.state.model_copy(update={"log": [], "calls": {}}) == before


@EVERY
def test_where_all_is_well_nothing_stands_in_the_way(name: str, place: int) -> None:
    site = ATTACHED[name]()
    assert not list(site.layers(site.hosts())[place].obstacles(GOAL))


@EVERY
def test_layers_are_data(name: str, place: int) -> None:
    """Equal when they are the same thing, and not to be changed."""
    site = ATTACHED[name]()
    hosts = secretive(site)
    one, same = site.layers(hosts)[place], site.layers(hosts)[place]
    assert one == same
    assert hash(one) == hash(same)
    assert one.key != ""
    assert SECRET not in repr(one)
    assert "_memory" not in repr(one)
    with pytest.raises(AttributeError):
        one.machine = None  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ATTACHED)
def test_keys_are_different_from_each_other(name: str) -> None:
    site = ATTACHED[name]()
    keys = [layer.key for layer in site.layers(site.hosts())]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", ATTACHED)
def test_keys_stay_when_devices_get_other_names(name: str) -> None:
    site = ATTACHED[name]()
    before = [layer.key for layer in site.layers(site.hosts())]
    with site.world.change() as state:
        for machine in site.users:
            for device in list(state.machines[machine].devices):
                if device in {"sdb", "sdc", "loop0"}:
                    changes.rename(state, machine, device, device[:-1] + "9x"[device[0] == "s"])
    layers = site.layers(site.hosts())
    assert [layer.key for layer in layers] == before
    assert all(layer.measure() for layer in layers)


@pytest.mark.parametrize("name", ATTACHED)
def test_deeds_are_absolute_and_never_shell_grammar(name: str) -> None:
    site = ATTACHED[name]()
    before = sizes(site)
    layers = site.layers(site.hosts())
    list(walk(layers, GOAL, grow))
    for argv in site.world.deeds():
        for word in argv[1:]:
            plain = word.removeprefix("--size=>").removeprefix("online=0,path=")
            assert re.fullmatch(r"[A-Za-z0-9_./:-]+", plain), argv
            number = re.fullmatch(r"(\d{6,})b?", plain)
            assert number is None or int(number[1]) >= min(before.values()), argv
    assert all(size >= before[key] for key, size in sizes(site).items())


@pytest.mark.parametrize("name", ATTACHED)
def test_a_second_walk_sends_no_deed(name: str) -> None:
    site = ATTACHED[name]()
    list(walk(site.layers(site.hosts()), GOAL, grow))
    site.world.forget()
    list(walk(site.layers(site.hosts()), GOAL, grow))
    assert site.world.deeds() == []
