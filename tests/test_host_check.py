"""`host check`: which layers a host can grow, with which tools, and what to install."""

from dataclasses import replace

import pytest

from extendctl import questions
from extendctl.errors import Refused
from extendctl.host import Host
from extendctl.inspection import HostReport, check_hosts
from extendctl.transport import Result
from extendctl.views_site import host_checks
from tests.test_obstacles import pick
from tests.world import changes
from tests.world.site import ATTACHED, Site, iscsi_ext4
from tests.world.tower import tower

KINDS = (
    "lv", "file", "lun", "loop", "path", "nvme", "multipath", "partition", "luks", "pv",
    "guest-lv", "ext4", "xfs", "btrfs", "swap",
)  # fmt: skip
NEEDED = [
    ("lv", "lvextend", "lvm2"), ("file", "truncate", "coreutils"), ("loop", "losetup", "mount"),
    ("path", "tee", "coreutils"), ("nvme", "nvme", "nvme-cli"),
    ("multipath", "multipathd", "multipath-tools"), ("partition", "sfdisk", "fdisk"),
    ("partition", "partx", "util-linux"), ("luks", "cryptsetup", "cryptsetup"),
    ("pv", "pvresize", "lvm2"), ("guest-lv", "lvextend", "lvm2"),
    ("ext4", "resize2fs", "e2fsprogs"), ("ext4", "dumpe2fs", "e2fsprogs"),
    ("xfs", "xfs_growfs", "xfsprogs"), ("btrfs", "btrfs", "btrfs-progs"),
    ("swap", "swapoff", "mount"), ("swap", "mkswap", "util-linux"), ("swap", "swapon", "mount"),
]  # fmt: skip


def checked(site: Site, host: str = "web1") -> HostReport:
    hosts = site.hosts()
    (report,) = check_hosts(site.config(), lambda name: hosts[name], [host])
    assert site.world.deeds() == []
    return report


def shown(report: HostReport) -> str:
    return "\n".join(getattr(line, "text", "") for line in host_checks([report]))


def test_a_host_with_all_tools_can_grow_every_kind_of_layer() -> None:
    report = checked(iscsi_ext4())
    assert (report.can, dict(report.cannot), report.error) == (KINDS, {}, None)
    assert (report.reachable, report.sudo) == (True, "allowed")
    assert report.tools["resize2fs"].version == "resize2fs 1.47.0 (5-Feb-2023)"
    assert all(tool.path for tool in report.tools.values())
    assert "can grow" in shown(report)


@pytest.mark.parametrize(("kind", "tool", "package"), NEEDED)
def test_a_missing_tool_is_named_with_its_package(kind: str, tool: str, package: str) -> None:
    site = iscsi_ext4()
    with site.world.change() as state:
        changes.without(state, "web1", tool)
    report = checked(site)
    assert kind in report.cannot
    assert f"{tool} is missing on web1" in {one.message for one in report.cannot[kind]}
    assert f"install {package}" in shown(report)
    assert set(report.can) | set(report.cannot) == set(KINDS)


def test_it_says_of_ext4_what_an_extension_would_say() -> None:
    """One sentence for the capability that containers take away, in both places."""
    site = iscsi_ext4()
    with site.world.change() as state:
        state.machines["web1"].bounding = 0x1FFFEFFFFFF
    report = checked(site)
    said = {one.message for one in report.cannot["ext4"]}
    assert said <= {one.message for one in pick(site, "ext4").obstacles(20 << 30)}
    assert "CAP_SYS_RESOURCE" in " ".join(said)
    assert "xfs" in report.can


@pytest.mark.parametrize(
    ("name", "tool", "able"),
    [
        ("iscsi-tgt", "tgtadm", False),
        ("iscsi-tgt", "targetcli", True),
        ("nvmet", "targetcli", True),
        ("nvmet", "tgtadm", True),
        ("iscsi-ext4", "targetcli", False),
    ],
)
def test_a_server_needs_the_tool_of_its_own_target(name: str, tool: str, able: bool) -> None:
    site = ATTACHED[name]()
    with site.world.change() as state:
        changes.without(state, "silo", tool)
    assert ("lun" in checked(site, "silo").can) is able


def test_rights_are_told_apart_from_tools() -> None:
    site = iscsi_ext4()
    with site.world.change() as state:
        state.machines["web1"].sudo["ops"] = ["tee", "resize2fs"]
    report = checked(site)
    assert (report.sudo, set(report.can)) == ("partly", {"path", "ext4"})
    with site.world.change() as state:
        changes.unprivileged(state, "web1")
    refused = checked(site)
    assert (refused.sudo, refused.can) == ("refused", ())
    assert isinstance(refused.error, Refused)


def test_a_rule_that_asks_is_told_like_one_that_is_missing() -> None:
    site = iscsi_ext4()
    with site.world.change() as state:
        state.machines["web1"].sudo["ops"] = "asks xfs_growfs"
    report = checked(site)
    assert (report.sudo, set(report.cannot)) == ("partly", {"xfs"})
    assert "of all rules that match the last one is `(root)" in shown(report)


def test_where_sudo_is_not_used_nobody_asks_it_what_it_allows() -> None:
    """It may log that, or send mail."""
    site = iscsi_ext4()
    powerless = replace(site.configs()["web1"], become="none")
    alone = Host(powerless, site.world.line(powerless), is_root=False)
    assert site.hosts()["web1"].ask(questions.facts()).sudo != ()
    assert alone.ask(questions.facts()).sudo == ()


def test_one_host_that_is_away_does_not_hide_the_others() -> None:
    site = ATTACHED["shared"]()
    site.world.down("web2")
    hosts = site.hosts()
    reports = check_hosts(site.config(), lambda name: hosts[name], ["web1", "web2", "silo"])
    assert [one.reachable for one in reports] == [True, False, True]
    assert reports[1].error is not None
    assert reports[1].error.exit_status == 4


def test_what_host_check_allows_is_what_a_tower_needs() -> None:
    """Every layer that can stand on a host is asked about."""
    found: set[str] = set()
    for top in ("ext4", "xfs", "btrfs", "swap"):
        site = tower("multipath", "gpt", "luks", "lvm", top)
        found |= {layer.kind for layer in site.branches(site.hosts())["web1"].layers}
    assert found - {"loop", "nvme"} <= set(KINDS)
    root = replace(iscsi_ext4(), user="root")
    assert checked(root).sudo == "not needed"


@pytest.mark.parametrize(
    ("out", "err", "version"),
    [
        ("  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n", "",
         ("LVM version: 2.03.16(2) (2022-05-18)",)),
        ("", "e2fsck 1.47.0 (5-Feb-2023)\n\tUsing EXT2FS Library version 1.47.0, 5-Feb-2023\n",
         ("e2fsck 1.47.0 (5-Feb-2023)",)),
        ("", "opening lockfile failed: [Errno 13] Permission denied: '/var/run/targetcli.lock'\n",
         ()),
        ("", "", ()),
    ],
)  # fmt: skip
def test_a_version_is_what_a_tool_says_of_itself(
    out: str, err: str, version: tuple[str, ...]
) -> None:
    """Said by Debian 12's lvm2, e2fsprogs, and targetcli-fb run by an ordinary user."""
    assert questions.version("any").parse(Result((), 0, out, err)) == version
