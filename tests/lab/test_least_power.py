"""A user whom sudo allows the printed file and nothing else grows volumes of every kind."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import least, program, tall, targets
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program, Ran, Sizes
from tests.lab.recipe import WEB1
from tests.lab.tall import Tall

NAMES = ("ext4vol", "xfsvol", "btrfsvol", "localvol", "filevol", "rawvol", "tallvol")
STACKS = (
    *(
        one for one in tall.TALL
        if one.name in {"lukslv", "mbrvol", "loopgpt", "aliasvol", "offline"}
    ),
    Tall("bareswap", "mkswap -q -L swap1 $dev; swapon -p 7 $dev", ("path", "swap")),
)  # fmt: skip
BLANK = Tall("blankvol", "mkswap -q -L 'my swap' $dev; swapon $dev", ("path", "swap"))
"""No pattern of sudo's takes in a blank, or one word could be sent as two."""
GOALS = {
    **dict.fromkeys(NAMES, 1060 * MIB),
    **dict.fromkeys((one.name for one in STACKS), 500 * MIB),
    **dict.fromkeys(targets.NAMES, 300 * MIB),
}
KINDS = {
    "lv", "lun", "path", "file", "loop", "ext4", "xfs", "btrfs", "multipath",
    "partition", "luks", "pv", "guest-lv", "raw", "nvme", "swap",
}  # fmt: skip
KEY = tall.KEYS["cryptlv"]
pytestmark = pytest.mark.timeout(2400)


@dataclass(frozen=True)
class Job:
    """What was seen of a user with little power."""

    before: list[Any]
    hosts: dict[str, Any]
    done: dict[str, Any]
    sizes: dict[str, Sizes]
    checked: list[Any]
    created: tuple[Any, ...]
    discovered: Any
    refused: Any
    blank: Any
    secrets: Mapping[str, str]
    places: Mapping[str, str]
    idle: dict[str, set[str]]
    denied: dict[str, list[str]]
    tried: dict[str, int]
    denied_then: dict[str, int]
    allowed: dict[str, list[str]]
    kernel_errors: dict[str, list[str]]
    tools: dict[str, list[str]]


@pytest.fixture(scope="module")
def job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Job:
    lab.reset()
    place = tmp_path_factory.mktemp("least")
    keys = {one: f"canary-{one}-{secrets.token_hex(20)}" for one in ("right", "wrong")}
    before = program.bare(lab, place / "before", user=least.USER)
    barred = before.run("host", "check", status=3).json
    limited = build(lab, program.bare(lab, place / "least", user=least.USER), keys["right"])
    heard = extended(limited.policy("  rules: {'volume:extend_with_pause': allow}"))
    created = (
        limited.run(
            "volume", "create", "newvol", "--backend", "san", "--size", "64M",
            "--initiator", WEB1.initiator,
        ),
        limited.run("volume", "create", "newfile", "--backend", "files", "--size", "64M"),
    )  # fmt: skip
    checked = limited.run("volume", "check", *GOALS)
    hosts = limited.run("host", "check")
    discovered = limited.run("volume", "discover", "fast")
    blank = limited.run("volume", "extend", BLANK.name, "--size", "500M", status=3)
    lab.put("web1", KEY, keys["wrong"])
    refused = limited.run("volume", "extend", "lukslv", "--size", "600M", status=3)
    heard += [*created, checked, hosts, discovered, refused]
    return Job(
        before=barred,
        hosts={one["host"]: one for one in hosts.json},
        done={one["volume"]: one for ran in heard[:4] for one in ran.json},
        sizes=program.measure(lab, *(name for name in NAMES if name != "tallvol")),
        checked=checked.json,
        created=tuple(one.json for one in created),
        discovered=discovered.json,
        refused=refused.result,
        blank=blank.result,
        secrets=keys,
        places=places(lab, limited, heard),
        idle={name: least.idle(lab, limited, name) for name in lab.names},
        denied={name: least.denied(lab, name) for name in lab.names},
        tried={name: attempts(lab, name) for name in lab.names},
        denied_then={name: len(least.denied(lab, name)) for name in lab.names},
        allowed={name: least.allowed(lab, name) for name in lab.names},
        kernel_errors={name: lab.kernel_errors(name) for name in lab.names},
        tools={name: least.tools(limited, name) for name in lab.names},
    )


def build(lab: Lab, limited: Program, key: str) -> Program:
    """Everything that the user will extend, in the program's state; `key` opens a mapping."""
    tall.configure(limited).edit("backends:\n", targets.BACKENDS)
    least.empower(lab, limited)
    lab.put("web1", KEY, key)
    lab.run("web1", f"chmod 0400 {KEY}")
    tall.build(lab, (*STACKS, BLANK))
    targets.build(lab, limited)
    targets.take(limited)
    program.side_by_side(lambda volume: program.take(limited, volume), program.named(*NAMES))
    for one in (*STACKS, BLANK):
        words = ("--backend", one.backend, "--source", one.name)
        limited.run("volume", "import", one.name, *words)
        limited.run("volume", "attach", one.name, "web1")
    return limited


