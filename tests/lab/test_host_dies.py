"""A host that falls silent does not hold the volume back, and follows when it is awake again."""

from pathlib import Path

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program
from tests.lab.writer import Writer

OLD, NEW = 512 * MIB, 600 * MIB

# Stands in for lvextend on silo: once the volume has grown, it waits for a word to go on.
_LVEXTEND = "/usr/local/sbin/lvextend"
_WAITING = f"""#!/bin/sh
{_LVEXTEND.replace("/local", "")} "$@"
status=$?
touch /run/has-grown
while [ ! -e /run/go-on ]; do sleep 0.1; done
exit $status
"""


def impatient(lab: Lab, directory: Path, name: str) -> Program:
    """The program with one volume, waiting for a silent machine no longer than it has to."""
    known = program.known(lab, directory, name)
    return known.edit("  connect_timeout: 30", "  connect_timeout: 15\n  command_timeout: 15")


def test_a_host_that_dies_after_the_backend_has_grown_follows_later(
    fresh_lab: Lab, tmp_path: Path
) -> None:
    lab = fresh_lab
    ops = impatient(lab, tmp_path, "ext4vol")
    writer = Writer(lab, "web1", "/srv/ext4vol")
    lab.put("silo", _LVEXTEND, _WAITING)
    lab.run("silo", f"chmod +x {_LVEXTEND}")
    extending = ops.start("volume", "extend", "ext4vol", "--size", "600M")
    lab.run("silo", "while [ ! -e /run/has-grown ]; do sleep 0.1; done")
    lab.freeze("web1")
    lab.run("silo", f"touch /run/go-on; rm {_LVEXTEND}")
    result = program.wait(extending, status=5).result
    assert (result["outcome"], result["status"], result["size"]) == ("incomplete", "in-use", NEW)
    assert program.layers(result) == {
        "silo lv": NEW, "silo lun": NEW, "web1 path": None, "web1 ext4": None
    }  # fmt: skip
    (attachment,) = result["attachments"]
    assert attachment["outcome"] == "incomplete"
    assert attachment["error"]["code"] in {"unreachable", "outcome-unknown"}
    _while_it_lags(ops)
    lab.thaw("web1")
    _once_awake(lab, ops)
    assert writer.stop_and_verify().verified > 0


def _while_it_lags(ops: Program) -> None:
    shown = ops.show("ext4vol")
    assert (shown["status"], shown["size"]) == ("in-use", NEW)
    assert [one["lagging"] for one in shown["attachments"]] == [True]
    assert ops.run("volume", "check", "ext4vol", status=5).result["status"] == "in-use"
    relative = ops.run("volume", "extend", "ext4vol", "--size", "+10%", status=3)
    assert "volume resume" in relative.words
    assert ops.run("volume", "resume", "ext4vol", status=4).code == "unreachable"


def _once_awake(lab: Lab, ops: Program) -> None:
    ops.run("volume", "check", "ext4vol", status=5)
    resumed = ops.run("volume", "resume", "ext4vol").result
    assert (resumed["outcome"], resumed["status"], resumed["size"]) == ("done", "in-use", NEW)
    after = program.measure(lab, "ext4vol")["ext4vol"]
    assert program.layers(resumed) == after
    assert set(after.values()) == {NEW}
    assert [one["lagging"] for one in ops.show("ext4vol")["attachments"]] == [False]
    assert ops.run("volume", "resume", "ext4vol").result["outcome"] == "unchanged"
    ops.run("volume", "check", "ext4vol")


def test_a_host_that_is_silent_from_the_start_means_not_now_unless_it_may_lag(
    fresh_lab: Lab, tmp_path: Path
) -> None:
    lab = fresh_lab
    ops = impatient(lab, tmp_path, "xfsvol")
    writer = Writer(lab, "web1", "/srv/xfsvol")
    before = ops.show("xfsvol")
    lab.freeze("web1")
    refused = ops.run("volume", "extend", "xfsvol", "--size", "600M", status=4)
    assert (refused.result["outcome"], refused.code) == ("not-now", "unreachable")
    assert ops.show("xfsvol") == before
    assert _size_on_silo(lab) == OLD
    lagging = ops.run("volume", "extend", "xfsvol", "--size", "600M", "--allow-lagging", status=5)
    assert (lagging.result["status"], lagging.result["size"]) == ("in-use", NEW)
    assert _size_on_silo(lab) == NEW
    lab.thaw("web1")
    (resumed,) = ops.run("volume", "resume", "--all").json
    assert resumed["outcome"] == "done"
    assert set(program.measure(lab, "xfsvol")["xfsvol"].values()) == {NEW}
    assert writer.stop_and_verify().verified > 0


def _size_on_silo(lab: Lab) -> int:
    return int(lab.run("silo", "blockdev --getsize64 /dev/vg0/xfsvol").stdout)
