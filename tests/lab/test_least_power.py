"""A user whom sudo allows the printed file and nothing else grows volumes of every kind."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import least, program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Sizes

NAMES = ("ext4vol", "xfsvol", "btrfsvol", "localvol", "filevol", "rawvol", "tallvol")
GOAL = 1060 * MIB
KINDS = {
    "lv", "lun", "path", "file", "loop", "ext4", "xfs", "btrfs",
    "multipath", "partition", "luks", "pv", "guest-lv", "raw",
}  # fmt: skip
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Job:
    """What was seen of a user with little power."""

    before: list[Any]
    hosts: dict[str, Any]
    done: dict[str, Any]
    sizes: dict[str, Sizes]
    checked: list[Any]
    created: Any
    denied: dict[str, list[str]]
    tried: dict[str, int]
    denied_then: dict[str, int]
    allowed: dict[str, int]
    kernel_errors: dict[str, list[str]]
    tools: dict[str, list[str]]


@pytest.fixture(scope="module")
def job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Job:
    lab.reset()
    place = tmp_path_factory.mktemp("least")
    bare = program.bare(lab, place / "before", user=least.USER)
    before = bare.run("host", "check", status=3).json
    limited = least.empower(lab, place)
    program.side_by_side(lambda volume: program.take(limited, volume), program.named(*NAMES))
    done = limited.run("volume", "extend", *NAMES, "--size", f"{GOAL // MIB}M").json
    hosts = limited.run("host", "check").json
    checked = limited.run("volume", "check", *NAMES).json
    created = limited.run(
        "volume", "create", "newvol", "--backend", "san", "--size", "64M",
        "--initiator", "iqn.2026-11.com.example:web1",
    ).json  # fmt: skip
    return Job(
        before=before,
        hosts={one["host"]: one for one in hosts},
        done={one["volume"]: one for one in done},
        sizes=program.measure(lab, *(name for name in NAMES if name != "tallvol")),
        checked=checked,
        created=created,
        denied={name: least.denied(lab, name) for name in lab.names},
        tried={name: attempts(lab, name) for name in lab.names},
        denied_then={name: len(least.denied(lab, name)) for name in lab.names},
        allowed={name: least.allowed(lab, name) for name in lab.names},
        kernel_errors={name: lab.kernel_errors(name) for name in lab.names},
        tools={name: least.tools(limited, name) for name in lab.names},
    )


ATTEMPTS = (
    "id",
    "sh -c id",
    "env LC_ALL=C id",
    "tee /etc/passwd",
    "lvremove -y vg0/freevol",
    "lvextend --yes --size 1g vg0/freevol",
    "env LC_ALL=C $P timeout -k 5 180 tee /etc/passwd",
    "env LC_ALL=C $P timeout -k 5 180 tee /sys/block/sda/device/rescan /etc/passwd",
    "env LC_ALL=C $P timeout -k 5 180 sh -s",
    "env LC_ALL=C $P timeout -k 5 180 resize2fs /dev/sda 8M",
    "env LC_ALL=C $P timeout -k 5 180 cryptsetup open --key-file /root/tallvol.key /dev/sda x",
    "env LC_ALL=C $P timeout -k 5 180 cat /etc/shadow",
)


def attempts(lab: Lab, machine: str) -> int:
    """How many of ATTEMPTS sudo let through."""
    search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    lines = [f"P=PATH={search}", "through=0"]
    lines += [f"sudo -n {one} </dev/null >/dev/null 2>&1 && through=$((through + 1))"
              for one in ATTEMPTS]  # fmt: skip
    script = "; ".join([*lines, "echo $through"])
    return int(lab.run(machine, f"runuser -u {least.USER} -- sh -c '{script}'").stdout)


def test_without_the_file_the_user_can_do_nothing(job: Job) -> None:
    assert {one["sudo"] for one in job.before} == {"refused"}


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_grows_through_all_its_layers(job: Job, name: str) -> None:
    done = job.done[name]
    assert (done["outcome"], done["error"]) == ("done", None)
    assert {one["outcome"] for one in done["layers"]} - {"skipped"} == {"grown"}
    assert program.left(done) == (["web1 raw", "web2 raw"] if name == "rawvol" else [])
    if name in job.sizes:
        assert program.layers(done) == job.sizes[name]
        assert set(job.sizes[name].values()) == {GOAL}


def test_every_kind_of_layer_was_there(job: Job) -> None:
    assert {one["kind"] for done in job.done.values() for one in done["layers"]} == KINDS


def test_a_check_finds_nothing(job: Job) -> None:
    assert [one["error"] for one in job.checked] == [None] * len(NAMES)


def test_a_volume_is_made_and_served(job: Job) -> None:
    assert job.created["size"] == 64 * MIB


def test_a_look_at_the_hosts_finds_what_was_allowed(job: Job) -> None:
    """web1 and web2 serve nothing, so that they need not be able to."""
    barred = {
        name: {kind for kind, faults in one["cannot"].items() if "sudo" in faults[0]["message"]}
        for name, one in job.hosts.items()
    }
    assert barred == {"silo": set(), "web1": {"file", "lun"}, "web2": {"file", "lun"}}


def test_the_program_never_asked_for_more(job: Job) -> None:
    assert job.denied == {"silo": [], "web1": [], "web2": []}
    assert all(job.allowed.values())


def test_the_user_cannot_do_more(job: Job) -> None:
    assert job.tried == {"silo": 0, "web1": 0, "web2": 0}
    assert job.denied_then == dict.fromkeys(job.tried, len(ATTEMPTS))


def test_no_tool_that_root_runs_is_a_script_for_a_shell(job: Job, lab: Lab) -> None:
    """Of them all, targetcli alone is a script, in Python."""
    scripts = set()
    for machine, tools in job.tools.items():
        places = lab.run(machine, f"command -v {' '.join(tools)}", check=False).stdout.split()
        assert len(places) > 10
        look = "head -c 2 $tool | grep -q '#!' && echo $tool"
        shown = lab.run(machine, f"for tool in {' '.join(places)}; do {look}; done", check=False)
        scripts |= set(shown.stdout.split())
    assert {place.rpartition("/")[2] for place in scripts} == {"targetcli"}


def test_no_kernel_complained(job: Job) -> None:
    assert job.kernel_errors == {"silo": [], "web1": [], "web2": []}
