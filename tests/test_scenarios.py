"""The three scenarios of the specification, with toys and on simulated machines."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl.errors import Refused
from extendctl.extension import verdict
from extendctl.extension.plan import Branch, Plan, Wish
from extendctl.inventory import Place, detach
from extendctl.journal import follow
from extendctl.model import Capability, LayerOutcome, Outcome
from extendctl.policy import Decision
from extendctl.stack import Stack, Trunk, forecast, grow
from tests.extending import (
    GOAL,
    SITES,
    VOLUME,
    Make,
    Stage,
    begin,
    code,
    grown,
    sizes,
    untouched,
    untrue,
)
from tests.toys import Bottom, Toy, full, tower
from tests.world import changes
from tests.world.site import (
    POINT,
    file_loop_xfs,
    iscsi_btrfs_thin,
    iscsi_ext4,
    iscsi_xfs,
    shared,
)
from tests.world.state import State

pytestmark = pytest.mark.slow

Break = Callable[[State], None]

# With toys ---------------------------------------------------------------------------------------


def toy_plan(stage: Stage, trunk: Bottom, *branch: Toy) -> Plan:
    """A plan over layers that are numbers in a dict."""
    wish = Wish(100)
    trail = follow((trunk,), 100, forecast)
    above = follow(branch, 100, forecast)
    volume = replace(stage.volume(), size=50)
    return Plan(
        volume, wish, 50, 100, 100, Trunk((trunk,)), trail,
        (Branch(volume.attachments[0], Stack(branch), above),),
        Decision((), ()), 50, stage.store.clock(),
    )  # fmt: skip


def test_toys_without_the_capability_are_refused(tmp_path: Path) -> None:
    """Scenario 1 with toys: no capability, so no layer is even looked at."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.granted()
    with pytest.raises(Refused) as no:
        verdict.refuse_early(stage.means().desk(VOLUME), stage.volume(), Wish(GOAL))
    assert no.value.fault.code == "capability-missing"
    assert stage.world.count() == 0


def test_toys_of_which_one_cannot_follow_are_refused(tmp_path: Path) -> None:
    """Scenario 2 with toys: what stands against one layer of a host stands against it all."""
    stage = begin(iscsi_ext4(), tmp_path)
    numbers = full(50)
    trunk, disk = Bottom("lv", numbers, unit=10), Toy("disk", numbers, hindrance="no tool")
    plan = toy_plan(stage, trunk, disk)
    found = list(verdict.faults(stage.means().desk(VOLUME), plan))
    assert [fault.message for fault in found] == ["no tool"]
    assert numbers == full(50)


def test_toys_that_can_follow_do(tmp_path: Path) -> None:
    """Scenario 3 with toys: nothing stands against it, and each layer fills the one beneath."""
    stage = begin(iscsi_ext4(), tmp_path)
    numbers = full(50)
    lv, *rest = tower(numbers)
    assert isinstance(lv, Bottom)
    plan = toy_plan(stage, lv, *rest)
    assert list(verdict.faults(stage.means().desk(VOLUME), plan)) == []
    trail = follow((lv, *rest), 100, grow)
    assert trail.error is None
    assert numbers == full(100)
    foretold = plan.trail.targets | plan.branches[0].trail.targets
    assert trail.targets == foretold


# On simulated machines ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SITES)
def test_a_backend_without_the_capability_refuses_a_volume_in_use(
    name: str, tmp_path: Path
) -> None:
    """Scenario 1: refused as capability-missing, in so many words, and nothing was changed."""
    stage = begin(SITES[name](None), tmp_path)
    size = stage.volume().size
    stage.granted()
    report = stage.extend("30G")
    assert (report.outcome, report.exit_status) == (Outcome.REFUSED, 3)
    assert (code(report), report.status, report.size) == ("capability-missing", "in-use", size)
    assert "does not support extending a volume that is in-use" in str(report.error)
    assert stage.world.count() == 0
    assert stage.store.operations() == []


