"""A volume's status: what may be extended, what each failure leaves, and every way out of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from extendctl import inventory
from extendctl.errors import Busy, ConfigError, ExtendctlError, Refused, Unreachable
from extendctl.extension.abandon import abandon
from extendctl.inventory import Place
from extendctl.model import ADMINISTRATIVE, LayerOutcome, OperationState, Outcome
from extendctl.owner import me
from extendctl.stack import Event, Settled
from tests.extending import (
    GOAL,
    VOLUME,
    Rehearsal,
    Stage,
    begin,
    code,
    codes,
    outgrow,
    untouched,
    untrue,
)
from tests.mortal import Fate, killed, start
from tests.world.site import iscsi_ext4, iscsi_xfs, shared
from tests.world.state import GIB

pytestmark = pytest.mark.long


def says_no(stage: Stage, times: int = 1) -> None:
    """The backend's lvextend fails, in words of its own."""
    words = "  device-mapper: resume ioctl on (253:0) failed: Invalid argument"
    stage.world.lie("silo", "lvextend", status=5, err=words, times=times)


@pytest.mark.parametrize("status", ADMINISTRATIVE)
def test_every_administrative_status_blocks_by_name(status: str, tmp_path: Path) -> None:
    """Refused as invalid-status, with the status in the message and the way to lift it."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.store.set_admin_status(VOLUME, status)
    report = stage.extend()
    assert (code(report), report.exit_status, report.status) == ("invalid-status", 3, status)
    assert report.error is not None
    assert f"vol1 is {status};" in report.error.fault.message
    assert f"set-status {VOLUME} clear" in report.error.fault.hint
    assert stage.world.count() == 0
    stage.store.set_admin_status(VOLUME, None)
    assert stage.extend().outcome == Outcome.DONE


def test_an_administrative_status_blocks_resume_as_well(tmp_path: Path) -> None:
    """What is in maintenance is not touched, though something lags there."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1", "tee", status=1, err="tee: no", times=1)
    stage.extend()
    stage.store.set_admin_status(VOLUME, "maintenance")
    deeds = stage.world.deeds()
    report = stage.resume()
    assert (code(report), report.exit_status) == ("invalid-status", 3)
    assert stage.world.deeds() == deeds
    stage.store.set_admin_status(VOLUME, None)
    assert stage.resume().outcome == Outcome.DONE


def test_a_backend_that_fails_leaves_error_extending(tmp_path: Path) -> None:
    """The backend said no: exit 5, backend-failed, its own words, no size is believed."""
    stage = begin(iscsi_ext4(), tmp_path)
    says_no(stage)
    report = stage.extend()
    assert (report.outcome, code(report), report.exit_status) == (
        Outcome.INCOMPLETE, "backend-failed", 5,
    )  # fmt: skip
    assert "resume ioctl" in str(report.error)
    assert (report.status, report.size, stage.growths) == ("error_extending", 10 * GIB, {})
    assert report.layers[0].outcome == LayerOutcome.FAILED
    assert {line.outcome for line in report.layers[1:]} == {LayerOutcome.UNKNOWN}
    assert stage.store.operation(1).state == OperationState.FAILED


@pytest.mark.parametrize("how", ["extend", "resume"])
def test_error_extending_is_left_by_extend_and_by_resume(how: str, tmp_path: Path) -> None:
    """The retry is the command again, or resume; it is the same operation that ends."""
    stage = begin(iscsi_ext4(), tmp_path)
    says_no(stage)
    stage.extend()
    report = stage.extend() if how == "extend" else stage.resume()
    assert (report.outcome, report.operation, report.status) == (Outcome.DONE, 1, "in-use")
    assert (report.size, stage.unfinished) == (GOAL, None)
    assert untrue(stage, report) == []


def test_a_backend_that_fails_again_stays_in_error_extending(tmp_path: Path) -> None:
    """A retry that fails is told as the first one was."""
    stage = begin(iscsi_ext4(), tmp_path)
    says_no(stage, times=2)
    assert (stage.extend().exit_status, stage.resume().exit_status) == (5, 5)
    assert stage.status == "error_extending"
    assert stage.resume().outcome == Outcome.DONE


def test_a_backend_that_says_yes_and_does_nothing_is_not_verified(tmp_path: Path) -> None:
    """Exit status 0 is no evidence: the second measurement is."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "lvextend", status=0, times=1)
    report = stage.extend()
    assert (code(report), report.status) == ("not-verified", "error_extending")
    assert stage.resume().outcome == Outcome.DONE


def test_a_backend_that_says_no_and_did_it_is_done(tmp_path: Path) -> None:
    """lvm2 has been seen to crash after its work: the size counts, not the exit status."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("silo", "lvextend", status=139, acts=True, times=1)
    report = stage.extend()
    assert (report.outcome, report.size) == (Outcome.DONE, GOAL)


