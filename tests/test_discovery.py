"""What a backend has and the state has not is found, judged, and taken in with its attachments."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from extendctl import discovery, inventory, lookout
from extendctl.__main__ import run
from extendctl.cli.session import Session
from extendctl.discovery import Discovery, Found
from extendctl.errors import Refused, Unreachable
from extendctl.extension.means import Means
from extendctl.journal import Listener
from extendctl.model import Identity, Opening
from extendctl.owner import me
from extendctl.page import plain
from extendctl.store import open_store
from extendctl.views_discovery import finds, unattached
from extendctl.views_site import unwell
from tests.extending import Stage, Tally
from tests.test_extension_cost import ATTEMPTS, cost
from tests.world import build, tgt
from tests.world.site import (
    ATTACHED,
    FILES,
    ISCSI,
    LVM,
    POINT,
    Site,
    file_loop_xfs,
    iscsi_btrfs_thin,
    iscsi_ext4,
    iscsi_fileio,
    iscsi_tgt,
    local_lvm,
    nvmet,
    shared,
    two_paths,
    unexported,
)
from tests.world.state import GIB, State

pytestmark = pytest.mark.slow

ON_LVM = pytest.mark.parametrize("make", [iscsi_ext4, iscsi_tgt, nvmet, local_lvm])
SERVED = pytest.mark.parametrize("make", [iscsi_ext4, iscsi_tgt, nvmet, iscsi_fileio])


def bare(site: Site, directory: Path) -> Stage:
    """A program that knows the site's configuration and no volume."""
    directory.mkdir(exist_ok=True)
    store = open_store(f"sqlite:///{directory / 'state.db'}", create=True)
    config = site.config(directory / "state.db")
    return Stage(site, store, config, Tally(directory / "growths"))


def look(stage: Stage, backend: str = "") -> Discovery:
    return discovery.discover(stage.means(), backend or stage.site.backend.name)


def take(stage: Stage, backend: str = "") -> Discovery:
    return discovery.take_in(stage.means(), backend or stage.site.backend.name)


def outcomes(result: Discovery) -> dict[str, str]:
    return {one.name: str(one.outcome) for one in result.found}


def named(result: Discovery, name: str) -> Found:
    (found,) = [one for one in result.found if one.name == name]
    return found


def why(one: Found) -> str:
    assert one.error is not None, f"{one.name} is not refused"
    return " ".join(fault.message for fault in one.error.faults)


def hosts(stage: Stage, name: str = "vol1") -> list[str]:
    return [one.host for one in stage.volume(name).attachments]


def volume_of(state: State, name: str) -> Any:
    return state.machines["silo"].groups["vg0"].volumes[name]


# What is there -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTACHED)
def test_it_is_taken_in_as_by_hand_and_a_second_run_changes_nothing(
    name: str, tmp_path: Path
) -> None:
    """Same volume, same attachments as with `import` and `attach`; nothing is done on a machine."""
    site = ATTACHED[name]()
    before = site.world.state.machines
    hand = bare(site, tmp_path / "hand")
    inventory.take(hand.means(), "vol1", site.backend.name, site.source)
    for host in site.users:
        inventory.attach(hand.means(), "vol1", inventory.Place(host))
    stage = bare(site, tmp_path / "discovered")
    (found,) = look(stage).found
    assert (str(found.outcome), [one.host for one in found.sights]) == ("planned", [*site.users])
    assert stage.store.volumes() == []
    assert outcomes(take(stage)) == {"vol1": "done"}
    assert stage.store.volumes() == hand.store.volumes()
    again = take(stage)
    assert (again.found, again.attached, again.errors) == ((), (), [])
    assert stage.store.volumes() == hand.store.volumes()
    assert (site.world.deeds(), site.world.state.machines) == ([], before)


def test_what_was_taken_in_can_be_extended(tmp_path: Path) -> None:
    stage = bare(iscsi_ext4(), tmp_path)
    take(stage)
    assert stage.extend().outcome == "done"


def test_who_looks_is_told_name_size_identity_and_hosts(tmp_path: Path) -> None:
    stage = bare(iscsi_ext4(), tmp_path)
    result = look(stage)
    wwn = build.wwid(stage.world.state, "silo/iblock_0/vol1")
    assert [one.as_dict() for one in result.found] == [{
        "name": "vol1", "backend": "san", "source": "vol1", "size": 10 * GIB,
        "identity": f"wwn:{wwn}", "outcome": "planned", "unasked": [], "error": None,
        "attachments": [{
            "host": "web1", "compute": "linux", "device": "/dev/sdb", "mountpoint": POINT,
            "size": 10 * GIB,
        }],
    }]  # fmt: skip
    shown = plain(finds("san", result.found))
    assert all(word in shown for word in ("vol1", "10 GiB", wwn, f"web1 ({POINT})"))