def test_a_volume_that_is_available_needs_no_capability(tmp_path: Path) -> None:
    """Scenario 1, the other side: on that backend a detached volume is extended all the same."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.granted()
    detach(stage.means(), VOLUME, Place("web1"))
    assert stage.status == "available"
    report = stage.extend()
    assert (report.outcome, report.status, report.size) == (Outcome.DONE, "available", GOAL)
    assert untrue(stage, report) == []


def without(tool: str, machine: str = "web1") -> Break:
    return lambda state: changes.without(state, machine, tool)


def read_only(state: State) -> None:
    for machine in state.machines.values():
        for mount in machine.mounts:
            mount.read_only = True


def expired(state: State) -> None:
    state.machines["web1"].sudo["ops"] = "expired"


def no_rights(state: State) -> None:
    state.machines["web1"].sudo["ops"] = ["tee", "dumpe2fs"]


def asks(machine: str, tool: str) -> Break:
    """A rule with PASSWD behind one with NOPASSWD: `sudo -n -l COMMAND` says yes all the same."""

    def change(state: State) -> None:
        state.machines[machine].sudo["ops"] = f"asks {tool}"

    return change


def fixed_size(state: State) -> None:
    state.machines["here"].devices["loop0"].sizelimit = 10 << 30


def gone(state: State) -> None:
    del state.machines["web1"].devices["sdb"]
    state.machines["web1"].mounts.clear()


UNABLE: dict[str, tuple[Make, Break, str, int, str]] = {
    "no resize2fs": (iscsi_ext4, without("resize2fs"), "obstacle", 3, "resize2fs is missing"),
    "no dumpe2fs": (iscsi_ext4, without("dumpe2fs"), "obstacle", 3, "dumpe2fs is missing"),
    "no xfs_growfs": (iscsi_xfs, without("xfs_growfs"), "obstacle", 3, "xfs_growfs is missing"),
    "no btrfs": (iscsi_btrfs_thin, without("btrfs"), "obstacle", 3, "btrfs is missing"),
    "no tee": (iscsi_ext4, without("tee"), "obstacle", 3, "tee is missing"),
    "no sudo": (iscsi_ext4, without("sudo"), "obstacle", 3, "sudo is missing"),
    "no lvextend": (iscsi_ext4, without("lvextend", "silo"), "obstacle", 3, "lvextend is missing"),
    "no losetup": (file_loop_xfs, without("losetup", "here"), "obstacle", 3, "losetup is missing"),
    "password": (
        iscsi_ext4, lambda state: changes.unprivileged(state, "web1"), "obstacle", 3, "password",
    ),
    "password on the backend": (
        iscsi_ext4, lambda state: changes.unprivileged(state, "silo"), "obstacle", 3, "password",
    ),
    "account expired": (iscsi_ext4, expired, "obstacle", 3, "ops may not run"),
    "one command not allowed": (iscsi_ext4, no_rights, "obstacle", 3, "may not run resize2fs"),
    "a later rule asks": (
        iscsi_ext4, asks("web1", "resize2fs"), "obstacle", 3, "the last one is `(root) /usr",
    ),
    "a later rule asks on the backend": (
        iscsi_ext4, asks("silo", "lvextend"), "obstacle", 3, "ops may not run lvextend on silo",
    ),
    "read-only": (iscsi_ext4, read_only, "obstacle", 3, "mounted read-only"),
    "read-only xfs": (iscsi_xfs, read_only, "obstacle", 3, "mounted read-only"),
    "path offline": (
        iscsi_ext4, lambda state: changes.offline(state, "web1", "sdb"), "obstacle", 3, "offline",
    ),
    "fixed loop": (file_loop_xfs, fixed_size, "obstacle", 3, "fixed size"),
    "not seen": (iscsi_ext4, gone, "not-found", 3, "does not see the volume"),
    "another disk": (
        iscsi_ext4, lambda state: (changes.another_disk(state, "web1", "sdb"), None)[1],
        "not-found", 3, "does not see the volume",
    ),
    "snapshot": (
        iscsi_ext4, lambda state: changes.snapshot(state, "silo", "vg0/vol1"), "obstacle", 3,
        "thick snapshot",
    ),
    "no space": (
        iscsi_ext4, lambda state: changes.leave_free(state, "silo", "vg0", 1 << 30), "no-space", 3,
        "free",
    ),
    "unreachable": (
        iscsi_ext4, lambda state: state.down.update(web1="no route to host"), "unreachable", 4,
        "web1 cannot be reached",
    ),
    "backend unreachable": (
        iscsi_ext4, lambda state: state.down.update(silo="no route to host"), "unreachable", 4,
        "silo cannot be reached",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNABLE)
def test_a_host_that_cannot_follow_is_found_before_anything_is_touched(
    name: str, tmp_path: Path
) -> None:
    """Scenario 2: refused or not now, with the cause, no deed, no operation, status as before."""
    make, change, expected, status, words = UNABLE[name]
    stage = begin(make(None), tmp_path)
    with stage.change() as state:
        change(state)
    report = stage.extend()
    assert (code(report), report.exit_status) == (expected, status)
    assert report.outcome == (Outcome.NOT_NOW if status == 4 else Outcome.REFUSED)
    assert report.error is not None
    assert words in " ".join(fault.message for fault in report.error.faults)
    assert all(fault.hint for fault in report.error.faults[:1])
    assert (report.status, report.size) == ("in-use", 10 << 30)
    assert untouched(stage)
    assert untrue(stage, report) == []
    dry = stage.extend(dry_run=True)
    assert (code(dry), dry.exit_status) == (expected, status)


def test_one_of_two_hosts_that_cannot_follow_is_enough(tmp_path: Path) -> None:
    """Scenario 2 with two hosts: all are asked before one is touched, and each cause is named."""
    stage = begin(shared(), tmp_path)
    stage.world.down("web2")
    with stage.change() as state:
        changes.offline(state, "web1", "sdb")
    report = stage.extend()
    assert report.error is not None
    assert {fault.host for fault in report.error.faults} == {"web1", "web2"}
    assert (code(report), report.exit_status) == ("unreachable", 4)
    assert untouched(stage)


@pytest.mark.parametrize("name", SITES)
def test_hosts_that_can_follow_do(name: str, tmp_path: Path) -> None:
    """Scenario 3: done, every layer grown and measured, status in-use, nothing lags."""
    stage = begin(SITES[name](None), tmp_path)
    before = sizes(stage.world.state)
    report = stage.extend()
    assert (report.outcome, report.exit_status, report.error) == (Outcome.DONE, 0, None)
    assert {line.outcome for line in report.layers if line.kind != "raw"} == {LayerOutcome.GROWN}
    assert untrue(stage, report) == []
    assert (report.status, stage.status) == ("in-use", "in-use")
    assert report.size == report.goal == stage.volume().size >= GOAL
    assert [one.outcome for one in report.attachments] == ["done"] * len(report.attachments)
    assert {one.size for one in report.attachments} == {report.goal}
    assert all(not one.lagging and one.size == report.goal for one in stage.volume().attachments)
    assert grown(before, sizes(stage.world.state)).total() == stage.growths.total()
    assert set(stage.growths.values()) == {1}
    assert (stage.store.operation(1).state, stage.unfinished) == ("done", None)


def test_the_record_tells_every_layer_and_every_command(tmp_path: Path) -> None:
    """Afterwards the operation shows each layer before and after, and each deed with its status."""
    stage = begin(iscsi_ext4(), tmp_path)
    report = stage.extend(reason="the disk is nearly full")
    records = stage.store.records(report.operation or 0)
    assert [(one.kind, one.outcome) for one in records] == [
        ("lv", "grown"), ("lun", "full"), ("path", "grown"), ("ext4", "grown"),
    ]  # fmt: skip
    deeds = stage.store.deeds(report.operation or 0)
    assert [(one.host, one.argv[0], one.status) for one in deeds] == [
        ("silo", "lvextend", 0), ("web1", "tee", 0), ("web1", "resize2fs", 0),
    ]  # fmt: skip
    assert stage.store.operation(1).reason == "the disk is nearly full"
    assert stage.volume().attachments[0].mountpoint == POINT
    assert Capability.IN_USE_EXTEND in stage.site.backend.capabilities
