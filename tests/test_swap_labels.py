"""Swap space is made anew under its own label, or left in use when that cannot be read."""

import shutil
import subprocess
from pathlib import Path

import pytest

from extendctl import phrasebook
from extendctl.errors import Refused
from extendctl.transport import Result
from tests.extending import Stage, begin, untouched
from tests.phrases import UUID
from tests.world.tower import tower

PLAIN = ("my swap", "-x", "--label", "a\\b", "q\"'$`<>", "x" * 15)
OBSCURE = {"a\tb": "a^Ib", "\x01": "^A", "größe": "grM-CM-6M-CM-^_e", "a^Ib": "a^Ib"}
"""Labels that blkid does not print as they are, and how it does."""


def labelled(directory: Path, label: str) -> Stage:
    stage = begin(tower("swap"), directory)
    with stage.change() as state:
        state.contents["silo/vg0/vol1"].label = label
    return stage


@pytest.mark.parametrize("label", PLAIN)
def test_a_label_is_kept(label: str, tmp_path: Path) -> None:
    stage = labelled(tmp_path, label)
    assert stage.extend().error is None
    assert stage.world.state.contents["silo/vg0/vol1"].label == label


@pytest.mark.parametrize("label", OBSCURE)
def test_what_could_not_be_kept_is_named_with_its_device_and_its_host(
    label: str, tmp_path: Path
) -> None:
    stage = labelled(tmp_path, label)
    report = stage.extend()
    assert report.exit_status == 3
    assert report.error is not None
    fault = report.error.fault
    assert f"the swap space on /dev/sdb on web1 has the label '{OBSCURE[label]}'" in fault.message
    assert "swaplabel --label NAME /dev/sdb" in fault.hint
    assert untouched(stage)


def test_the_last_guard_names_the_device() -> None:
    with pytest.raises(Refused, match="is not what the swap space on /dev/sdb is called"):
        phrasebook.make_swap("/dev/sdb", UUID, "a\tb")


@pytest.mark.parametrize("label", [*PLAIN, *OBSCURE])
def test_mkswap_and_blkid_of_this_machine_do_so(label: str, tmp_path: Path) -> None:
    """As the program says and reads it."""
    if shutil.which("mkswap") is None or shutil.which("blkid") is None:
        pytest.skip("no mkswap or blkid here (Debian: util-linux)")
    image = tmp_path / "image"
    image.write_bytes(bytes(4 << 20))
    made = phrasebook.make_swap("/dev/sdb", UUID, "x").argv
    words = (f"--label={label}" if one == "--label=x" else one for one in made[:-1])
    subprocess.run([*words, str(image)], capture_output=True, check=True)
    question = phrasebook.signature("/dev/sdb")
    argv = ("env", "LC_ALL=C", *question.argv[:-1], str(image))
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = question.parse(Result(argv, done.returncode, done.stdout, done.stderr))
    assert (found["UUID"], found["LABEL"]) == (UUID, OBSCURE.get(label, label))