def test_what_nobody_was_given_is_taken_in_without_attachments(tmp_path: Path) -> None:
    stage = bare(unexported(), tmp_path)
    (found,) = look(stage).found
    assert (found.source.known, found.sights, found.unasked) == (None, (), ())
    take(stage)
    assert stage.status == "available"


def test_a_logical_volume_that_nobody_has_open_is_available(tmp_path: Path) -> None:
    """It is active on its own machine, as all are there; a virtual machine would have it open."""
    stage = bare(local_lvm(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/idle", GIB, opened=False)
        build.volume(state, "silo", "vg0/guest", GIB)
    take(stage)
    found = {one.name: hosts(stage, one.name) for one in stage.store.volumes()}
    assert found == {"guest": ["silo"], "idle": [], "vol1": ["silo"]}
    assert take(stage).attached == ()


def test_one_path_of_several_is_the_device(tmp_path: Path) -> None:
    stage = bare(two_paths(), tmp_path)
    take(stage)
    assert hosts(stage) == ["web1"]


def test_a_volume_is_on_one_backend_of_two_over_one_group(tmp_path: Path) -> None:
    """What a target serves is not for the lvm backend, or no host would be told of its growth."""
    for number, make in enumerate((iscsi_ext4, iscsi_tgt, nvmet)):
        stage = bare(make(), tmp_path / str(number))
        stage.configured(backends={**stage.config.backends, "fast": LVM})
        with stage.change() as state:
            build.volume(state, "silo", "vg0/own")
        local = look(stage, "fast")
        assert outcomes(local) == {"own": "planned", "vol1": "refused"}
        assert "served by a target" in why(named(local, "vol1"))
        take(stage, "fast")
        take(stage)
        assert {one.name: one.backend for one in stage.store.volumes()} == {
            "own": "fast", "vol1": stage.site.backend.name,
        }  # fmt: skip
        assert hosts(stage) == ["web1"]
        assert take(stage, "fast").attached == ()


def test_a_served_file_is_not_for_the_file_backend(tmp_path: Path) -> None:
    stage = bare(iscsi_fileio(), tmp_path)
    files = replace(LVM, name="files", driver="file", volume_group=None, directory="/srv/lio")
    stage.configured(backends={**stage.config.backends, "files": files})
    assert "served by a target" in why(named(look(stage, "files"), "vol1"))


@pytest.mark.parametrize("make", [iscsi_ext4, iscsi_tgt, nvmet])
def test_what_the_storage_machine_uses_itself_is_not_for_a_target(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    """A storage server's own root is in its volume group, too."""
    stage = bare(make(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/root")
        build.filesystem(state, "silo", "dm-1", "ext4")
        build.mount(state, "silo", "dm-1", "/srv")
    assert "in use on silo itself" in why(named(look(stage), "root"))
    take(stage)
    assert [one.name for one in stage.store.volumes()] == ["vol1"]


# What is no volume -------------------------------------------------------------------------------


@ON_LVM
def test_what_lvm_keeps_for_itself_is_not_even_listed(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    stage = bare(make(), tmp_path)
    with stage.change() as state:
        own = {"tp0_tdata": "T", "tp0_tmeta": "e", "lvol0_pmspare": "e", "r_rimage_0": "i",
               "r_rmeta_0": "e", "m_mlog": "l", "c_corig": "o", "pvmove0": "p"}  # fmt: skip
        for name, letter in own.items():
            build.volume(state, "silo", f"vg0/{name}", GIB, hidden=letter)
        for kind, letter in (("thin-pool", "t"), ("vdo-pool", "d"), ("cache-pool", "C")):
            build.volume(state, "silo", f"vg0/{kind}", GIB, segtype=kind, letter=letter)
    assert outcomes(look(stage)) == {"vol1": "planned"}


@ON_LVM
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"letter": "s"}, "thick snapshot"),
        ({"segtype": "cache"}, "of the type cache"),
        ({"segtype": "raid5"}, "of the type raid5"),
        ({"segtype": "thin", "pool": "tp0", "resting": True}, "left out of activation"),
    ],
)
def test_what_could_not_be_grown_is_told_and_left(
    make: Callable[[], Site], what: dict[str, Any], said: str, tmp_path: Path
) -> None:
    stage = bare(make(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/snap", GIB, **what)
    result = take(stage)
    assert outcomes(result) == {"snap": "refused", "vol1": "done"}
    assert said in why(named(result, "snap"))
    assert outcomes(take(stage)) == {"snap": "refused"}


def test_a_thin_pools_backend_has_what_is_in_its_pool(tmp_path: Path) -> None:
    stage = bare(iscsi_btrfs_thin(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/thick", GIB)
    assert outcomes(look(stage)) == {"vol1": "planned"}


def test_an_empty_file_is_no_volume(tmp_path: Path) -> None:
    stage = bare(file_loop_xfs(), tmp_path)
    with stage.change() as state:
        state.machines["here"].files[f"{FILES}/lock"] = 0
    assert "is empty" in why(named(take(stage), "lock"))
    assert [one.name for one in stage.store.volumes()] == ["vol1"]


def test_what_is_served_twice_is_told(tmp_path: Path) -> None:
    stage = bare(iscsi_tgt(), tmp_path)
    with stage.change() as state:
        tgt.export(state, "silo", f"{build.IQN}:again", "/dev/mapper/vg0-vol1")
    assert "served several times" in why(named(take(stage), "vol1"))
    assert stage.store.volumes() == []


def test_two_that_hosts_would_take_for_one_are_both_refused(tmp_path: Path) -> None:
    """A copied configuration of the target brings the unit serial along."""
    stage = bare(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/vol2")
        build.export(state, "silo", "vg0/vol2")
        stores = state.machines["silo"].stores
        stores["iblock_1/vol2"].serial = stores["iblock_0/vol1"].serial
    result = take(stage)
    assert outcomes(result) == {"vol1": "refused", "vol2": "refused"}
    assert "not the only one" in why(result.found[0])


def test_a_disk_in_use_by_two_names_is_refused_with_its_volume(tmp_path: Path) -> None:
    stage = bare(two_paths(), tmp_path)
    with stage.change() as state:
        build.filesystem(state, "web1", "sdb", "ext4")
        build.mount(state, "web1", "sdb", "/a")
        build.mount(state, "web1", "sdc", "/b")
    assert "several names at once" in why(named(take(stage), "vol1"))
    assert stage.store.volumes() == []


# Names -------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    stage = bare(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/vol2")
    stage.store.add_volume("vol1", backend="other", source="x", identity="lv:x", size=GIB)
    result = take(stage)
    assert outcomes(result) == {"vol1": "refused", "vol2": "done"}
    assert "already, on the backend other" in why(result.found[0])
    assert stage.volume().identity == "lv:x"
    assert outcomes(take(stage)) == {"vol1": "refused"}


def test_one_that_was_made_anew_under_a_known_name_is_told_as_such(tmp_path: Path) -> None:
    stage = bare(iscsi_ext4(), tmp_path)
    take(stage)
    with stage.change() as state:
        volume_of(state, "vol1").uuid = "another"
    assert "not what was taken in as the volume vol1" in why(named(take(stage), "vol1"))


HOSTILE = [
    "two words", " vol1", "vol1 ", "-rf", ".hidden", "a\nb", "b\n12345 vol9", "\x1b[31mred\x1b[0m",
    "[bold]x", "a\tb", "\u202egnp.exe", "x;id", "$(id)", "\ufffd", "vol+1", "é",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_told_in_letters_that_do_no_harm(name: str, tmp_path: Path) -> None:
    """It is neither imported nor taken for another, and what is shown stays one line."""
    stage = bare(file_loop_xfs(), tmp_path)
    with stage.change() as state:
        state.machines["here"].files[f"{FILES}/{name}"] = 12345
    result = take(stage)
    assert outcomes(result) == {name: "refused", "vol1": "done"}
    assert [one.name for one in stage.store.volumes()] == ["vol1"]
    shown = plain(finds("files", result.found))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 6  # columns, two finds, and the reason with its hint


@ON_LVM
def test_a_logical_volume_with_a_name_that_volumes_cannot_have_is_told(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    stage = bare(make(), tmp_path)
    with stage.change() as state:
        build.volume(state, "silo", "vg0/vol+1", GIB)
        build.volume(state, "silo", "vg0/\x1b[31mred", GIB)
    result = take(stage)
    assert outcomes(result) == {"\x1b[31mred": "refused", "vol+1": "refused", "vol1": "done"}
    assert "\x1b" not in plain(finds("x", result.found))


# Hosts -------------------------------------------------------------------------------------------


@SERVED
def test_a_host_that_cannot_be_asked_is_told_and_not_taken_for_a_no(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    """The volume is taken in; what the host has is found by the same command when it is back."""
    stage = bare(make(), tmp_path)
    stage.world.down("web1")
    (found,) = look(stage).found
    assert (found.sights, found.unasked) == ((), ("web1",))
    result = take(stage)
    assert outcomes(result) == {"vol1": "done"}
    assert [type(error) for error in result.errors] == [Unreachable]
    assert "web1" in plain(unwell(result.lost))
    assert hosts(stage) == []
    stage.world.up("web1")
    seen = look(stage)
    assert seen.found == ()
    assert "vol1 is not attached to hosts that have it: web1" in plain(unattached(seen.attached))
    assert [one.outcome for one in take(stage).attached] == ["done"]
    assert hosts(stage) == ["web1"]
    again = take(stage)
    assert (again.found, again.attached, again.errors) == ((), (), [])


@pytest.mark.parametrize("make", [local_lvm, file_loop_xfs])
def test_other_hosts_are_not_asked_for_what_is_on_one_machine(
    make: Callable[[], Site], tmp_path: Path
) -> None:
    stage = bare(make(), tmp_path)
    with stage.change() as state:
        build.machine(state, "web7")
        state.down["web7"] = "connection timed out"
    stage.configured(hosts=stage.site.configs())
    result = take(stage)
    assert (outcomes(result), result.errors) == ({"vol1": "done"}, [])
    assert hosts(stage) == [stage.site.silo]


def test_a_clone_that_was_asked_for_another_volume_has_not_this_one(tmp_path: Path) -> None:
    """It answered, and shows a logical volume of the same UUID; that is its own."""
    stage = bare(local_lvm(), tmp_path)
    with stage.change() as state:
        state.machines["clone"] = state.machines["silo"].model_copy(deep=True)
        state.machines["clone"].boot_id = "another boot"
    stage.configured(hosts=stage.site.configs())
    here = stage.site.trunk(stage.site.hosts()).identity
    assert here is not None
    view = lookout.look(stage.means().desk("vol1"), "silo", [here, Identity("wwn", "naa.1")])
    assert set(view.answers) == {"silo", "clone"}
    assert [one.host for one in view.sights(here)] == ["silo"]


@pytest.mark.parametrize("name", ATTACHED)
def test_a_backend_that_cannot_be_asked_ends_it(name: str, tmp_path: Path) -> None:
    stage = bare(ATTACHED[name](), tmp_path)
    stage.world.down(stage.site.silo)
    with pytest.raises(Unreachable):
        take(stage)
    assert stage.store.volumes() == []


def test_several_hosts_that_have_it_are_all_attached(tmp_path: Path) -> None:
    stage = bare(shared(), tmp_path)
    take(stage)
    assert hosts(stage) == ["web1", "web2"]


def test_a_volume_at_work_is_told_as_busy_and_taken_up_later(tmp_path: Path) -> None:
    """An extension has planned for the hosts that it knows."""
    stage = bare(shared(), tmp_path)
    inventory.take(stage.means(), "vol1", "san", "vol1")
    opening = Opening(10 * GIB, 20 * GIB, me(), 10 * GIB)
    stage.store.open_operation("vol1", opening)
    result = take(stage)
    assert [(one.name, str(one.outcome)) for one in result.attached] == [("vol1", "not-now")]
    assert [error.exit_status for error in result.errors] == [4]
    assert hosts(stage) == []


@pytest.mark.parametrize("moment", ["volume", "attachment"])
def test_two_at_once_take_in_one_volume(moment: str, tmp_path: Path) -> None:
    """Somebody is faster between the look and the writing: the state has it once, as it should."""
    stage = bare(iscsi_ext4(), tmp_path)
    means = stage.means()
    add, attach = stage.store.add_volume, stage.store.attach

    class Slow:
        """The store, in which another program has just written the same."""

        def __getattr__(self, name: str) -> Any:
            return getattr(stage.store, name)

        def add_volume(self, *words: Any, **more: Any) -> Any:
            if moment == "volume":
                add(*words, **more)
            return add(*words, **more)

        def attach(self, *words: Any, **more: Any) -> Any:
            attach(*words, **more)
            return attach(*words, **more)

    store: Any = Slow()
    result = discovery.take_in(replace(means, store=store), "san")
    assert outcomes(result) == {"vol1": "done"}
    assert hosts(stage) == ["web1"]


# The commands ------------------------------------------------------------------------------------


@dataclass
class Staged(Session):
    """A run of the program on a stage in place of a configuration file."""

    stage: Stage | None = None

    @contextmanager
    def means(self, listener: Listener | None = None) -> Iterator[Means]:
        assert self.stage is not None
        yield self.stage.means()


Call = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """A command on a stage: its exit status, its document, and what it said beside that."""

    def made(stage: Stage, *words: str) -> tuple[int, Any, str]:
        status = run([*words, "-o", "json"], Staged(stage=stage))
        said = capsys.readouterr()
        return status, json.loads(said.out), said.err

    return made


@pytest.mark.parametrize("option", [(), ("--import",)])
def test_discover_exits_with_4_where_a_host_did_not_answer_and_lists_all_the_same(
    option: tuple[str, ...], call: Call, tmp_path: Path
) -> None:
    stage = bare(shared(), tmp_path)
    stage.world.down("web2")
    status, (found,), said = call(stage, "volume", "discover", "san", *option)
    assert (status, found["unasked"]) == (4, ["web2"])
    assert [one["host"] for one in found["attachments"]] == ["web1"]
    assert "web2: unreachable" in said
    stage.world.up("web2")
    status, found, said = call(stage, "volume", "discover", "san", *option)
    assert (status, said) == (0, "")
    last = found[0]["attachments"]
    assert [one["host"] for one in last] == (["web2"] if option else ["web1", "web2"])
    assert call(stage, "volume", "discover", "san", "--import")[0] == 0
    assert call(stage, "volume", "discover", "san", "--import") == (0, [], "")
    assert call(stage, "volume", "discover", "san") == (0, [], "")
    assert hosts(stage) == ["web1", "web2"]


def test_attach_discover_tells_who_was_not_asked(call: Call, tmp_path: Path) -> None:
    stage = bare(shared(), tmp_path)
    inventory.take(stage.means(), "vol1", "san", "vol1")
    stage.world.down("web2")
    status, data, said = call(stage, "volume", "attach", "vol1", "--discover")
    assert (status, data["unasked"], data["error"]["code"]) == (4, ["web2"], "unreachable")
    assert [one["host"] for one in data["attachments"]] == ["web1"]
    assert "web2: unreachable" in said
    stage.world.up("web2")
    status, data, said = call(stage, "volume", "attach", "vol1", "--discover")
    assert (status, data["unasked"], data["error"], said) == (0, [], None, "")
    assert [one["host"] for one in data["attachments"]] == ["web1", "web2"]


def test_attachments_that_nobody_wrote_down_are_told_with_the_way(
    call: Call, tmp_path: Path
) -> None:
    stage = bare(iscsi_ext4(), tmp_path)
    inventory.take(stage.means(), "vol1", "san", "vol1")
    status, found, said = call(stage, "volume", "discover", "san")
    assert (status, found) == (0, [])
    assert "extendctl volume attach vol1 --discover" in said


# Cost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "commands", "trips"),
    [(iscsi_ext4, 3, 1), (iscsi_tgt, 3, 1), (nvmet, 3, 1), (local_lvm, 5, 2)],
)
def test_thirty_volumes_cost_no_more_round_trips_than_one(
    make: Callable[[], Site], commands: int, trips: int, tmp_path: Path
) -> None:
    stage = bare(make(), tmp_path)
    with stage.change() as state:
        for extra in range(30):
            build.volume(state, "silo", f"vg0/more{extra:02}", GIB)
            if make is iscsi_ext4:
                build.export(state, "silo", f"vg0/more{extra:02}")
    for _ in range(ATTEMPTS):
        asked, flown = cost(stage, lambda: look(stage))
        assert asked == {"silo": commands, **({"web1": 1} if len(asked) > 1 else {})}
        if flown["silo"] <= trips:
            break
    assert (flown["silo"], flown.get("web1", 1)) == (trips, 1)
    take(stage)
    assert len(stage.store.volumes()) == 31


def test_an_unknown_directory_is_refused(tmp_path: Path) -> None:
    stage = bare(file_loop_xfs(), tmp_path)
    with stage.change() as state:
        state.machines["here"].directories = ["/"]
    with pytest.raises(Refused, match=FILES):
        look(stage)


def test_a_tgt_that_does_not_run_serves_nothing(tmp_path: Path) -> None:
    """Its tools are there and its daemon is not: the logical volumes are found all the same."""
    stage = bare(local_lvm(), tmp_path)
    stage.world.lie("silo", "tgtadm", status=107, err="tgtadm: failed to send request hdr to tgt")
    assert outcomes(look(stage)) == {"vol1": "planned"}
    stage.configured(backends={"old": replace(ISCSI, name="old", target="tgt")})
    with pytest.raises(Refused, match="tgtadm"):
        look(stage, "old")
