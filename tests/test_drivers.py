"""What every backend driver can be asked, on simulated machines: sources, space, a new volume."""

import pytest

from extendctl.errors import ExtendctlError, Refused, Unreachable, Usage
from extendctl.model import Capability
from extendctl.size import GIB, MIB
from extendctl.stack import grow, walk
from tests.world import changes
from tests.world.site import ATTACHED, FILES, Site, unexported

INITIATOR = "iqn.2026-11.com.example:web1"
SITES = pytest.mark.parametrize("name", ATTACHED)
ONE_EACH = pytest.mark.parametrize(
    "name", ["iscsi-ext4", "iscsi-fileio", "local-lvm", "file-loop-xfs"]
)


def make(name: str) -> Site:
    return ATTACHED[name]()


@SITES
def test_its_volume_is_among_the_sources(name: str) -> None:
    site = make(name)
    driver = site.driver(site.hosts())
    trunk = driver.trunk("vol1")
    found = {one.name: one for one in driver.sources()}
    assert found["vol1"].identity == trunk.source_identity
    assert found["vol1"].size == trunk.layers[0].measure()
    assert trunk.source == "vol1"
    assert driver.trunk("vol1", trunk.source_identity) == trunk


def test_what_lvm_keeps_for_itself_is_no_source() -> None:
    site = make("iscsi-btrfs-thin")
    with site.world.change() as state:
        volumes = state.machines["silo"].groups["vg0"].volumes
        for name in ("tp0_tmeta", "lvol0_pmspare"):
            own = {
                "segtype": "linear",
                "device": None,
                "uuid": name,
                "hidden": "e",
                "size": 4 << 20,
            }
            volumes[name] = volumes["tp0"].model_copy(update=own)
    assert [one.name for one in site.driver(site.hosts()).sources()] == ["vol1"]


@SITES
def test_the_pool_has_a_size_and_what_is_free(name: str) -> None:
    site = make(name)
    usage = site.driver(site.hosts()).usage()
    assert 0 <= usage.free <= usage.size
    assert usage.unit % 4096 == 0
    assert usage.key


@SITES
def test_growing_takes_from_the_pool_what_was_foretold(name: str) -> None:
    site = make(name)
    driver = site.driver(site.hosts())
    before, trunk = driver.usage(), driver.trunk("vol1")
    size = trunk.layers[0].measure()
    list(walk(trunk.layers, 20 * GIB, grow))
    grown = trunk.layers[0].measure() - size
    after = site.driver(site.hosts()).usage()
    assert before.free - after.free == (0 if trunk.thin else grown * trunk.copies)
    assert after.key == before.key


@SITES
def test_it_is_granted_what_the_configuration_says(name: str) -> None:
    site = make(name)
    assert Capability.IN_USE_EXTEND in site.driver(site.hosts()).capabilities


@ONE_EACH
def test_a_new_volume_is_as_large_as_was_asked_and_can_be_grown(name: str) -> None:
    site = make(name)
    driver = site.driver(site.hosts())
    source = driver.create("vol2", GIB + 1, [INITIATOR])
    layers = site.driver(site.hosts()).trunk(source).layers
    assert GIB < layers[0].measure() <= GIB + 4 * MIB
    list(walk(layers, 2 * GIB, grow))
    assert {layer.measure() for layer in layers} == {2 * GIB}


def test_a_new_iscsi_volume_is_served_to_its_initiators_and_kept() -> None:
    site = make("iscsi-ext4")
    site.driver(site.hosts()).create("vol2", GIB, [INITIATOR])
    silo = site.world.machine("silo")
    target = silo.targets["iqn.2003-01.org.linux-iscsi.extendctl:vol2"]
    assert target.acls == [INITIATOR]
    assert target.portals == ["10.10.1.10:3260"]
    assert [silo.stores[id_].path for id_ in target.luns.values()] == ["/dev/vg0/vol2"]
    assert silo.saved == 1


def test_a_thin_volume_is_made_in_its_pool() -> None:
    site = make("iscsi-btrfs-thin")
    site.driver(site.hosts()).create("vol2", 500 * GIB, [])
    assert site.world.machine("silo").groups["vg0"].volumes["vol2"].pool == "tp0"


@ONE_EACH
def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(name: str) -> None:
    site = make(name)
    before = site.world.machine(site.silo)
    with pytest.raises(ExtendctlError):
        site.driver(site.hosts()).create("vol1", GIB, [])
    after = site.world.machine(site.silo)
    assert (after.groups, after.files) == (before.groups, before.files)


@ONE_EACH
@pytest.mark.parametrize("source", ["nope", "../vol1", "-vol1", "vol1;id", ""])
def test_a_source_that_is_not_there_is_refused(name: str, source: str) -> None:
    site = make(name)
    with pytest.raises((Refused, Usage)) as error:
        site.driver(site.hosts()).trunk(source)
    assert error.value.exit_status in {2, 3}
    assert site.world.deeds() == []


@ONE_EACH
def test_a_machine_that_is_down_is_unreachable(name: str) -> None:
    site = make(name)
    site.world.down(site.silo)
    driver = site.driver(site.hosts())
    for question in (driver.usage, driver.sources, lambda: driver.trunk("vol1")):
        with pytest.raises(Unreachable):
            question()


def test_a_volume_that_nobody_was_given_has_no_identity_on_hosts() -> None:
    site = unexported()
    trunk = site.trunk(site.hosts())
    assert trunk.identity is None
    assert [layer.kind for layer in trunk.layers] == ["lv"]


def test_a_missing_directory_is_refused_by_name() -> None:
    site = make("file-loop-xfs")
    with site.world.change() as state:
        state.machines["here"].directories = ["/"]
    with pytest.raises(Refused, match=FILES):
        site.driver(site.hosts()).sources()


def test_a_missing_tool_is_told_as_such() -> None:
    site = make("iscsi-ext4")
    with site.world.change() as state:
        changes.without(state, "silo", "lvs")
    with pytest.raises(Refused, match="lvs is missing on silo"):
        site.driver(site.hosts()).sources()
