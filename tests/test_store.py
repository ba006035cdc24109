"""The store: what it keeps, what it derives, what it refuses and what it says then."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extendctl.errors import Busy, ExtendctlError, Refused, TakenOver, Usage
from extendctl.model import (
    LayerOutcome,
    LayerReport,
    Opening,
    Operation,
    OperationState,
    Seen,
    Volume,
)
from extendctl.owner import LAPSE, Heartbeat, before_this_boot, is_dead, me
from extendctl.size import GIB, Size
from extendctl.stack import Measured, Obstacle
from extendctl.store import Store, open_store

pytestmark = pytest.mark.slow

MANY = 100_000


@dataclass(frozen=True)
class Lv:
    """A layer that only has a name."""

    key: str = "lv:uuid-1"
    host: str = "silo"
    kind: str = "lv"
    name: str = "vg0/vol1"
    slack: Size = 0

    def obstacles(self, to: Size) -> tuple[Obstacle, ...]:
        return ()

    def measure(self) -> Size:
        return GIB

    def room(self, below: Size) -> Size:
        return below

    def grow(self, to: Size) -> None:
        raise AssertionError("nothing grows here")

    def report(self, after: Size | None, outcome: LayerOutcome) -> LayerReport:
        return LayerReport(self.key, self.host, self.kind, self.name, GIB, after, outcome)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url, create=True) as opened:
        yield opened


def add(store: Store, name: str = "vol1", size: Size = GIB, project: str | None = None) -> Volume:
    return store.add_volume(
        name,
        backend="fast",
        source=f"vg0/{name}",
        identity=f"lv:{name}",
        size=size,
        project=project,
    )


def wanted(goal: Size = 2 * GIB, **facts: Any) -> Opening:
    return replace(Opening(GIB, goal, me(), GIB), **facts)


def opened(store: Store) -> Operation:
    add(store)
    return store.open_operation("vol1", wanted())


def refusal(error: pytest.ExceptionInfo[ExtendctlError]) -> tuple[str, str]:
    return error.value.fault.code, f"{error.value.fault.message} | {error.value.fault.hint}"


def test_a_volume_comes_back_as_it_was_taken_in(store: Store) -> None:
    volume = add(store, project="web")
    assert volume == store.volume("vol1")
    assert (volume.source, volume.identity, volume.project) == ("vg0/vol1", "lv:vol1", "web")
    assert (volume.size, volume.status, volume.attachments) == (GIB, "available", ())


def test_a_name_is_taken_once(store: Store) -> None:
    add(store)
    with pytest.raises(Refused) as error:
        store.add_volume("vol1", backend="b", source="s", identity="lv:other", size=1)
    assert refusal(error) == ("obstacle", "there is a volume vol1 already | choose another name")


def test_a_source_belongs_to_one_volume_across_backends(store: Store) -> None:
    add(store)
    with pytest.raises(Refused, match="vg0/vol1 of the backend fast is the volume vol1 already"):
        store.add_volume("vol2", backend="b", source="x/vol1", identity="lv:vol1", size=1)
    assert [volume.name for volume in store.volumes()] == ["vol1"]


def test_an_unknown_volume_is_answered_with_names_like_it(store: Store) -> None:
    add(store, "database")
    with pytest.raises(Refused) as error:
        store.volume("datbase")
    assert refusal(error) == ("not-found", "there is no volume 'datbase' | did you mean database?")


def test_volumes_are_sorted_and_carry_what_their_status_follows_from(store: Store) -> None:
    for name in ("c", "B", "a", "d"):
        add(store, name)
    store.attach("a", "web2", device="/dev/sdb", size=GIB)
    store.attach("a", "web1")
    store.open_operation("B", wanted())
    failed = store.open_operation("c", wanted())
    store.close_operation(failed, OperationState.FAILED, {"code": "backend-failed"})
    store.set_admin_status("d", "maintenance")
    found = store.volumes()
    assert [(one.name, one.status) for one in found] == [
        ("B", "extending"),
        ("a", "in-use"),
        ("c", "error_extending"),
        ("d", "maintenance"),
    ]
    assert [one.host for one in found[1].attachments] == ["web1", "web2"]
    assert found == [store.volume(one.name) for one in found]


def test_an_attachment_is_known_once_though_it_has_no_domain(store: Store) -> None:
    add(store)
    one = store.attach("vol1", "web1", device="/dev/sdb")
    assert (one.domain, one.server, one.lagging) == (None, None, False)
    with pytest.raises(Refused, match=r"vol1 is attached to web1 already \(linux\)"):
        store.attach("vol1", "web1", device="/dev/sdc")
    store.attach("vol1", "web1", compute="libvirt", domain="guest")
    with pytest.raises(Refused, match="attached to web1 2 times: linux; libvirt, domain guest"):
        store.detach("vol1", "web1")
    assert store.detach("vol1", "web1", domain="guest").compute == "libvirt"
    assert store.detach("vol1", "web1") == one
    with pytest.raises(Refused, match="vol1 is not attached to web1"):
        store.detach("vol1", "web1")


def test_what_was_not_seen_of_an_attachment_keeps_what_was_known(store: Store) -> None:
    add(store)
    one = store.attach("vol1", "web1", device="/dev/sdb", mountpoint="/srv", size=GIB)
    store.note_attachment(one.id, Seen(lagging=True))
    assert store.volume("vol1").lagging == (replace(one, lagging=True),)
    store.note_attachment(one.id, Seen(False, 2 * GIB, "/dev/sdc", None))
    seen = store.volume("vol1").attachments[0]
    assert (seen.size, seen.device, seen.mountpoint, seen.lagging) == (
        (2 * GIB, "/dev/sdc", None, False)
    )
    with pytest.raises(Refused, match="no attachment 99"):
        store.note_attachment(99, Seen(False))


def test_a_volume_in_use_is_not_forgotten(store: Store) -> None:
    op = opened(store)
    with pytest.raises(Busy):
        store.remove_volume("vol1", me())
    store.close_operation(op, OperationState.INCOMPLETE)
    store.attach("vol1", "web1")
    with pytest.raises(Refused, match="vol1 is attached to web1"):
        store.remove_volume("vol1", me())
    store.detach("vol1", "web1")
    store.remove_volume("vol1", me())
    assert store.volumes() == []
    assert store.operation(op.id).state == OperationState.ABANDONED
    add(store)
    assert store.unfinished("vol1") is None


def test_only_administrative_statuses_are_set(store: Store) -> None:
    add(store)
    with pytest.raises(Usage, match="'available' is not a status"):
        store.set_admin_status("vol1", "available")
    store.set_admin_status("vol1", "migrating")
    with pytest.raises(Refused) as error:
        store.open_operation("vol1", wanted())
    assert refusal(error)[0] == "invalid-status"
    store.set_admin_status("vol1", None)
    assert store.volume("vol1").status == "available"


def test_an_operation_comes_back_as_it_was_opened(store: Store) -> None:
    add(store)
    facts = wanted(
        targets={"lv:1": 2 * GIB},
        options={"fill": True},
        reason="grün",
        decision=("rule volume:extend: allow",),
    )
    op = store.open_operation("vol1", facts)
    assert (op.goal, op.before, op.epoch, op.owner) == (2 * GIB, GIB, 1, me())
    assert (op.targets, op.options) == ({"lv:1": 2 * GIB}, {"fill": True})
    assert (op.reason, op.decision) == ("grün", ("rule volume:extend: allow",))
    assert abs(op.opened_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert op.heartbeat_age is not None
    assert 0 <= op.heartbeat_age < 5
    again = store.operation(op.id)
    assert replace(again, heartbeat_age=op.heartbeat_age) == op


def test_an_open_operation_holds_off_everything_else(store: Store) -> None:
    op = opened(store)
    name = me().sudo_user or me().user
    deeds: tuple[Callable[[], object], ...] = (
        lambda: store.open_operation("vol1", wanted()),
        lambda: store.attach("vol1", "web1"),
        lambda: store.detach("vol1", "web1"),
        lambda: store.set_size("vol1", 5),
        lambda: store.reopen_operation(op.id, me()),
    )
    for deed in deeds:
        with pytest.raises(Busy, match=f"operation {op.id} of {name} on .*, process {me().pid}"):
            deed()


def test_what_the_caller_decided_on_must_still_hold(store: Store) -> None:
    add(store)
    with pytest.raises(Busy, match="has become 1 GiB meanwhile, it was 2 GiB"):
        store.open_operation("vol1", wanted(expected_size=2 * GIB))
    store.attach("vol1", "web1")
    with pytest.raises(Busy, match="attached or detached meanwhile"):
        store.open_operation("vol1", wanted(expected_attachments=frozenset()))
    assert store.operations() == []


def test_promised_space_is_not_promised_again_until_it_shows(store: Store) -> None:
    for name in ("vol1", "vol2", "vol3"):
        add(store, name)
    pool: dict[str, Any] = {
        "pool_key": "vg:1",
        "needed": 6,
        "pool_free": 10,
        "pool_seen": store.clock(),
    }
    op = store.open_operation("vol1", wanted(**pool))
    with pytest.raises(Refused) as error:
        store.open_operation("vol2", wanted(**pool))
    assert refusal(error) == (
        "no-space",
        (
            "vol2 needs 6 B and its pool has 10 B free, of which 6 B are promised to "
            f"operation {op.id} (vol1) | try again when that has ended"
        ),
    )
    store.open_operation("vol3", wanted(**pool | {"pool_key": "vg:2"}))
    store.trunk_settled(op, 2 * GIB)
    with pytest.raises(Refused):  # these figures are from before vol1 grew
        store.open_operation("vol2", wanted(**pool))
    time.sleep(0.002)
    store.open_operation("vol2", wanted(**pool | {"pool_seen": store.clock()}))


def test_a_pool_too_small_is_refused_without_a_holder(store: Store) -> None:
    add(store)
    with pytest.raises(Refused, match=r"vol1 needs 6 B and its pool has 5 B free$"):
        store.open_operation("vol1", wanted(pool_key="vg:1", needed=6, pool_free=5))


def test_a_project_is_counted_with_what_is_promised(store: Store) -> None:
    for name in ("a", "b"):
        add(store, name, project="web")
    add(store, "c")
    store.open_operation("a", wanted(5 * GIB))
    assert store.project_total("web") == 6 * GIB
    assert store.project_total("web", without="a") == GIB
    assert store.project_total("none") == 0
    with pytest.raises(Refused, match="the project web would have 8 GiB, its limit is 7 GiB"):
        store.open_operation("b", wanted(3 * GIB, project_max=7 * GIB))


def test_the_journal_tells_what_was_measured_before_and_after(store: Store) -> None:
    op = opened(store)
    layer = Lv()
    store.measured(op, Measured(layer, GIB, 2 * GIB))
    (before,) = store.records(op.id)
    assert (before.before, before.target, before.after, before.outcome) == (
        GIB,
        2 * GIB,
        None,
        None,
    )
    store.settled(op, layer.report(2 * GIB, LayerOutcome.GROWN))
    (after,) = store.records(op.id)
    assert (after.after, after.outcome) == (2 * GIB, LayerOutcome.GROWN)
    assert after.settled_at is not None
    assert after.settled_at >= after.measured_at


def test_a_layer_that_could_not_be_measured_has_a_line_too(store: Store) -> None:
    op = opened(store)
    store.settled(op, Lv().report(None, LayerOutcome.FAILED), {"code": "unreachable"})
    (line,) = store.records(op.id)
    assert (line.outcome, line.error) == (LayerOutcome.FAILED, {"code": "unreachable"})


def test_a_deed_keeps_the_end_of_what_was_said(store: Store) -> None:
    op = opened(store)
    number = store.begin_deed(op, "silo", ("lvextend", "-L2g"), "")
    (begun,) = store.deeds(op.id)
    assert (begun.argv, begun.status, begun.ended_at) == (("lvextend", "-L2g"), None, None)
    store.end_deed(op, number, 5, "x" * 5000 + "\0ü: no space left")
    (deed,) = store.deeds(op.id)
    assert (deed.argv, deed.status, deed.started_at) == (begun.argv, 5, begun.started_at)
    assert deed.ended_at is not None
    assert deed.output.endswith("xü: no space left")
    assert len(deed.output.encode()) <= 4096


def test_a_deed_that_was_not_begun_is_struck_out(store: Store) -> None:
    op = opened(store)
    store.withdraw_deed(store.begin_deed(op, "silo", ("lvextend",), ""))
    assert store.deeds(op.id) == []


def test_the_volume_has_its_size_once_the_trunk_has_settled(store: Store) -> None:
    op = opened(store)
    one = store.operation(op.id)
    assert not one.trunk_settled
    store.trunk_settled(op, 3 * GIB)
    volume = store.volume("vol1")
    assert (volume.size, volume.status, volume.open_operation) == (3 * GIB, "available", op.id)


def test_an_incomplete_operation_is_taken_up_again(store: Store) -> None:
    add(store)
    use = store.attach("vol1", "web1")
    op = store.open_operation("vol1", wanted())
    store.trunk_settled(op, 2 * GIB)
    error = {"code": "host-failed"}
    store.close_operation(op, OperationState.INCOMPLETE, error, {use.id: Seen(lagging=True)})
    closed = store.unfinished("vol1")
    assert closed is not None
    assert (closed.state, closed.error, closed.trunk_settled) == ("incomplete", error, True)
    assert closed.closed_at is not None
    volume = store.volume("vol1")
    assert (volume.status, len(volume.lagging)) == ("in-use", 1)
    again = store.reopen_operation(op.id, me())
    assert (again.epoch, again.state, again.error, again.closed_at) == (2, "open", None, None)
    store.close_operation(again, OperationState.DONE, None, {use.id: Seen(False, 2 * GIB)})
    assert store.unfinished("vol1") is None
    assert store.volume("vol1").lagging == ()
    with pytest.raises(Refused, match=f"operation {op.id} is done"):
        store.reopen_operation(op.id, me())


def test_extending_again_supersedes_what_failed(store: Store) -> None:
    op = opened(store)
    store.close_operation(op, OperationState.FAILED)
    assert store.volume("vol1").status == "error_extending"
    new = store.open_operation("vol1", wanted())
    assert store.operation(op.id).state == OperationState.SUPERSEDED
    store.close_operation(new, OperationState.DONE)
    assert store.volume("vol1").status == "available"
    assert [one.id for one in store.operations("vol1")] == [op.id, new.id]
    assert [one.id for one in store.operations(outcome=OperationState.DONE)] == [new.id]
    assert store.operations(since=store.clock() + timedelta(seconds=1)) == []


def test_a_failed_operation_gets_no_space_that_others_were_promised(store: Store) -> None:
    add(store, "vol2")
    add(store)
    pool: dict[str, Any] = {"pool_key": "vg:1", "needed": 6, "pool_free": 10}
    op = store.open_operation("vol1", wanted(**pool))
    store.close_operation(op, OperationState.FAILED)
    store.open_operation("vol2", wanted(**pool))
    with pytest.raises(Refused, match=r"promised to operation \d+ \(vol2\)"):
        store.reopen_operation(op.id, me(), pool_free=10)
    assert store.reopen_operation(op.id, me(), pool_free=12).epoch == 2


def test_who_was_taken_over_can_write_nothing_but_what_it_did(store: Store) -> None:
    old = opened(store)
    number = store.begin_deed(old, "silo", ("lvextend",), "")
    new = store.take_over(store.operation(old.id), me())
    layer = Lv()
    deeds: tuple[Callable[[], object], ...] = (
        lambda: store.measured(old, Measured(layer, GIB, 2 * GIB)),
        lambda: store.settled(old, layer.report(GIB, LayerOutcome.FULL)),
        lambda: store.heartbeat(old),
        lambda: store.trunk_settled(old, 9 * GIB),
        lambda: store.close_operation(old, OperationState.DONE),
        lambda: store.begin_deed(old, "silo", ("resize2fs",), ""),
        lambda: store.end_deed(old, number, 0, ""),
    )
    for deed in deeds:
        with pytest.raises(TakenOver, match=f"operation {old.id} of vol1 has been taken over"):
            deed()
    assert store.records(old.id) == []
    assert store.volume("vol1").size == GIB
    assert [one.status for one in store.deeds(old.id)] == [0]
    store.close_operation(new, OperationState.DONE)
    with pytest.raises(TakenOver):
        store.heartbeat(new)


def test_who_shows_life_is_not_taken_over(store: Store) -> None:
    seen = opened(store)
    time.sleep(0.002)
    store.heartbeat(seen)
    with pytest.raises(Busy, match="no longer as it was"):
        store.take_over(seen, me())


def test_abandoning_adopts_what_is_measured(store: Store) -> None:
    op = opened(store)
    store.close_operation(op, OperationState.FAILED, {"code": "backend-failed"})
    with pytest.raises(Busy):
        store.abandon(op, me())  # which still calls it open
    store.abandon(store.operation(op.id), me(), GIB + 512)
    volume = store.volume("vol1")
    assert (volume.status, volume.size) == ("available", GIB + 512)
    ended = store.operation(op.id)
    assert (ended.state, ended.error) == ("abandoned", {"code": "backend-failed"})
    with pytest.raises(Refused, match="has ended: it is abandoned"):
        store.abandon(ended, me())


def test_everybody_who_worked_on_an_operation_is_kept(store: Store) -> None:
    """The first who asked is not forgotten when another takes it up."""
    add(store)
    alice, bob, carol = (replace(me(), sudo_user=name) for name in ("alice", "bob", "carol"))
    op = store.open_operation("vol1", wanted(owner=alice))
    taken = store.take_over(op, bob)
    store.close_operation(taken, OperationState.FAILED)
    again = store.reopen_operation(op.id, alice)
    store.close_operation(again, OperationState.FAILED)
    store.abandon(store.operation(op.id), carol)
    runs = store.runs(op.id)
    assert [(one.epoch, str(one.what), one.sudo_user) for one in runs] == [
        (1, "opened", "alice"),
        (2, "taken over", "bob"),
        (3, "taken up", "alice"),
        (3, "abandoned", "carol"),
    ]
    times = [one.at for one in runs if one.at is not None]
    assert times == sorted(times)
    assert len(times) == 4


def test_an_unknown_operation_is_not_found(store: Store) -> None:
    with pytest.raises(Refused, match="there is no operation 7"):
        store.operation(7)


def test_an_owner_is_told_from_others(store: Store) -> None:
    here = me()
    elsewhere = replace(here, machine="elsewhere:1")
    assert not is_dead(here, 10 * LAPSE)
    assert is_dead(replace(here, started=here.started + 1), 0)
    assert is_dead(replace(here, boot_id="another"), LAPSE + 1)
    assert not is_dead(replace(here, boot_id="another"), 0)  # a clone of this machine, and alive
    assert is_dead(replace(here, pid=2**22 + 1), 0)
    assert not is_dead(elsewhere, LAPSE)
    assert is_dead(elsewhere, LAPSE + 1)
    assert not is_dead(elsewhere, None)


def test_who_was_heard_of_before_this_boot_alone_died_with_the_one_before() -> None:
    """At once after a reboot, as uptime is short then; a clone's heart beats on."""
    assert before_this_boot(31.0, 30.5)
    assert not before_this_boot(15.0, 30.5)
    assert not before_this_boot(-5.0, 30.5)  # the clock was set back over the reboot
    assert not before_this_boot(None, 30.5)


