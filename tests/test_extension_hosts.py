"""Several hosts: each has its own outcome, one is elected for the content, lags are named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extendctl import inventory
from extendctl.errors import Refused, Unreachable
from extendctl.extension.means import silent
from extendctl.model import LayerOutcome, Outcome
from tests.extending import (
    GOAL,
    VOLUME,
    Make,
    Stage,
    begin,
    code,
    codes,
    mounted_once,
    untouched,
    untrue,
)
from tests.world import build, changes
from tests.world.site import (
    POINT,
    file_loop_xfs,
    iscsi_ext4,
    iscsi_xfs,
    local_lvm,
    shared,
    unexported,
)
from tests.world.state import GIB

pytestmark = pytest.mark.long


def by_host(report: Any) -> dict[str, str]:
    """Each attachment's outcome."""
    return {one.host: str(one.outcome) for one in report.attachments}


def lags(stage: Stage) -> set[str]:
    """The hosts that the state says lag."""
    return {one.host for one in stage.volume().lagging}


@pytest.mark.parametrize("broken", ["web1", "web2"])
def test_a_host_that_fails_does_not_hold_up_the_other(broken: str, tmp_path: Path) -> None:
    """One rescan fails: the other host is done, the volume is in-use at its size, exit 5."""
    stage = begin(shared(), tmp_path)
    stage.world.lie(broken, "tee", status=1, err="tee: write error: No such device", times=1)
    report = stage.extend()
    other = "web2" if broken == "web1" else "web1"
    assert by_host(report) == {broken: "incomplete", other: "done"}
    assert (report.outcome, code(report), report.exit_status) == (
        Outcome.INCOMPLETE, "host-failed", 5,
    )  # fmt: skip
    assert (report.status, report.size, lags(stage)) == ("in-use", GOAL, {broken})
    assert broken in str(report.error)
    assert "No such device" in str(report.error)
    assert report.error is not None
    assert report.error.fault.hint.endswith(f"extendctl volume resume {VOLUME}")
    assert untrue(stage, report) == []
    healed = stage.resume()
    assert (healed.outcome, lags(stage), set(stage.growths.values())) == (Outcome.DONE, set(), {1})
    assert by_host(healed) == {broken: "done", other: "unchanged"}


def test_two_hosts_that_fail_are_both_told(tmp_path: Path) -> None:
    """Neither failure hides the other, in the result and in the state."""
    stage = begin(shared(), tmp_path)
    stage.world.lie("web1", "tee", status=1, err="tee: one", times=1)
    stage.world.lie("web2", "tee", status=0, times=1)
    report = stage.extend()
    assert lags(stage) == {"web1", "web2"}
    assert {"host-failed", "not-verified"} <= set(codes(report))
    assert "tee: one" in str(report.error)
    assert "although the command succeeded" in str(report.error)
    assert stage.resume().outcome == Outcome.DONE


def test_an_unreachable_host_is_not_now(tmp_path: Path) -> None:
    """Exit 4, nothing changed, and the host is named."""
    stage = begin(shared(), tmp_path)
    stage.world.down("web2")
    report = stage.extend()
    assert (code(report), report.exit_status) == ("unreachable", 4)
    assert "web2" in str(report.error)
    assert untouched(stage)


def test_an_unreachable_host_may_lag_when_that_is_allowed(tmp_path: Path) -> None:
    """--allow-lagging: the others are done, it lags, exit 5; resume says 4 while it is away."""
    stage = begin(shared(), tmp_path)
    stage.world.down("web2")
    dry = stage.extend(allow_lagging=True, dry_run=True)
    assert (dry.exit_status, by_host(dry)) == (0, {"web1": "planned", "web2": "not-now"})
    report = stage.extend(allow_lagging=True)
    assert (report.exit_status, by_host(report)) == (5, {"web1": "done", "web2": "incomplete"})
    assert (report.size, report.status, lags(stage)) == (GOAL, "in-use", {"web2"})
    away = stage.resume()
    assert (away.exit_status, away.outcome, lags(stage)) == (4, Outcome.NOT_NOW, {"web2"})
    stage.world.up("web2")
    assert stage.resume().outcome == Outcome.DONE
    assert (lags(stage), set(stage.growths.values())) == (set(), {1})


def test_where_nothing_had_to_grow_nobody_is_told_that_it_has(tmp_path: Path) -> None:
    """The present size with --allow-lagging and a host away: 5, it lags, and no growth is told."""
    stage = begin(shared(), tmp_path)
    stage.world.down("web2")
    report = stage.extend("10G", allow_lagging=True)
    assert (report.exit_status, lags(stage), stage.growths) == (5, {"web2"}, {})
    assert "has grown" not in str(report.error)


def test_lagging_is_allowed_to_the_unreachable_alone(tmp_path: Path) -> None:
    """--allow-lagging is no way around an obstacle that can be seen."""
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        changes.offline(state, "web2", "sdb")
    report = stage.extend(allow_lagging=True)
    assert (code(report), report.exit_status) == ("obstacle", 3)
    assert untouched(stage)


