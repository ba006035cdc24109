"""A real sudo with the printed file: it runs what the program says, and nothing beside it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from extendctl import phrasebook
from extendctl.host import CLEAN
from extendctl.sudoers import sudoers
from tests import phrases
from tests.live.limited_user import LimitedUser
from tests.live.place import MIB, Place
from tests.live.ssh_place import SshPlace
from tests.live.writing import Writer
from tests.sshd import Sshd


@pytest.fixture(scope="module")
def user() -> Iterator[LimitedUser]:
    if os.geteuid() != 0:
        pytest.skip("only root can make a user")
    missing = [tool for tool in ("sudo", "visudo", "useradd") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"missing here: {', '.join(missing)} (Debian: sudo, passwd)")
    with LimitedUser() as user:
        yield user


@pytest.fixture(scope="module")
def limited(user: LimitedUser) -> LimitedUser:
    site = phrases.site(user.name)
    user.may(sudoers(site, site.hosts["box"], user.name).text)
    return user


@pytest.mark.parametrize("name", phrases.SAID)
def test_sudo_allows_what_the_program_says_and_no_neighbour(
    limited: LimitedUser, name: str
) -> None:
    said = phrases.said()
    calls = [words for call, words in said.items() if call.startswith(f"{name}(")]
    assert [one for one in calls if not limited.allowed(one)] == []
    wrong = [one for one in phrases.neighbours(calls[-1]) if one not in said.values()]
    assert [one for one in wrong if limited.allowed(one)] == []


def test_sudo_runs_the_one_and_not_the_other(limited: LimitedUser, tmp_path: Path) -> None:
    done = limited.sudo(*phrases.sent(("stat", "--file-system", "--format", "%S\n%b\n%a", "/")))
    assert done.returncode == 0
    assert len(done.stdout.split()) == 3
    file = tmp_path / "planted"
    for words in (("touch", str(file)), ("tee", str(file)), ("sh", "-c", f"touch {file}")):
        refused = limited.sudo(*phrases.sent(words))
        assert refused.returncode == 1
        assert "password is required" in refused.stderr
    assert not file.exists()
    assert limited.sudo("id").returncode == 1


def test_what_sudo_cannot_tell_from_the_one_runs_nothing_else(limited: LimitedUser) -> None:
    """Two words sent as one look the same to sudo; a group or a mount point is no command then."""
    for name in ("resize_map", "mapping", "segments", "grow_xfs", "extend_lv"):
        said = next(words for call, words in phrases.said().items() if call.startswith(f"{name}("))
        for sent in (said[:-1], (*CLEAN, *said[:-1])):
            first, *rest = sent
            for at in range(1, len(rest) + 1):
                words = (first, " ".join(rest[:at]), *rest[at:], "id")
                assert "uid=0" not in limited.sudo(*words).stdout, words


def test_no_tool_is_looked_for_in_a_directory_of_the_user_s_own(
    limited: LimitedUser, tmp_path: Path
) -> None:
    """Two words sent as one may be a path: `tee /sys/...` lies in the directory `tee `."""
    for place in (*tmp_path.parents[:-2], tmp_path):
        place.chmod(0o755)
    for name in ("rescan_path", "grow_ext4", "grow_xfs", "file_size", "extend_lv"):
        *said, tool, last = next(
            words for call, words in phrases.said().items() if call.startswith(f"{name}(")
        )
        planted = tmp_path / f"{tool} {last}"
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text("#!/bin/sh\nid\n")
        planted.chmod(0o755)
        done = limited.sudo(*said, f"{tool} {last}", cwd=str(tmp_path))
        assert "uid=0" not in done.stdout, done


def test_the_tools_are_looked_for_where_root_alone_puts_them(
    limited: LimitedUser, tmp_path: Path
) -> None:
    """Whatever PATH the user has, and the words are in English whatever the user's are in."""
    words = phrases.sent(("stat", "--file-system", "--format", "%S\n%b\n%a", "/"))
    planted = tmp_path / "stat"
    planted.write_text("#!/bin/sh\necho planted\n")
    for place in (planted, *tmp_path.parents[:-2], tmp_path):
        place.chmod(0o755)
    done = subprocess.run(
        ["env", "LC_ALL=C", f"PATH={tmp_path}:/usr/bin", "sudo", "-n", *words],
        user=limited.ids[0], group=limited.ids[1], extra_groups=[], cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert len(done.stdout.split()) == 3, done
    assert limited.sudo(f"PATH={tmp_path}", *words).returncode == 1


class LimitedPlace(SshPlace):
    """The same machine over SSH, as a user who has the file that the program prints for it."""

    def __init__(self, top: Path, sshd: Sshd, user: LimitedUser) -> None:
        super().__init__(top, sshd)
        sshd.top.chmod(0o711)  # sshd reads the authorized keys as the user
        config = top / "config.yaml"
        text = config.read_text()
        config.write_text(text.replace("user: root, become: none", f"user: {user.name}"))
        user.may(self.call("host", "sudoers", self.host)["text"])


@pytest.fixture
def place(home: Path, sshd: Sshd, user: LimitedUser) -> Iterator[Place]:
    place = LimitedPlace(home, sshd, user)
    try:
        yield place
    finally:
        place.clean()


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_mounted_filesystem_grows_with_no_more_power_than_that(place: Place, kind: str) -> None:
    volume = place.mounted("vol1", kind)
    writer = Writer(place, volume)
    result = place.extend("vol1", "384M")
    assert (result["outcome"], result["status"]) == ("done", "in-use")
    assert {one["outcome"] for one in result["layers"]} == {"grown"}
    assert volume.sizes[:2] == (384 * MIB, 384 * MIB)
    assert writer.stop_and_verify() > 10
    (seen,) = place.call("host", "check", place.host)
    assert seen["sudo"] == "allowed"
    assert seen["can"]


def test_what_sudo_does_not_allow_is_an_obstacle_before_anything_is_touched(
    place: Place, user: LimitedUser
) -> None:
    volume = place.mounted("vol1", "xfs")
    before = volume.sizes
    text = place.call("host", "sudoers", place.host)["text"]
    user.may("".join(one for one in text.splitlines(keepends=True) if "xfs_growfs" not in one))
    error = place.extend("vol1", "384M", status=3)["error"]
    assert "may not run xfs_growfs" in error["message"]
    assert volume.sizes == before


ASKS = "extendctl-test ALL = (root) PASSWD: /usr/bin/timeout * xfs_growfs *\n"


def test_a_later_rule_that_asks_is_an_obstacle_and_an_earlier_one_is_none(
    place: Place, user: LimitedUser
) -> None:
    """`sudo -l COMMAND` says yes in both orders: some rule of the user has NOPASSWD."""
    volume = place.mounted("vol1", "xfs")
    before = volume.sizes
    text = place.call("host", "sudoers", place.host)["text"]
    words = phrases.sent(phrasebook.grow_xfs(str(volume.mount)).argv)
    user.may(text + ASKS)
    assert user.allowed(words)
    assert "password is required" in user.sudo(*words).stderr
    error = place.extend("vol1", "384M", status=3)["error"]
    assert "may not run xfs_growfs" in error["message"]
    assert "of all rules that match the last one is `(root) /usr/bin/timeout *" in error["message"]
    assert "NOPASSWD decides" in error["hint"]
    assert volume.sizes == before
    user.may(ASKS + text)
    assert user.allowed(words)
    assert place.extend("vol1", "384M")["outcome"] == "done"
    assert volume.sizes[:2] == (384 * MIB, 384 * MIB)
