"""The sudoers file allows every phrase of the phrasebook, and nothing beside them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extendctl import sudo_patterns, sudoers
from extendctl.config import BackendConfig, Config, HostConfig
from extendctl.errors import ConfigError, Refused
from extendctl.sudoers import COMPUTE, Sudoers
from tests import phrases

SITE = phrases.site("ops")
FULL = sudoers.sudoers(SITE, SITE.hosts["box"], "ops")
SAID = phrases.said()


def allows(file: Sudoers, words: tuple[str, ...]) -> bool:
    """What sudo would say: the command, and a pattern over the joined arguments."""
    if words[0] != "timeout":
        return False
    text = " ".join(words[1:])
    patterns = (one.pattern.replace("[[:cntrl:]]", "[\\x00-\\x1f]") for one in file.rules)
    # `$` of sudo's regular expressions does not pass over a newline at the end; Python's does.
    return any(re.match(f"{one[:-1]}\\Z", text) for one in patterns)


def test_every_rule_runs_where_root_alone_makes_directories() -> None:
    """Or `tee /sys/x`, sent as one, would be a program in a directory of whoever sends it."""
    rules = [one for one in FULL.text.splitlines() if " ALL = " in one]
    assert len(rules) == len(FULL.rules)
    assert all(" ALL = (root) CWD=/ NOPASSWD: /usr/bin/timeout ^" in one for one in rules)


def test_every_phrase_is_tried() -> None:
    assert phrases.SAID.keys() == phrases.every_phrase().keys()


@pytest.mark.parametrize("call", SAID)
def test_what_the_program_says_is_allowed(call: str) -> None:
    assert allows(FULL, SAID[call])


@pytest.mark.parametrize("call", SAID)
def test_its_neighbours_are_not(call: str) -> None:
    wrong = [one for one in phrases.neighbours(SAID[call]) if one not in SAID.values()]
    assert [one for one in wrong if allows(FULL, one)] == []


@pytest.mark.parametrize(
    "words",
    [
        ("tee", "/etc/passwd"),
        ("tee", "-a", "/sys/block/sdb/device/rescan"),
        ("tee", "/sys/block/sdb/../../kernel/uevent_helper/device/rescan"),
        ("tee", "/sys/block/sdb/device/rescan", "/etc/passwd"),
        ("tee", "/sys/kernel/config/target/core/fileio_0/../iblock_0/control"),
        ("truncate", "--size=0", f"{phrases.DIRECTORY}/vol1"),
        ("chmod", "0644", f"{phrases.DIRECTORY}/vol1"),
        ("chmod", "0600", "/etc/passwd"),
        ("chmod", "--recursive", "0600", f"{phrases.DIRECTORY}/vol1"),
        ("truncate", "--size=>1", f"{phrases.DIRECTORY}/a/../../../../etc/passwd"),
        ("lvextend", "--yes", "--size", "-4194304b", "vg0/vol1"),
        ("lvextend", "--yes", "--size", "+4194304b", "vg0/vol1"),
        ("lvreduce", "--yes", "--size", "4194304b", "vg0/vol1"),
        ("lvcreate", "--yes", "--size", "4194304b", "--name", "vol1", "other"),
        ("xfs_growfs", "-D", "4096", "/srv/vol1"),
        ("resize2fs", "/dev/sdb", "4096"),
        ("btrfs", "filesystem", "resize", "1:-4096", "/srv/vol1"),
        ("cryptsetup", "open", "--batch-mode", "--key-file", phrases.KEY, "/dev/sdb", "x"),
        ("cryptsetup", "resize", "--batch-mode", "--key-file", "/etc/shadow", "tallcrypt"),
        ("cat", "/etc/target/saveconfig.json", "/etc/shadow"),
        ("find", phrases.DIRECTORY, "-maxdepth", "1", "-type", "f", "-delete"),
        ("mkdir", "--parents", "--mode", "0700", "/etc/cron.d"),
        ("targetcli", "clearconfig", "confirm=True"),
        ("targetcli", "/backstores/block", "create", "name=x", "dev=/dev/sda"),
        ("sh", "-s"),
        ("python3", "-c", "0"),
    ],
)  # fmt: skip
def test_what_would_do_harm_is_not_allowed(words: tuple[str, ...]) -> None:
    assert not allows(FULL, phrases.sent(words))


def test_no_rule_lets_root_be_an_interpreter_or_a_free_tee() -> None:
    tools = {one.pattern.removeprefix("^-k 5 ").split()[1] for one in FULL.rules}
    assert not tools & {"sh", "bash", "dash", "env", "python3", "perl", "awk", "sed", "dd", "cp"}
    tees = [one.pattern.split(" tee ")[1] for one in FULL.rules if " tee " in one.pattern]
    assert len(tees) == 3
    assert all(one.startswith(("/sys/block/", "/sys/kernel/config/target/core/fileio_",
                               "/run/extendctl-swap-")) for one in tees)  # fmt: skip


@pytest.mark.parametrize("call", ["grow_xfs('/srv/vol1',)", "segments('vgtall',)"])
def test_words_that_are_sent_as_one_run_nothing_else(call: str, tmp_path: Path) -> None:
    """Sudo cannot tell them apart, so what it runs must not take a group or a place for a tool."""
    mark, planted = tmp_path / "mark", tmp_path / "planted"
    planted.write_text(f"#!/bin/sh\necho >{mark}\n")
    planted.chmod(0o755)
    front = SAID[call][1 : SAID[call].index("timeout") + 6]
    for words in phrases.joined(front):
        command = [sudo_patterns.COMMAND, *words, str(planted)]
        subprocess.run(command, env={"PATH": ""}, capture_output=True, check=False)
        assert not mark.exists(), words


def test_another_host_gets_nothing_of_a_backend() -> None:
    other = HostConfig("web1", user="ops")
    file = sudoers.sudoers(replace(SITE, hosts={**SITE.hosts, "web1": other}), other, "ops")
    assert not allows(file, SAID["logical_volumes('vg0',)"])
    assert not allows(file, SAID["save_target()"])
    assert not allows(file, SAID[f"resize_luks('tallcrypt', {phrases.KEY!r})"])
    assert allows(file, SAID["resize_luks('tallcrypt', None)"])


def test_a_machine_that_only_serves_volumes_grows_nothing_else() -> None:
    san = Config("", SITE.hosts, {"san": SITE.backends["san"]})
    file = sudoers.sudoers(san, SITE.hosts["box"], "ops")
    assert allows(file, SAID["save_target()"])
    assert not allows(file, SAID["grow_ext4('/dev/sdb',)"])
    assert not allows(file, SAID["extend_lv('guest', '.data', 1)"])


@pytest.mark.parametrize("layer", COMPUTE)
def test_one_layer_alone(layer: str) -> None:
    host = HostConfig("web1", user="ops")
    alone = sudoers.sudoers(Config("", {"web1": host}, {}), host, "ops", [layer])
    assert {one.layer for one in alone.rules} == {layer, "what stands on a device"}
    assert allows(alone, SAID["make_swap('/dev/sdb', '" + phrases.UUID + "', '')"]) == (
        layer == "swap"
    )


def test_a_command_stands_there_once() -> None:
    patterns = [one.pattern for one in FULL.rules]
    assert len(set(patterns)) == len(patterns)


@pytest.mark.parametrize(
    ("user", "become", "why"), [("root", "sudo", "user is root"), ("ops", "none", "is none")]
)
def test_where_sudo_is_not_used_there_is_no_file(user: str, become: str, why: str) -> None:
    host = HostConfig("box", user=user, become=become)
    with pytest.raises(Refused, match=why):
        sudoers.sudoers(Config("", {"box": host}, {}), host, user)


@pytest.mark.parametrize("path", ["/srv/my volumes", "/srv/größe", "/srv/" + "x" * 1000])
def test_what_no_pattern_can_tell_apart_is_an_error(path: str) -> None:
    files = BackendConfig("files", "file", "box", directory=path)
    host = HostConfig("box", user="ops")
    with pytest.raises(ConfigError, match="backend files"):
        sudoers.sudoers(Config("", {"box": host}, {"files": files}), host, "ops")


@pytest.fixture
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    visudo = shutil.which("visudo", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if visudo is None:
        pytest.skip("visudo is not installed (Debian: sudo)")

    def look(text: str) -> bool:
        file = tmp_path_factory.mktemp("sudoers") / "extendctl"
        file.write_text(text)
        file.chmod(0o440)
        done = subprocess.run([visudo, "-scf", file], capture_output=True, check=False)
        return done.returncode == 0

    return look


@pytest.mark.parametrize("user", ["ops", "ALL", "Ops", "first.last@EXAMPLE.ORG", "a b"])
def test_visudo_accepts_the_file(accepted: Callable[[str], bool], user: str) -> None:
    text = sudoers.sudoers(SITE, SITE.hosts["box"], user).text
    assert accepted(text)
    assert not accepted(f"{text}ops ALL\n")


@pytest.mark.parametrize("user", ["a\nb", 'a"b', "a\\b", "%wheel", "#0", "+all", "!ops"])
def test_a_user_that_would_break_the_file_is_an_error(user: str) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        _ = sudoers.sudoers(SITE, SITE.hosts["box"], user).text


def test_a_pattern_is_short_enough_for_sudo() -> None:
    assert max(len(one.pattern) for one in FULL.rules) < sudo_patterns.LONGEST