def test_one_host_is_elected_for_the_content(tmp_path: Path) -> None:
    """Two see the volume, web2 has the filesystem mounted: it grows there, after both devices."""
    stage = begin(mounted_once(), tmp_path)
    report = stage.extend()
    assert (report.outcome, report.notices[0].split(":")[0]) == (Outcome.DONE, "web1")
    tools = [(entry.machine, entry.argv[0]) for entry in stage.world.log if entry.kind == "deed"]
    assert tools[-1] == ("web2", "resize2fs")
    assert sorted(tools[1:3]) == [("web1", "tee"), ("web2", "tee")]
    skipped = [line for line in report.layers if line.outcome == LayerOutcome.SKIPPED]
    assert [(line.host, line.kind) for line in skipped] == [("web1", "ext4")]
    assert untrue(stage, report) == []


def test_the_content_waits_for_no_host_that_failed(tmp_path: Path) -> None:
    """web1 cannot rescan; web2 has the filesystem and grows it all the same."""
    stage = begin(mounted_once(), tmp_path)
    stage.world.lie("web1", "tee", status=1, err="tee: no", times=1)
    report = stage.extend()
    assert by_host(report) == {"web1": "incomplete", "web2": "done"}
    assert stage.growths[f"web2 {POINT}"] == 1


@pytest.mark.parametrize("type_", ["ext4", "xfs", "btrfs"])
def test_a_filesystem_mounted_on_two_hosts_is_an_obstacle(type_: str, tmp_path: Path) -> None:
    """It is being destroyed, extended or not: refused, both hosts are named, check says it too."""
    stage = begin(shared(), tmp_path)
    with stage.change() as state:
        build.filesystem(state, "web1", "sdb", type_)
        for host in ("web1", "web2"):
            build.mount(state, host, "sdb", POINT)
    report = stage.extend()
    assert (code(report), report.exit_status) == ("obstacle", 3)
    assert f"{type_} is no cluster filesystem and is mounted on web1 and web2" in str(report.error)
    alone = stage.extend(no_filesystem=True)
    assert (code(alone), alone.exit_status) == ("obstacle", 3)
    assert untouched(stage)
    assert stage.check().exit_status == 5