def extended(limited: Program) -> list[Ran]:
    """What came of each call; a call has a size and options of its own."""
    stacks = [one.name for one in STACKS if one.name != "offline"]
    calls = [
        limited.start("volume", "extend", *NAMES, "--size", "1060M"),
        limited.start("volume", "extend", *targets.NAMES, "--size", "300M"),
        limited.start("volume", "extend", *stacks, "--size", "500M"),
        limited.start("volume", "extend", "offline", "--size", "500M", "--offline"),
    ]
    return [program.wait(one) for one in calls]


def places(lab: Lab, limited: Program, heard: list[Ran]) -> dict[str, str]:
    """Everywhere that the key of a mapping may have been left, by name."""
    files = [one for one in limited.config.parent.rglob("*") if one.is_file()]
    found = {str(one): one.read_bytes().decode(errors="replace") for one in files}
    found |= {f"answer {at}": f"{one.stdout}{one.stderr}" for at, one in enumerate(heard)}
    for name in lab.names:
        found[f"sudo's log on {name}"] = least.log(lab, name)
        found[f"the journal of {name}"] = lab.run(name, "journalctl -q -a -o cat").stdout
    return found


ATTEMPTS = (
    "id",
    "sh -c id",
    "env LC_ALL=C id",
    "env LC_ALL=C timeout -k 5 180 multipathd resize map mpatha",
    "tee /etc/passwd",
    "lvremove -y vg0/freevol",
    "lvextend --yes --size 1g vg0/freevol",
    "timeout -k 5 180 tee /etc/passwd",
    "timeout -k 5 180 tee /sys/block/sda/device/rescan /etc/passwd",
    "timeout -k 5 180 sh -s",
    "timeout -k 5 180 resize2fs /dev/sda 8M",
    "timeout -k 5 180 cryptsetup open --key-file /root/tallvol.key /dev/sda x",
    "timeout -k 5 180 cat /etc/shadow",
    'env "LC_ALL=C timeout -k 5 180 multipathd resize map" id',
)


SENT_AS_ONE = (
    'timeout -k 5 "180 multipathd resize map" id',
    'timeout "-k 5 180 cryptsetup status" id',
)
"""What sudo cannot tell from the program's own words; timeout then takes it for no duration."""


def attempts(lab: Lab, machine: str) -> int:
    """How many of ATTEMPTS and SENT_AS_ONE came to anything."""
    lines = ["through=0"]
    lines += [f"sudo -n {one} </dev/null >/dev/null 2>&1 && through=$((through + 1))"
              for one in (*ATTEMPTS, *SENT_AS_ONE)]  # fmt: skip
    script = "; ".join([*lines, "echo $through"])
    return int(lab.run(machine, f"runuser -u {least.USER} -- sh -c '{script}'").stdout)


def test_without_the_file_the_user_can_do_nothing(job: Job) -> None:
    assert {one["sudo"] for one in job.before} == {"refused"}


@pytest.mark.parametrize("name", GOALS)
def test_a_volume_grows_through_all_its_layers(job: Job, name: str) -> None:
    done = job.done[name]
    assert (done["outcome"], done["error"]) == ("done", None)
    assert {one["outcome"] for one in done["layers"]} - {"skipped"} == {"grown"}
    assert program.left(done) == (["web1 raw", "web2 raw"] if name == "rawvol" else [])
    if name in job.sizes:
        assert program.layers(done) == job.sizes[name]
        assert set(job.sizes[name].values()) == {GOALS[name]}


def test_every_kind_of_layer_was_there(job: Job) -> None:
    assert {one["kind"] for done in job.done.values() for one in done["layers"]} == KINDS


def test_a_check_finds_nothing(job: Job) -> None:
    assert [one["error"] for one in job.checked] == [None] * len(GOALS)


def test_volumes_are_made_served_and_discovered(job: Job) -> None:
    assert [one["size"] for one in job.created] == [64 * MIB] * 2
    assert "freevol" in str(job.discovered)


def test_a_look_at_the_hosts_finds_what_was_allowed(job: Job) -> None:
    """web1 and web2 export nothing, and web2 has no files, so that they need not be able to."""
    barred = {
        name: {kind for kind, faults in one["cannot"].items() if "sudo" in faults[0]["message"]}
        for name, one in job.hosts.items()
    }
    assert barred == {"silo": set(), "web1": {"lun"}, "web2": {"file", "lun"}}


def test_the_program_never_asked_for_more(job: Job) -> None:
    assert job.denied == {"silo": [], "web1": [], "web2": []}
    assert all(job.allowed.values())


def test_every_tool_of_the_files_was_run_somewhere(job: Job) -> None:
    """But for those for which another kernel or another host has to lag behind."""
    assert set.intersection(*job.idle.values()) == {"blockdev", "kpartx", "lvchange"}


def test_a_label_with_a_blank_is_refused_before_anything_grows(job: Job) -> None:
    assert "may not run mkswap on web1" in job.blank["error"]["message"]
    assert job.blank["size"] == 360 * MIB


def test_the_key_of_a_mapping_is_found_nowhere(job: Job) -> None:
    assert "does not open" in str(job.refused["error"])
    assert any("cryptsetup" in one and KEY in one for one in job.allowed["web1"])
    found = [
        f"the {which} key in {where}"
        for which, key in job.secrets.items()
        for where, text in job.places.items()
        if key in text
    ]
    assert found == []


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
