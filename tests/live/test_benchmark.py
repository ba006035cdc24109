"""The benchmark still runs: one round of what needs no lab, whose figures are not judged."""

import re
from pathlib import Path

import pytest

from benchmarks import figures, rivals
from benchmarks.native import native
from benchmarks.tape import Recording
from extendctl.config import Config
from tests.sshd import require_sshd


def test_the_main_job_is_measured_against_scripts_that_do_the_same_work(
    machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each script grows the volume by one step; a last run of the program finds all in order."""
    require_sshd()
    monkeypatch.delenv("EXTENDCTL_CONFIG", raising=False)
    found = native(1)
    tape = found.contest.tape
    assert set(found.contest.series) == {rivals.PROGRAM, *rivals.SCRIPTS}
    tools = ("truncate", "losetup", "xfs_growfs")
    assert [next(tool for tool in tools if tool in one.argv) for one in tape.deeds] == list(tools)
    assert 3 <= tape.waits <= len(tape.calls)
    assert tape.connects == 1
    text = "\n".join([*figures.of_contest(found.contest, 1), *figures.of_native(found)])
    assert len(re.findall(r"\| script, ", text)) == len(rivals.SCRIPTS)
    assert "sqlalchemy" in found.imports


def test_a_script_moves_sizes_and_leaves_other_numbers_alone() -> None:
    scripts = rivals.Scripts(Path("/none"), Config("", {}, {}), Recording(), 512)
    command = "lvextend --size 536870912b vg0/vol1; sfdisk -N 1 1046528; timeout 180"
    assert scripts.moved(command, 516) == (
        "lvextend --size 541065216b vg0/vol1; sfdisk -N 1 1054720; timeout 180"
    )