def test_an_unmounted_filesystem_is_skipped_with_a_notice(tmp_path: Path) -> None:
    """All beneath it grows, exit 0, and the notice says what was left."""
    stage = begin(iscsi_xfs(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts.clear()
    report = stage.extend()
    assert (report.outcome, report.exit_status) == (Outcome.DONE, 0)
    assert [(line.kind, str(line.outcome)) for line in report.layers[2:]] == [
        ("path", "grown"), ("xfs", "skipped"),
    ]  # fmt: skip
    assert any("not in use" in notice for notice in report.notices)
    assert stage.growths[f"web1 {POINT}"] == 0


def test_the_filesystem_can_be_left_alone(tmp_path: Path) -> None:
    """--no-filesystem grows all beneath; without it, the same size then grows the filesystem."""
    stage = begin(iscsi_ext4(), tmp_path)
    report = stage.extend(no_filesystem=True)
    assert (report.outcome, report.exit_status) == (Outcome.DONE, 0)
    assert str(report.layers[-1].outcome) == "skipped"
    assert "resize2fs" not in {argv[0] for argv in stage.world.deeds()}
    assert stage.extend(no_filesystem=True).outcome == Outcome.UNCHANGED
    again = stage.extend()
    assert (again.outcome, stage.world.deeds()[-1][0]) == (Outcome.DONE, "resize2fs")
    assert set(stage.growths.values()) == {1}


def test_a_read_only_filesystem_that_is_left_alone_is_no_obstacle(tmp_path: Path) -> None:
    """What is not grown may be as it likes."""
    stage = begin(iscsi_ext4(), tmp_path)
    with stage.change() as state:
        state.machines["web1"].mounts[0].read_only = True
    assert code(stage.extend()) == "obstacle"
    assert stage.extend(no_filesystem=True).outcome == Outcome.DONE


def test_resume_remembers_that_the_filesystem_is_left_alone(tmp_path: Path) -> None:
    """What was asked for is recorded: resume grows the path and leaves the filesystem."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "tee", status=1, err="tee: no", times=1)
    assert stage.extend(no_filesystem=True).exit_status == 5
    assert stage.resume().outcome == Outcome.DONE
    assert stage.growths[f"web1 {POINT}"] == 0


def test_the_same_size_with_other_options_is_another_operation(tmp_path: Path) -> None:
    """What `resume` would do is what was asked for last."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "tee", status=1, err="tee: no", times=2)
    assert stage.extend(no_filesystem=True).exit_status == 5
    assert stage.extend().exit_status == 5
    report = stage.resume()
    assert (report.operation, report.outcome) == (2, Outcome.DONE)
    assert stage.growths[f"web1 {POINT}"] == 1


def test_a_host_that_goes_away_after_the_backend_grew_lags(tmp_path: Path) -> None:
    """Nothing could be foreseen: 5, the host lags, and the words say why."""
    stage = begin(iscsi_ext4(), tmp_path)

    def down(_volume: str, event: Any) -> None:
        if event.layer.kind == "lun":
            stage.world.down("web1", "no route to host")

    stage.listener = down
    report = stage.extend()
    assert (report.exit_status, report.status, lags(stage)) == (5, "in-use", {"web1"})
    assert "no route to host" in str(report.error)
    stage.listener = silent
    stage.world.up("web1")
    assert stage.resume().outcome == Outcome.DONE


# Attaching ---------------------------------------------------------------------------------------


def test_who_does_not_see_the_volume_is_not_attached(tmp_path: Path) -> None:
    """Refused as not-found, and nothing is written down."""
    stage = begin(iscsi_ext4(), tmp_path, attached=False)
    with pytest.raises(Refused) as no:
        inventory.attach(stage.means(), VOLUME, inventory.Place("silo"))
    assert no.value.fault.code == "not-found"
    assert stage.volume().attachments == ()


def test_who_sees_it_is_discovered(tmp_path: Path) -> None:
    """Every host that sees it and is not known yet; a second look finds nothing new."""
    stage = begin(shared(), tmp_path, attached=False)
    made, lost = inventory.discover(stage.means(), VOLUME)
    assert ([one.host for one in made], lost) == (["web1", "web2"], {})
    assert inventory.discover(stage.means(), VOLUME) == ([], {})
    assert stage.world.deeds() == []


def test_who_could_not_be_asked_is_not_taken_for_a_no(tmp_path: Path) -> None:
    """An unreachable host is told with its error; those that answered are attached."""
    stage = begin(shared(), tmp_path, attached=False)
    stage.world.down("web2")
    made, lost = inventory.discover(stage.means(), VOLUME)
    assert [one.host for one in made] == ["web1"]
    assert {host: type(error) for host, error in lost.items()} == {"web2": Unreachable}
    assert [one.host for one in stage.volume().attachments] == ["web1"]
    stage.world.up("web2")
    assert [one.host for one in inventory.discover(stage.means(), VOLUME)[0]] == ["web2"]


def test_nobody_is_looked_for_who_could_not_see_it(tmp_path: Path) -> None:
    """A volume that no target serves is refused as not-found, and not told as seen by nobody."""
    stage = begin(unexported(), tmp_path)
    with pytest.raises(Refused, match="served by no target") as no:
        inventory.discover(stage.means(), VOLUME)
    assert no.value.fault.code == "not-found"


@pytest.mark.parametrize("make", [local_lvm, file_loop_xfs])
def test_what_is_on_one_machine_is_not_attached_to_another(tmp_path: Path, make: Make) -> None:
    """A clone of the machine has the same paths and LVM UUIDs; its device is another's."""
    stage = begin(make(None), tmp_path, attached=False)
    home = stage.site.silo
    with stage.change() as state:
        state.machines["clone"] = state.machines[home].model_copy(deep=True)
        state.machines["clone"].boot_id = "another boot"
        state.machines["alias"] = state.machines[home]
    stage.configured(hosts=stage.site.configs())
    with pytest.raises(Refused, match="another machine") as no:
        inventory.attach(stage.means(), VOLUME, inventory.Place("clone"))
    assert no.value.fault.code == "not-found"
    assert [one.host for one in inventory.discover(stage.means(), VOLUME)[0]] == [home]
    inventory.detach(stage.means(), VOLUME, inventory.Place(home))
    inventory.attach(stage.means(), VOLUME, inventory.Place("alias"))
    assert inventory.discover(stage.means(), VOLUME) == ([], {})


def test_a_machine_with_two_names_is_attached_once(tmp_path: Path) -> None:
    """Or its filesystem would be one that is mounted on two hosts."""
    stage = begin(shared(), tmp_path, attached=False)
    with stage.change() as state:
        state.machines["alias"] = state.machines["web1"].model_copy(deep=True)
    stage.configured(hosts=stage.site.configs())
    assert [one.host for one in inventory.discover(stage.means(), VOLUME)[0]] == ["web1", "web2"]
    inventory.detach(stage.means(), VOLUME, inventory.Place("web1"))
    inventory.attach(stage.means(), VOLUME, inventory.Place("alias"))
    assert inventory.discover(stage.means(), VOLUME) == ([], {})


def test_a_host_that_may_not_be_root_is_found_out(tmp_path: Path) -> None:
    """`become: none` for an ordinary user: an obstacle on that host."""
    stage = begin(iscsi_ext4(), tmp_path)
    hosts = dict(stage.config.hosts)
    hosts["web1"] = replace(hosts["web1"], become="none")
    stage.configured(hosts=hosts)
    report = stage.extend()
    assert (code(report), report.exit_status) == ("obstacle", 3)
    assert untouched(stage)
    assert stage.volume().size == 10 * GIB