def test_a_zombie_is_dead_and_a_name_may_hold_a_parenthesis(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"])
    try:
        text = Path(f"/proc/{child.pid}/stat").read_text()
        started = int(text[text.rindex(")") + 2 :].split()[19])
        owner = replace(me(), pid=child.pid, started=started)
        assert not is_dead(owner, None)
        child.kill()
        deadline = time.monotonic() + 10
        while not is_dead(owner, None):
            assert time.monotonic() < deadline
    finally:
        child.wait()
    assert is_dead(owner, None)


def test_a_heart_beats_until_it_is_stopped_or_taken_over(store: Store) -> None:
    op = opened(store)
    with Heartbeat(lambda: store.heartbeat(op), every=0.01) as heart:
        first = store.operation(op.id).heartbeat
        deadline = time.monotonic() + 10
        while store.operation(op.id).heartbeat == first:
            assert time.monotonic() < deadline
        store.close_operation(op, OperationState.DONE)
        while heart.lost is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    heart.stop()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_many_volumes_are_listed_in_a_moment(store: Store, url: str) -> None:
    path = url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as raw:
        raw.executemany(
            "INSERT INTO volumes (name, backend, source, source_identity, size, created_at)"
            " VALUES (?, 'b', ?, ?, 1073741824, '2026-01-01 00:00:00.000000')",
            ((f"v{n:06}", f"vg0/v{n}", f"lv:{n}") for n in range(MANY)),
        )
        raw.execute(
            "INSERT INTO attachments (volume_id, host, compute, domain, server, lagging)"
            " SELECT id, 'web1', 'linux', '', '', 0 FROM volumes WHERE id % 2"
        )
    raw.close()
    start = time.monotonic()
    found = store.volumes()
    print(f"\n{MANY} volumes listed in {time.monotonic() - start:.2f} s")
    assert len(found) == MANY
    start = time.monotonic()
    with pytest.raises(Refused, match="no volume 'v05000x'"):
        store.volume("v05000x")
    print(f"a name not found among {MANY} in {time.monotonic() - start:.3f} s")
    start = time.monotonic()
    assert store.volume("v050000").size == GIB
    print(f"one volume of {MANY} in {1000 * (time.monotonic() - start):.1f} ms")


def test_a_fresh_process_opens_and_lists(store: Store, url: str) -> None:
    for number in range(20):
        add(store, f"vol{number}")
    code = f"from extendctl.store import open_store\nprint(len(open_store({url!r}).volumes()))"
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    print(f"\na fresh process opens the state and lists it in {time.monotonic() - start:.2f} s")
    assert done.stdout == "20\n"
