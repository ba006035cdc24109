"""A new volume: what can be known is known before, and a create that was cut is gone on with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from extendctl import inventory
from extendctl.config import Limits
from extendctl.errors import SAME_AGAIN, ExtendctlError, Refused, Usage
from extendctl.extension.means import attempt
from extendctl.model import Volume
from extendctl.owner import me
from tests.extending import MEMORY, Stage
from tests.test_discovery import bare
from tests.world import build, changes, lio
from tests.world.site import (
    FILES,
    Site,
    file_loop_xfs,
    iscsi_btrfs_thin,
    iscsi_ext4,
    iscsi_fileio,
    local_lvm,
)
from tests.world.state import GIB, Machine, Store

pytestmark = pytest.mark.long

INITIATORS = ("iqn.2026-11.com.example:web1", "iqn.2026-11.com.example:web2")
IQN = "iqn.2003-01.org.linux-iscsi.extendctl:vol2"
MAKES: dict[str, Callable[[], Site]] = {
    "iscsi": iscsi_ext4,
    "thin": iscsi_btrfs_thin,
    "fileio": iscsi_fileio,
    "lvm": local_lvm,
    "file": file_loop_xfs,
}
CUTS = [("question", "after"), ("deed", "unsent"), ("deed", "before"), ("deed", "after")]
every_backend = pytest.mark.parametrize("name", MAKES)


def create(stage: Stage, size: int = GIB, name: str = "vol2") -> Volume | ExtendctlError:
    initiators = INITIATORS if stage.site.backend.driver == "iscsi" else ()
    backend = stage.site.backend.name
    return attempt(
        lambda: inventory.create(stage.means(), name, backend, size, initiators=initiators)
    )


def things(stage: Stage) -> Any:
    """All that a create makes on the storage machine."""
    one: Machine = stage.world.machine(stage.site.silo)
    return (one.groups, one.files, one.modes, one.stores, one.targets, one.saved_sizes)


def refused(stage: Stage, said: str, size: int = GIB, name: str = "vol2") -> None:
    """It is refused in these words, and nothing was done."""
    before = things(stage)
    error = create(stage, size, name)
    assert isinstance(error, Refused | Usage), error
    assert said in " ".join(fault.message for fault in error.faults)
    assert (things(stage), stage.world.deeds(), stage.store.volumes()) == (before, [], [])


# Cuts --------------------------------------------------------------------------------------------


def _cuts(name: str, only: str, when: str) -> Iterator[tuple[Stage, Volume | ExtendctlError]]:
    with TemporaryDirectory(dir=MEMORY) as directory:
        for call in range(1, 60):
            stage = bare(MAKES[name](), Path(directory) / str(call))
            stage.world.cut(stage.site.silo, call, when, only=only)
            made = create(stage)
            with stage.change() as state:
                cut = state.faults[0].times == 0
            if not cut:
                return
            yield stage, made
        pytest.fail("it asks for ever")


@every_backend
@pytest.mark.parametrize(("only", "when"), CUTS)
def test_the_same_command_heals_a_create_cut_at_any_call(
    name: str, only: str, when: str, tmp_path: Path
) -> None:
    """One volume, one LUN, all initiators, saved; and what is told in between is so."""
    whole = bare(MAKES[name](), tmp_path)
    before = things(whole)
    expected = create(whole)
    assert isinstance(expected, Volume)
    number = 0
    for number, (stage, made) in enumerate(_cuts(name, only, when), 1):
        if isinstance(made, ExtendctlError):
            if made.exit_status in {3, 4}:
                assert things(stage) == before, f"cut {number}: {made}"
            else:
                assert (made.exit_status, made.fault.hint) == (5, SAME_AGAIN)
            assert stage.store.volumes() == []
            stage.world.heal()
            again = create(stage)
            assert isinstance(again, Volume), f"cut {number}: {made}; then {again}"
        assert things(stage) == things(whole), f"cut {number}"
        volume = stage.volume("vol2")
        assert (volume.size, volume.identity) == (expected.size, expected.identity)
    assert number >= 1


@pytest.mark.parametrize("name", ["iscsi", "fileio"])
def test_an_initiator_that_was_left_out_is_let_in_by_the_same_command(
    name: str, tmp_path: Path
) -> None:
    stage = bare(MAKES[name](), tmp_path)
    stage.world.lie(stage.site.silo, "targetcli", status=1, err="no", skip=4, times=1)
    half = create(stage)
    assert isinstance(half, ExtendctlError)
    assert (half.exit_status, half.fault.hint) == (5, SAME_AGAIN)
    assert isinstance(create(stage), Volume)
    assert sorted(stage.world.machine("silo").targets[IQN].acls) == list(INITIATORS)


@pytest.mark.parametrize("name", ["file", "fileio"])
def test_a_new_file_is_its_owner_s_alone_before_anything_can_be_in_it(
    name: str, tmp_path: Path
) -> None:
    stage = bare(MAKES[name](), tmp_path)
    assert isinstance(create(stage), Volume)
    (made,) = stage.world.machine(stage.site.silo).modes.items()
    path = f"{stage.site.backend.directory}/vol2"
    assert made == (path, "0600")
    mine = [argv for argv in stage.world.deeds() if argv[-1] == path]
    assert mine == [
        ("truncate", "--size=>0", path),
        ("chmod", "0600", path),
        ("truncate", "--no-create", f"--size=>{GIB}", path),
    ]


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    stage = bare(file_loop_xfs(), tmp_path)
    path = f"{FILES}/vol2"
    with stage.change() as state:
        state.machines["here"].files[path] = GIB
        state.machines["here"].modes[path] = "0640"
    assert isinstance(create(stage), Volume)
    assert stage.world.machine("here").modes[path] == "0640"
    assert stage.world.deeds() == []


@pytest.mark.parametrize("tool", ["chmod", "truncate"])
def test_what_makes_a_file_is_looked_for_before(tool: str, tmp_path: Path) -> None:
    stage = bare(file_loop_xfs(), tmp_path)
    with stage.change() as state:
        changes.without(state, "here", tool)
    refused(stage, f"{tool} is missing on here")


# What is known before ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iscsi", "thin", "fileio"])
@pytest.mark.parametrize("initiator", ["web1", "iqn.2026-11.com.example:web 1", "", "iqn.x\n", "*"])
def test_a_wrong_initiator_is_known_before_anything_is_made(
    name: str, initiator: str, tmp_path: Path
) -> None:
    stage = bare(MAKES[name](), tmp_path)
    before, backend = things(stage), stage.site.backend.name
    with pytest.raises(Usage, match="iSCSI qualified name"):
        inventory.create(stage.means(), "vol2", backend, GIB, initiators=[INITIATORS[0], initiator])
    assert (things(stage), stage.world.deeds()) == (before, [])


def test_a_target_of_that_name_for_something_else_is_known_before(tmp_path: Path) -> None:
    """`vol_2` and `vol-2` would have one IQN."""
    stage = bare(iscsi_ext4(), tmp_path)
    create(stage, name="vol-2")
    stage.store.remove_volume("vol-2", me())
    stage.world.forget()
    refused(stage, "which serves vol-2", name="vol_2")


def test_a_backstore_of_that_name_over_something_else_is_known_before(tmp_path: Path) -> None:
    stage = bare(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["silo"].stores["iblock_7/vol2"] = Store(
            serial=lio.serial("x"), path="/dev/vg0/vol1"
        )
    refused(stage, "there is a backstore iblock_7/vol2 on silo already")


@pytest.mark.parametrize("name", ["iscsi", "fileio"])
def test_a_missing_tool_is_known_before(name: str, tmp_path: Path) -> None:
    stage = bare(MAKES[name](), tmp_path)
    with stage.change() as state:
        changes.without(state, "silo", "targetcli")
    refused(stage, "targetcli is missing on silo")


def test_a_thin_pool_that_is_not_there_is_known_before(tmp_path: Path) -> None:
    stage = bare(iscsi_btrfs_thin(), tmp_path)
    with stage.change() as state:
        del state.machines["silo"].groups["vg0"].volumes["tp0"]
    refused(stage, "there is no thin pool vg0/tp0")


def test_too_little_space_is_known_before(tmp_path: Path) -> None:
    refused(bare(iscsi_ext4(), tmp_path), "less than 1000 GiB", 1000 * GIB)


@every_backend
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_size=GIB - 1), "max_size: the volume's new size would be 1 GiB"),
        (Limits(min_pool_free=100.0), "min_pool_free: "),
    ],
)
def test_a_limit_of_policy_holds_for_a_new_volume(
    name: str, limits: Limits, said: str, tmp_path: Path
) -> None:
    stage = bare(MAKES[name](), tmp_path)
    stage.governed(limits)
    refused(stage, said)
    assert code_of(create(stage)) == "limit-exceeded"


def code_of(made: Volume | ExtendctlError) -> str | None:
    return made.fault.code if isinstance(made, ExtendctlError) else None


@pytest.mark.parametrize("name", ["thin", "file", "fileio"])
def test_the_fill_of_a_pool_is_limited_for_thin_volumes(name: str, tmp_path: Path) -> None:
    stage = bare(MAKES[name](), tmp_path)
    stage.governed(Limits(max_thin_data=1.0))
    refused(stage, "max_thin_data: the pool's data is")


@every_backend
def test_a_new_volume_within_the_limits_is_made(name: str, tmp_path: Path) -> None:
    """At a limit is allowed; a new volume grows by nothing, and there is nothing to confirm."""
    stage = bare(MAKES[name](), tmp_path)
    stage.governed(Limits(max_size=GIB, max_growth=1, confirm_above=1.0, min_pool_free=1.0))
    assert isinstance(create(stage), Volume)


def test_limits_of_a_new_volume_hold_after_rounding(tmp_path: Path) -> None:
    """A byte more than fits is an extent more."""
    stage = bare(iscsi_ext4(), tmp_path)
    stage.governed(Limits(max_size=GIB + 1))
    refused(stage, "max_size: the volume's new size would be", GIB + 1)


def test_a_project_is_not_overdrawn_by_a_new_volume(tmp_path: Path) -> None:
    """What the project has counts; a volume of no project or of another is no part of it."""
    stage = bare(iscsi_ext4(), tmp_path)
    stage.governed(projects={"web": 3 * GIB})
    backend = stage.site.backend.name

    def make(name: str, project: str | None) -> Volume | ExtendctlError:
        return attempt(
            lambda: inventory.create(stage.means(), name, backend, 2 * GIB, project=project)
        )

    assert isinstance(make("vol2", "web"), Volume)
    stage.world.forget()
    over = make("vol3", "web")
    assert (code_of(over), stage.world.deeds()) == ("limit-exceeded", [])
    assert "max_total: the total of project web would be 4 GiB" in str(over)
    assert isinstance(make("vol3", None), Volume)
    assert isinstance(make("vol4", "mail"), Volume)


def test_what_an_earlier_try_has_left_needs_no_more_of_the_pool(tmp_path: Path) -> None:
    stage = bare(local_lvm(), tmp_path)
    group = stage.world.machine(stage.site.silo).groups["vg0"]
    stage.governed(Limits(min_pool_free=100.0 * (group.free - GIB) / group.size))
    assert isinstance(create(stage), Volume)
    stage.store.remove_volume("vol2", me())
    assert isinstance(create(stage), Volume)


def test_taking_in_is_not_limited(tmp_path: Path) -> None:
    """What is there is there, whatever policy would have said."""
    stage = bare(iscsi_ext4(), tmp_path)
    stage.governed(Limits(max_size=GIB, min_pool_free=100.0), projects={"web": GIB})
    taken = inventory.take(stage.means(), "vol1", stage.site.backend.name, "vol1", "web")
    assert taken.size == 10 * GIB


# What is somebody else's -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iscsi", "lvm"])
@pytest.mark.parametrize(
    ("size", "more", "content"),
    [
        (2 * GIB, {}, None),  # of another size
        (GIB, {"opened": True}, None),  # somebody has it open
        (GIB, {}, "ext4"),  # there is something on it
        (GIB, {"segtype": "thin", "pool": "other"}, None),  # from elsewhere
    ],
)
def test_a_logical_volume_that_is_not_ones_own_is_left_alone(
    name: str, size: int, more: dict[str, Any], content: str | None, tmp_path: Path
) -> None:
    stage = bare(MAKES[name](), tmp_path)
    with stage.change() as state:
        made = build.volume(state, "silo", "vg0/vol2", size, **({"opened": False} | more))
        if content is not None:
            build.filesystem(state, "silo", made.device or "", content)
    refused(stage, "there is a logical volume vg0/vol2 on silo already")


def test_an_inactive_logical_volume_is_left_alone(tmp_path: Path) -> None:
    """Nobody can look at what is on it."""
    stage = bare(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        made = build.volume(state, "silo", "vg0/vol2", GIB)
        del state.machines["silo"].devices[made.device or ""]
        made.device = None
    refused(stage, "there is a logical volume vg0/vol2 on silo already")


@pytest.mark.parametrize("what", ["size", "written", "looped"])
def test_a_file_that_is_not_ones_own_is_left_alone(what: str, tmp_path: Path) -> None:
    stage = bare(file_loop_xfs(), tmp_path)
    path = f"{FILES}/vol2"
    with stage.change() as state:
        state.machines["here"].files[path] = 2 * GIB if what == "size" else GIB
        if what != "size":
            build.loop(state, "here", path, "loop1")
        if what == "written":
            build.filesystem(state, "here", "loop1", "xfs")
            del state.machines["here"].devices["loop1"]
    refused(stage, f"{path} is there already on here")
