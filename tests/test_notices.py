"""What is worth a word and is no error stands in each result, also where it is read by programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.extending import Stage, begin, outgrow
from tests.world import changes
from tests.world.site import Site, iscsi_ext4, iscsi_xfs, shared
from tests.world.state import GIB


def unmounted(stage: Stage) -> None:
    with stage.change() as state:
        changes.unmount(state, "web1")


def outgrown(stage: Stage) -> None:
    outgrow(stage, 30 * GIB)


def outgrown_everywhere(stage: Stage) -> None:
    outgrow(stage, 30 * GIB)
    with stage.change() as state:
        for host in ("web1", "web2"):
            state.machines[host].devices["sdb"].size = 30 * GIB


Case = tuple[Callable[[], Site], Callable[[Stage], None], dict[str, Any], str]
LEFT = "/srv/vol1 is left as it is: left alone, as asked by --no-filesystem"
CASES: dict[str, Case] = {
    "no filesystem": (iscsi_ext4, lambda _: None, {"no_filesystem": True}, LEFT),
    "unmounted ext4": (iscsi_ext4, unmounted, {}, "is not mounted on this host"),
    "unmounted xfs": (iscsi_xfs, unmounted, {}, "is not in use on this host"),
    "larger": (iscsi_ext4, outgrown, {}, "30 GiB (32212254720 bytes) where the state has 10 GiB"),
    "all larger": (shared, outgrown_everywhere, {}, "that size is adopted"),
}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_result_tells_what_is_left_and_what_is_adopted(
    name: str, dry_run: bool, tmp_path: Path
) -> None:
    make, change, options, said = CASES[name]
    stage = begin(make(), tmp_path)
    change(stage)
    result = stage.extend(dry_run=dry_run, **options).as_dict()
    assert result["error"] is None
    assert any(said in notice for notice in result["notices"])


@pytest.mark.parametrize("tool", ["tee", "lvextend"])
def test_a_result_that_is_incomplete_tells_it_too(tool: str, tmp_path: Path) -> None:
    stage = begin(iscsi_ext4(), tmp_path)
    stage.world.lie("web1" if tool == "tee" else "silo", tool, status=5, err="no", only="deed")
    result = stage.extend(no_filesystem=True).as_dict()
    assert (result["outcome"], result["notices"]) == ("incomplete", [f"web1: {LEFT}"])


def test_a_result_that_was_refused_as_it_was_opened_tells_it_too(tmp_path: Path) -> None:
    """Somebody has attached it elsewhere meanwhile."""
    stage = begin(iscsi_ext4(), tmp_path)

    def meanwhile(_: object) -> None:
        if len(stage.volume().attachments) == 1:
            stage.store.attach("vol1", "web9")

    stage.world.surprise("silo", "lvs", meanwhile)
    result = stage.extend(no_filesystem=True).as_dict()
    assert (result["error"]["code"], result["notices"]) == ("busy", [f"web1: {LEFT}"])
