"""What live tests need of this machine, and a place that is cleaned up whatever happens."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.place import Place
from tests.live.ssh_place import SshPlace
from tests.sshd import Sshd, require_sshd

TOOLS = ("losetup", "blockdev", "mkfs.xfs", "xfs_growfs", "mkfs.btrfs", "btrfs", "mkfs.ext4")


def unusable() -> str:
    """Why live tests cannot run on this machine; empty when they can."""
    if os.geteuid() != 0:
        return "only root can attach loop devices and mount"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"missing here: {', '.join(missing)} (Debian: xfsprogs, btrfs-progs, e2fsprogs)"
    free = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    return "" if free.returncode == 0 else f"no loop devices here: {free.stderr.strip()}"


@pytest.fixture(scope="session")
def machine() -> None:
    """This machine, as one that live tests can run on."""
    reason = unusable()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def home(machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which the embedded default keeps everything."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("EXTENDCTL_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def place(home: Path) -> Iterator[Place]:
    """The program on the embedded default."""
    place = Place(home)
    try:
        yield place
    finally:
        place.clean()


@pytest.fixture(scope="session")
def sshd(machine: None) -> Iterator[Sshd]:
    """A real sshd on loopback."""
    require_sshd()
    with Sshd() as server:
        yield server


@pytest.fixture
def ssh_place(home: Path, sshd: Sshd) -> Iterator[Place]:
    """The program with a configuration in which this machine is reached by SSH."""
    place = SshPlace(home, sshd)
    try:
        yield place
    finally:
        place.clean()
