"""LUKS mappings: which of them want a key to grow, and which cannot grow at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.extending import Stage, begin, untouched
from tests.world.state import Content, State
from tests.world.tower import KEY, tower


def header(state: State) -> Content:
    return next(one for one in state.contents.values() if one.type == "crypto_LUKS")


def keyless(stage: Stage) -> None:
    """Nobody has configured a key file."""
    stage.configured(
        hosts={name: replace(one, luks_keys={}) for name, one in stage.config.hosts.items()}
    )


def told(stage: Stage) -> str:
    """All reasons of an extension that is refused and has touched nothing."""
    report = stage.extend()
    assert report.exit_status == 3
    assert report.error is not None
    assert untouched(stage)
    return " ".join(f"{fault.message} {fault.hint}" for fault in report.error.faults)


def resizes(stage: Stage) -> list[tuple[str, ...]]:
    return [argv for argv in stage.world.deeds("web1") if argv[0] == "cryptsetup"]


def test_luks1_grows_without_a_key(tmp_path: Path) -> None:
    stage = begin(tower("luks1", "ext4"), tmp_path)
    keyless(stage)
    assert stage.extend().error is None
    assert resizes(stage) == [("cryptsetup", "resize", "--batch-mode", "crypt0")]


def test_luks2_with_its_key_in_the_mapping_grows_without_one(tmp_path: Path) -> None:
    """Opened with --disable-keyring; a key file that is configured is not asked for."""
    stage = begin(tower("luks", "ext4"), tmp_path)
    with stage.change() as state:
        header(state).keyring = False
    assert stage.extend().error is None
    assert resizes(stage) == [("cryptsetup", "resize", "--batch-mode", "crypt0")]


def test_luks2_with_its_key_in_the_keyring_wants_the_key_file(tmp_path: Path) -> None:
    stage = begin(tower("luks", "ext4"), tmp_path)
    keyless(stage)
    words = told(stage)
    assert "the volume key of crypt0 on web1 is in the kernel's keyring" in words
    assert "luks_keys: {crypt0: /path/to/key}" in words


def test_a_key_file_is_named_and_never_read_out(tmp_path: Path) -> None:
    stage = begin(tower("luks", "ext4"), tmp_path)
    report = stage.extend()
    assert resizes(stage) == [("cryptsetup", "resize", "--batch-mode", "--key-file", KEY, "crypt0")]
    said = [entry.stdin for entry in stage.world.log if entry.argv[0] == "cryptsetup"]
    assert set(said) == {""}
    assert KEY not in str(report.as_dict())


@pytest.mark.parametrize("above", ["ext4", "lvm"])
def test_a_header_that_is_elsewhere_is_refused(above: str, tmp_path: Path) -> None:
    stage = begin(tower("luks", above), tmp_path)
    with stage.change() as state:
        header(state).detached = True
    words = told(stage)
    assert "the mapping crypt0 on web1 has its header elsewhere" in words
    assert "cryptsetup resize --header FILE crypt0" in words


def test_a_mapping_with_integrity_is_refused_and_is_no_complaint_of_a_check(
    tmp_path: Path,
) -> None:
    """Cryptsetup says "Unsupported parameters"; the kernel shows another mapping beneath it."""
    stage = begin(tower("luks", "ext4"), tmp_path)
    with stage.change() as state:
        devices = state.machines["web1"].devices
        name = next(key for key, one in devices.items() if one.dm_name == "crypt0")
        below = devices[name].model_copy(update={"dev": "253:77", "dm_name": "crypt0_dif"})
        below.dm_uuid = "CRYPT-INTEGRITY-crypt0"
        below.content = None
        devices["dm-77"] = below
        devices[name].slaves = ["dm-77"]
    assert "the mapping crypt0 on web1 has integrity protection" in told(stage)
    assert stage.check().error is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("reencrypting", "the mapping crypt0 on web1 is being reencrypted (in-progress)"),
        ("suspended", "the mapping crypt0 on web1 is suspended"),
    ],
)
def test_what_cannot_be_resized_now_is_found_before(
    change: str, words: str, tmp_path: Path
) -> None:
    stage = begin(tower("luks", "ext4"), tmp_path)
    with stage.change() as state:
        setattr(header(state), change, True)
    assert words in told(stage)