def test_resume_with_nothing_to_do_is_unchanged(tmp_path: Path) -> None:
    """No open operation, nothing lags: exit 0, and no machine is asked."""
    stage = begin(iscsi_ext4(), tmp_path)
    report = stage.resume()
    assert (report.outcome, report.exit_status, stage.world.count()) == (Outcome.UNCHANGED, 0, 0)


def test_a_refusal_while_in_error_extending_leaves_it_so(tmp_path: Path) -> None:
    """A host that is away now: not now, and the status is what it was."""
    stage = begin(iscsi_ext4(), tmp_path)
    says_no(stage)
    stage.extend()
    stage.world.down("web1")
    for report in (stage.extend(), stage.resume(), stage.extend("30G")):
        assert (report.exit_status, report.status) == (4, "error_extending")
    stage.world.up("web1")
    assert stage.resume().outcome == Outcome.DONE


def test_a_line_that_was_never_there_leaves_the_status_as_it_was(tmp_path: Path) -> None:
    """The first deed could not be sent: not now, nothing changed, nothing left behind."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.cut("silo", when="unsent", only="deed")
    report = stage.extend()
    assert (report.exit_status, report.outcome, report.status) == (4, Outcome.NOT_NOW, "in-use")
    assert (stage.unfinished, stage.growths) == (None, {})


# Ways out ----------------------------------------------------------------------------------------


def test_abandoning_what_failed_adopts_what_is_there(tmp_path: Path) -> None:
    """The backend grew to 15 GiB and no further: abandon ends it there, in-use again."""
    stage = begin(shared(), tmp_path)
    says_no(stage)
    failed = stage.extend().error
    assert failed is not None
    assert failed.fault.hint == (
        "when the cause is gone: extendctl volume resume vol1; "
        "to give it up: extendctl operation abandon 1"
    )
    outgrow(stage, 15 * GIB)
    ended = abandon(stage.means(), 1)
    volume = stage.volume()
    assert (ended.state, volume.status, volume.size) == ("abandoned", "in-use", 15 * GIB)
    assert {one.host for one in volume.lagging} == {"web1", "web2"}
    assert {one.size for one in volume.attachments} == {10 * GIB}
    report = stage.resume()
    assert (report.outcome, report.size, stage.volume().lagging) == (Outcome.DONE, 15 * GIB, ())


def test_what_has_ended_is_not_abandoned(tmp_path: Path) -> None:
    """Done is done; and no number is no operation."""
    stage = begin(iscsi_ext4(), tmp_path)
    stage.extend()
    stage.world.down("silo")  # nobody has to be asked about that
    for number, expected in ((1, "obstacle"), (7, "not-found")):
        with pytest.raises(Refused) as no:
            abandon(stage.means(), number)
        assert no.value.fault.code == expected


def test_what_cannot_be_measured_is_not_abandoned(tmp_path: Path) -> None:
    """The backend is away: nothing is adopted unseen."""
    stage = begin(iscsi_ext4(), tmp_path)
    says_no(stage)
    stage.extend()
    stage.world.down("silo")
    with pytest.raises(Unreachable) as away:
        abandon(stage.means(), 1)
    assert away.value.fault.hint.endswith("extendctl operation abandon 1 --unmeasured")
    assert stage.status == "error_extending"


@pytest.mark.parametrize("gone", ["machine", "backend"])
def test_what_never_comes_back_is_abandoned_unmeasured(gone: str, tmp_path: Path) -> None:
    """The machine has died, or its backend is configured no more: the volume can be forgotten."""
    stage = Rehearsal(iscsi_ext4, tmp_path, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    if gone == "machine":
        stage.world.down("silo")
    else:
        stage.configured(backends={})
    with pytest.raises(Unreachable if gone == "machine" else ConfigError):
        abandon(stage.means(), 1)
    assert abandon(stage.means(), 1, unmeasured=True).state == "abandoned"
    volume = stage.volume()
    assert (volume.status, volume.size, len(volume.lagging)) == ("in-use", 10 * GIB, 1)
    inventory.detach(stage.means(), VOLUME, Place("web1"))
    stage.store.remove_volume(VOLUME, me())


def test_a_volume_that_is_gone_can_be_forgotten(tmp_path: Path) -> None:
    """The program died and the volume was destroyed: abandon, detach, remove lead out of it."""
    stage = Rehearsal(iscsi_ext4, tmp_path, shared=True).again()
    start(stage, Fate(1, killed, ("deed after",))).ended()
    with stage.change() as state:
        del state.machines["silo"].groups["vg0"].volumes["vol1"]
    assert stage.resume().exit_status in {3, 5}
    assert abandon(stage.means(), 1).state == "abandoned"
    assert stage.status == "in-use"
    assert len(stage.volume().lagging) == 1
    inventory.detach(stage.means(), VOLUME, Place("web1"))
    stage.store.remove_volume(VOLUME, me())
    assert stage.store.volumes() == []


def test_who_forgets_a_volume_ends_what_was_unfinished_and_stands_in_the_record(
    tmp_path: Path,
) -> None:
    stage = begin(iscsi_ext4(), tmp_path, attached=False)
    says_no(stage)
    assert stage.extend().status == "error_extending"
    carol = replace(me(), user="carol")
    stage.store.remove_volume(VOLUME, carol)
    (ended,) = stage.store.operations()
    assert ended.state == OperationState.ABANDONED
    last = stage.store.runs(ended.id)[-1]
    assert (last.what, last.user) == ("abandoned", "carol")


def test_a_living_owner_is_not_abandoned(tmp_path: Path) -> None:
    """Busy while the program is at work: this very one, in the middle of a deed."""
    stage = begin(iscsi_ext4(), tmp_path)
    found: list[ExtendctlError] = []

    def look(_volume: str, event: Event) -> None:
        if isinstance(event, Settled) and event.layer.kind == "lv":
            try:
                abandon(stage.means(), 1)
            except Busy as busy:
                found.append(busy)

    stage.listener = look
    assert stage.extend().outcome == Outcome.DONE
    assert len(found) == 1


# What the configuration and the inventory do to it -----------------------------------------------


def test_an_attachment_that_is_there_already_is_refused(tmp_path: Path) -> None:
    """The same use of the same host is one attachment; another compute is another."""
    stage = begin(iscsi_ext4(), tmp_path)
    with pytest.raises(Refused) as no:
        inventory.attach(stage.means(), VOLUME, Place("web1"))
    assert no.value.fault.code == "obstacle"
    assert len(stage.volume().attachments) == 1


@pytest.mark.parametrize("lost", ["backends", "hosts"])
def test_what_the_configuration_no_longer_has_is_a_fault_of_it(lost: str, tmp_path: Path) -> None:
    """Backend or host renamed after the import: exit 2, by name, nothing changed."""
    stage = begin(iscsi_ext4(), tmp_path)
    hosts = {name: one for name, one in stage.config.hosts.items() if name != "web1"}
    stage.configured(**{lost: {} if lost == "backends" else hosts})
    name = "'san'" if lost == "backends" else "'web1'"
    for report in (stage.extend(), stage.extend(dry_run=True)):
        assert (report.exit_status, code(report)) == (2, "config")
        assert name in str(report.error)
    assert stage.check().exit_status in {2, 5}
    assert untouched(stage)


def test_a_volume_that_nobody_knows_is_not_found(tmp_path: Path) -> None:
    """With the names that are like it."""
    stage = begin(iscsi_ext4(), tmp_path)
    report = stage.extend(name="vol2")
    assert (code(report), report.exit_status, report.status) == ("not-found", 3, None)
    assert report.error is not None
    assert "vol1" in report.error.fault.hint


def test_a_detached_volume_is_available_and_so_it_stays(tmp_path: Path) -> None:
    """After an extension, a volume without attachments is available again, not in-use."""
    stage = begin(iscsi_xfs(), tmp_path, attached=False)
    assert stage.status == "available"
    report = stage.extend()
    assert (report.outcome, report.status, stage.status) == (Outcome.DONE, "available", "available")
    assert [line.kind for line in report.layers] == ["lv", "lun"]
    assert codes(report) == []


@pytest.mark.parametrize("acts", [True, False])
def test_an_lvm_that_crashes_is_judged_by_what_it_has_left(acts: bool, tmp_path: Path) -> None:
    """A segmentation fault after the work is success; before it, the backend has failed."""
    stage = begin(iscsi_ext4(), tmp_path)
    words = "Segmentation fault"
    stage.world.lie("silo", "lvextend", status=139, err=words, acts=acts, only="deed", times=1)
    report = stage.extend()
    if acts:
        assert (report.outcome, report.error) == (Outcome.DONE, None)
    else:
        assert (code(report), report.status) == ("backend-failed", "error_extending")
        assert words in str(report.error)
        assert stage.resume().outcome == Outcome.DONE
    assert set(stage.growths.values()) == {1}
