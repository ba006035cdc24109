"""Multipath: what multipathd says when it means no, ill paths, sessions that are missed."""

from pathlib import Path

import pytest

from extendctl.block_readings import NodeRecord, node_records, path_states
from extendctl.extension.means import silent
from extendctl.stack import Event, Measured, Settled
from extendctl.transport import Result
from tests.extending import GOAL, Stage, begin, codes, untouched, untrue
from tests.world import build, changes
from tests.world.state import State
from tests.world.tower import tower

pytestmark = pytest.mark.long

RECORDED = Path(__file__).parent / "recorded" / "iscsiadm-nodes.txt"
IQN = f"{build.IQN}:vol1"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """An ext4 on the map mpatha over sdb and sdc."""
    return begin(tower("multipath", "ext4"), tmp_path)


def told(stage: Stage) -> str:
    """All reasons of an extension that is refused and has touched nothing."""
    report = stage.extend()
    assert report.exit_status == 3
    assert report.error is not None
    assert untouched(stage)
    return " ".join(fault.message for fault in report.error.faults)


def healed(stage: Stage) -> None:
    """One resume, and everything has grown once."""
    report = stage.resume()
    assert (report.outcome, report.error) == ("done", None)
    assert set(stage.growths.values()) == {1}
    assert untrue(stage, report) == []
    assert stage.check().error is None


ANSWERS = [
    (1, "fail"),  # a path has another size (multipath-tools 0.11.1 and 0.9.4)
    (0, "fail"),  # older ones exit with 0 whatever they say
    (0, "timeout"),
    (1, "device not found"),  # of a map that it has lost (0.11.1)
    (1, "ERROR: failed to connect to multipathd"),
    (0, "ok"),  # and nothing has happened
]


@pytest.mark.parametrize(("status", "words"), ANSWERS)
def test_a_no_of_multipathd_is_told_and_made_up_for(status: int, words: str, stage: Stage) -> None:
    """Exit 5 with its words and with what is so; the filesystem above is left alone."""
    stage.world.lie("web1", "multipathd", status=status, out=f"{words}\n", only="deed", times=3)
    report = stage.extend()
    assert (report.exit_status, report.status, report.size) == (5, "in-use", GOAL)
    assert ("measures" if words == "ok" else words) in str(report.error)
    outcomes = {line.kind: str(line.outcome) for line in report.layers}
    assert (outcomes["path"], outcomes["multipath"]) == ("grown", "failed")
    assert untrue(stage, report) == []
    assert not [argv for argv in stage.world.deeds() if argv[0] == "resize2fs"]
    stage.world.heal()
    healed(stage)


BUSY = [(0, "timeout"), (1, "timeout"), (1, "fail"), (0, "fail"), (1, "map or partition in use")]


@pytest.mark.parametrize(("status", "words"), BUSY)
def test_a_multipathd_that_is_busy_is_asked_again(status: int, words: str, stage: Stage) -> None:
    """After a reconfigure it says `fail` until udev has told of the map."""
    stage.world.lie("web1", "multipathd", status=status, out=f"{words}\n", only="deed", times=1)
    assert stage.extend().error is None
    deeds = [argv for argv in stage.world.deeds("web1") if argv[0] == "multipathd"]
    assert deeds == [("multipathd", "resize", "map", "mpatha")] * 2


def test_a_multipathd_that_does_not_run_is_found_before(stage: Stage) -> None:
    said = "ERROR: failed to connect to multipathd\n"
    stage.world.lie("web1", "multipathd", status=1, out=said)
    assert "failed to connect to multipathd" in told(stage)


@pytest.mark.parametrize("state", ["offline", "blocked", "transport-offline"])
def test_a_path_that_is_not_well_is_found_before(state: str, stage: Stage) -> None:
    """The map would keep its old size for its sake, and say no more than `fail`."""
    with stage.change() as world:
        changes.offline(world, "web1", "sdc", state)
    words = told(stage)
    assert f"the path sdc on web1 is {state}, not running" in words
    assert f"the path sdc of mpatha on web1 is failed, faulty, {state}" in words


def test_a_path_that_multipathd_has_given_up_is_found_although_the_kernel_has_not(
    stage: Stage,
) -> None:
    """As recorded: `sdb failed faulty running`, when the session was just back."""
    out = "sdb active ready running\nsdc failed faulty running\n"
    stage.world.lie("web1", "multipathd", status=0, out=out, only="question")
    assert "the path sdc of mpatha on web1 is failed, faulty, running" in told(stage)


