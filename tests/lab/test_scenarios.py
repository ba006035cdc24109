"""The three scenarios: no capability; a host that cannot follow; a backend and hosts that can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program

OLD, NEW = 512 * MIB, 600 * MIB
_EXTEND = ("volume", "extend", "xfsvol", "--size", "600M")


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program with xfsvol in use on web1 and rawvol on both hosts."""
    lab.reset()
    return program.known(lab, tmp_path_factory.mktemp("scenarios"), "xfsvol", "rawvol")


@pytest.fixture
def ops(site: Program) -> Iterator[Program]:
    """The same, with a configuration that a test may change."""
    text = site.config.read_text()
    yield site
    site.config.write_text(text)


def test_without_the_capability_only_what_is_not_in_use_grows(lab: Lab, tmp_path: Path) -> None:
    lab.reset()
    ops = program.bare(lab, tmp_path)
    for name in ("xfsvol", "freevol"):
        ops.run("volume", "import", name, "--backend", "nocap", "--source", name)
    ops.run("volume", "attach", "xfsvol", "web1")
    before = program.measure(lab, "xfsvol")
    refused = ops.run(*_EXTEND, status=3)
    assert (refused.result["outcome"], refused.result["status"]) == ("refused", "in-use")
    assert refused.code == "capability-missing"
    assert "does not support extending a volume that is in-use" in refused.words
    assert program.measure(lab, "xfsvol") == before
    assert ops.run("operation", "list").json == []
    free = ops.run("volume", "extend", "freevol", "--size", "600M").result
    assert (free["outcome"], free["status"], free["size"]) == ("done", "available", NEW)
    assert program.measure(lab, "freevol")["freevol"]["silo lv"] == NEW


class Broken(NamedTuple):
    """How web1 is made unable to follow, how it is mended, and what the refusal has to name."""

    breaks: str
    mends: str
    word: str


_XFS_GROWFS = "/usr/sbin/xfs_growfs"
BROKEN = {
    "a tool is missing": Broken(
        f"mv {_XFS_GROWFS} /root", f"mv /root/xfs_growfs {_XFS_GROWFS}", "xfs_growfs"
    ),
    "it is mounted read-only": Broken(
        "mount -o remount,ro /srv/xfsvol", "mount -o remount,rw /srv/xfsvol", "read-only"
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_host_that_cannot_follow_is_found_before_anything_grows(
    lab: Lab, ops: Program, how: str
) -> None:
    broken = BROKEN[how]
    lab.run("web1", broken.breaks)
    refused = _refused(lab, ops, 3)
    lab.run("web1", broken.mends)
    assert refused["error"]["code"] == "obstacle"
    assert broken.word in str(refused["error"])


@pytest.mark.parametrize("user", ["nosudo", "pwsudo"])
def test_a_user_who_may_not_grow_anything_is_found_before_anything_grows(
    lab: Lab, ops: Program, user: str
) -> None:
    ops.edit("  web1: {", f"  web1: {{user: {user}, identity_file: {lab.identity(user)}, ")
    refused = _refused(lab, ops, 3)
    assert refused["error"]["code"] == "obstacle"
    assert user in str(refused["error"])
    assert "web1" in str(refused["error"])


def test_a_host_that_cannot_be_reached_means_not_now(lab: Lab, ops: Program) -> None:
    ops.edit("connect_timeout: 30", "connect_timeout: 10")
    lab.link("web1", 0, up=False)
    try:
        refused = _refused(lab, ops, 4)
    finally:
        lab.link("web1", 0, up=True)
    assert (refused["outcome"], refused["error"]["code"]) == ("not-now", "unreachable")


def test_a_path_that_is_offline_is_found_before_anything_grows(lab: Lab, ops: Program) -> None:
    (rawvol,) = program.named("rawvol")
    state = f"/sys/block/{program.disk(lab, 'web2', rawvol)}/device/state"
    before = program.measure(lab, "rawvol")
    lab.run("web2", f"echo offline > {state}")
    refused = ops.run("volume", "extend", "rawvol", "--size", "600M", status=3)
    lab.run("web2", f"echo running > {state}")
    assert refused.code == "obstacle"
    assert "offline" in refused.words
    assert "web2" in refused.words
    assert program.measure(lab, "rawvol") == before


def test_with_the_capability_and_hosts_that_follow_it_is_done(lab: Lab, ops: Program) -> None:
    done = ops.run(*_EXTEND).result
    assert (done["outcome"], done["status"], done["size"]) == ("done", "in-use", NEW)
    after = program.measure(lab, "xfsvol")["xfsvol"]
    assert program.layers(done) == after
    assert set(after.values()) == {NEW}
    assert {name: lab.kernel_errors(name) for name in lab.names} == {
        "silo": [], "web1": [], "web2": []
    }  # fmt: skip


def _refused(lab: Lab, ops: Program, status: int) -> Any:
    """Tries to extend xfsvol; nothing may have changed afterwards, on silo or in the state."""
    before = ops.show("xfsvol")
    refused = ops.run(*_EXTEND, status=status).result
    assert ops.show("xfsvol") == before
    assert refused["status"] == "in-use"
    assert refused["size"] == OLD
    assert int(lab.run("silo", "blockdev --getsize64 /dev/vg0/xfsvol").stdout) == OLD
    assert ops.run("operation", "list").json == []
    return refused