def test_a_path_that_multipathd_does_not_know_is_found_before(stage: Stage) -> None:
    stage.world.lie("web1", "multipathd", out="sdb active ready running\n", only="question")
    assert "the path sdc of mpatha on web1 is missing" in told(stage)


def dies(state: State) -> None:
    """The portal of sdc is cut off: the kernel takes the rescan, and reads nothing."""
    state.machines["web1"].devices["sdc"].state = "transport-offline"


@pytest.mark.parametrize(("moment", "kind"), [(Settled, "lun"), (Measured, "path")])
def test_a_path_that_dies_in_between_is_named_and_made_up_for(
    moment: type[Event], kind: str, stage: Stage
) -> None:
    """After preflight, with the backend grown: exit 5, the path by name, the map untouched."""

    def cut(_volume: str, event: Event) -> None:
        if isinstance(event, moment) and event.layer.kind == kind:
            with stage.change() as state:
                dies(state)
            stage.listener = silent

    stage.listener = cut
    report = stage.extend()
    assert (report.exit_status, report.status, report.size) == (5, "in-use", GOAL)
    assert "not-verified" in codes(report)
    assert "of the paths sdb,sdc on web1 sdc did not follow" in str(report.error)
    assert untrue(stage, report) == []
    assert not [argv for argv in stage.world.deeds() if argv[0] == "multipathd"]
    again = stage.resume()
    assert (again.exit_status, "sdc" in str(again.error)) == (3, True)
    with stage.change() as state:
        state.machines["web1"].devices["sdc"].state = "running"
    healed(stage)


def known(stage: Stage, *startups: str) -> None:
    """The node database has two portals; sessions go to the first, and sdc's to none of them."""
    with stage.change() as state:
        portals = zip(("10.10.1.10", "10.10.2.10"), startups, strict=True)
        state.machines["web1"].nodes[IQN] = [(one, "3260", startup) for one, startup in portals]


def test_a_session_that_is_logged_out_is_missed(stage: Stage) -> None:
    known(stage, "automatic", "automatic")
    words = told(stage)
    assert f"web1 has no session to {IQN} at 10.10.2.10:3260, a path of mpatha" in words


def test_a_disk_that_is_not_the_volume_is_found_in_its_map(stage: Stage) -> None:
    """Two servers of tgt give their LUNs one WWN, and multipathd makes one map of both."""
    with stage.change() as state:
        devices = state.machines["web1"].devices
        other = {"dev": "8:400", "wwid": "naa.60000000000000000e00000000020001", "lun": None}
        devices["sdz"] = devices["sdc"].model_copy(update=other)
        devices[map_of(state)].slaves.append("sdz")
    assert "the map mpatha on web1 has sdz for a path, which is not the volume" in told(stage)


def test_of_two_maps_over_the_paths_none_is_chosen(stage: Stage) -> None:
    with stage.change() as state:
        devices = state.machines["web1"].devices
        first = devices[map_of(state)]
        other = {"dev": "253:77", "dm_name": "mpathb", "dm_uuid": f"{first.dm_uuid}b"}
        devices["dm-77"] = first.model_copy(update=other)
    assert "several maps are over the volume's paths on web1: mpatha, mpathb" in told(stage)


def map_of(state: State) -> str:
    devices = state.machines["web1"].devices
    return next(name for name, one in devices.items() if one.dm_name == "mpatha")


def test_a_checkers_state_may_have_two_words() -> None:
    said = "sdb active ready running\nsdc failed i/o timeout running\n"
    assert path_states(Result((), 0, said, "")) == {
        "sdb": ("active", "ready", "running"), "sdc": ("failed", "i/o timeout", "running"),
    }  # fmt: skip


def test_a_portal_that_is_not_logged_in_to_by_itself_is_not_missed(stage: Stage) -> None:
    """It stays in the database of whoever has discovered it and does not want it."""
    known(stage, "automatic", "manual")
    assert stage.extend().error is None


def test_the_node_database_is_read() -> None:
    """Recorded with iscsiadm 2.1.8 of Debian 12."""
    found = node_records(Result((), 0, RECORDED.read_text(), ""))
    assert found == (
        NodeRecord("10.10.1.10", "3260", "automatic"),
        NodeRecord("10.10.2.10", "3260", "manual"),
    )
    assert node_records(Result((), 21, "", "iscsiadm: No records found\n")) == ()
