"""What stands in the way is said before anything is touched, and what drifted is found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program

_NAMES = ("fullvol", "ext4vol", "rawvol", "freevol")


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program with the volumes of these tests, each of which leaves them usable."""
    lab.reset()
    return program.known(lab, tmp_path_factory.mktemp("refusals"), *_NAMES)


@pytest.fixture
def ops(site: Program) -> Iterator[Program]:
    """The same, with a configuration that a test may change."""
    text = site.config.read_text()
    yield site
    site.config.write_text(text)


def _all_lvs(lab: Lab) -> str:
    return lab.run("silo", "lvs --noheadings --units b -o lv_full_name,lv_uuid,lv_size").stdout


def _refused(ops: Program, lab: Lab, name: str, size: str, code: str, status: int = 3) -> str:
    """Tries to extend a volume; afterwards all is as it was. Gives all that the error says."""
    shown, lvs = ops.show(name), _all_lvs(lab)
    ran = ops.run("volume", "extend", name, "--size", size, status=status)
    assert ran.code == code, ran.words
    assert ran.result["outcome"] == ("refused" if status == 3 else "not-now")
    assert ops.show(name) == shown
    assert _all_lvs(lab) == lvs
    return ran.words


def test_a_volume_group_without_room(lab: Lab, ops: Program) -> None:
    assert "vgfull" in _refused(ops, lab, "fullvol", "400M", "no-space")


def test_an_origin_of_a_thick_snapshot(lab: Lab, ops: Program) -> None:
    lab.run("silo", "lvcreate -q -y -s -L 32M -n snap vg0/ext4vol")
    said = _refused(ops, lab, "ext4vol", "600M", "obstacle")
    lab.run("silo", "lvremove -q -y vg0/snap")
    assert "snapshot" in said


def test_a_thin_pool_that_is_full(lab: Lab, ops: Program) -> None:
    lab.run(
        "silo",
        "lvcreate -q -y --type thin-pool --zero n -L 32M -n tiny vg0 && "
        "lvchange -q -y --errorwhenfull y vg0/tiny && "
        "lvcreate -q -y -V 64M --thinpool tiny -n thinvol vg0",
    )
    lab.run("silo", "dd if=/dev/zero of=/dev/vg0/thinvol bs=1M oflag=direct", check=False)
    ops.run("volume", "import", "thinvol", "--backend", "fast", "--source", "thinvol")
    assert "100%" in _refused(ops, lab, "thinvol", "128M", "no-space")
    limited = ops.policy("  limits: {max_thin_data: 90%}")
    assert "max_thin_data" in _refused(limited, lab, "thinvol", "128M", "limit-exceeded")
    lab.run("silo", "lvremove -q -y vg0/tiny && dmesg -C")


@pytest.mark.parametrize(
    ("policy", "name", "size", "code"),
    [
        ("  rules: {'volume:extend': deny}", "freevol", "300M", "policy-denied"),
        ("  rules: {'volume:extend_attached_volume': deny}", "ext4vol", "600M", "policy-denied"),
        ("  limits: {max_size: 301M}", "freevol", "301M", "limit-exceeded"),
        ("  limits: {max_growth: 8M}", "freevol", "300M", "limit-exceeded"),
        ("  limits: {min_pool_free: 99%}", "freevol", "300M", "limit-exceeded"),
        ("  limits: {confirm_above: 1.5}", "freevol", "512M", "confirmation-required"),
    ],
)
def test_what_policy_forbids(
    lab: Lab, ops: Program, policy: str, name: str, size: str, code: str
) -> None:
    _refused(ops.policy(policy), lab, name, size, code)


def test_switching_off_the_extension_of_attached_volumes_leaves_the_others(
    lab: Lab, ops: Program
) -> None:
    limited = ops.policy("  rules: {'volume:extend_attached_volume': deny}")
    assert limited.run("volume", "extend", "freevol", "--size", "260M").result["outcome"] == "done"


def test_a_smaller_size(lab: Lab, ops: Program) -> None:
    _refused(ops, lab, "ext4vol", "100M", "size-not-greater")


def test_a_disk_that_the_host_no_longer_has(lab: Lab, ops: Program) -> None:
    (rawvol,) = program.named("rawvol")
    node = f"iscsiadm -m node -T {rawvol.iqn} -p 10.10.3.1"
    lab.run("web2", f"{node} --logout")
    said = _refused(ops, lab, "rawvol", "300M", "not-found")
    lab.run("web2", f"{node} --login && udevadm settle")
    assert "web2" in said


@pytest.mark.parametrize("known", [False, True])
def test_a_host_key_that_is_not_the_known_one(
    lab: Lab, ops: Program, tmp_path: Path, known: bool
) -> None:
    mine, lines = tmp_path / "known_hosts", lab.known_hosts.read_text().splitlines()
    web1 = f"[127.0.0.1]:{lab.port('web1')} "
    other = next(line for line in lines if not line.startswith(web1)).partition(" ")[2]
    others = [line for line in lines if not line.startswith(web1)]
    mine.write_text("\n".join([*others, *([web1 + other] if known else [])]) + "\n")
    ops.edit(str(lab.known_hosts), str(mine))
    assert "web1" in _refused(ops, lab, "ext4vol", "600M", "host-key")


def test_a_key_that_does_not_let_us_in(lab: Lab, ops: Program) -> None:
    ops.edit("  web1: {", f"  web1: {{identity_file: {lab.identity('root')}, ")
    assert "web1" in _refused(ops, lab, "ext4vol", "600M", "unreachable", status=4)


def test_a_volume_that_another_has_taken_the_name_of(lab: Lab, ops: Program) -> None:
    lab.run("silo", "lvremove -q -y vg0/freevol && lvcreate -q -y -W n -L 260M -n freevol vg0")
    assert "UUID" in _refused(ops, lab, "freevol", "300M", "obstacle")


def test_what_has_grown_behind_the_programs_back_is_found_and_adopted(
    lab: Lab, ops: Program
) -> None:
    ops.run("volume", "check", "ext4vol")
    lab.run("silo", "lvextend -q -L 600M vg0/ext4vol")
    drifted = ops.run("volume", "check", "ext4vol", status=5).result
    assert drifted["outcome"] == "incomplete"
    assert drifted["size"] == 600 * MIB
    done = ops.run("volume", "extend", "ext4vol", "--size", "600M").result
    assert (done["outcome"], done["before"], done["size"]) == ("done", 512 * MIB, 600 * MIB)
    after = program.measure(lab, "ext4vol")["ext4vol"]
    assert program.layers(done) == after
    assert set(after.values()) == {600 * MIB}
    ops.run("volume", "check", "ext4vol")


def test_what_has_grown_past_the_goal_is_adopted_with_a_word_about_it(
    lab: Lab, ops: Program
) -> None:
    lab.run("silo", "lvextend -q -L 704M vg0/ext4vol")
    ran = ops.run("volume", "extend", "ext4vol", "--size", "652M")
    assert (ran.result["outcome"], ran.result["size"]) == ("done", 704 * MIB)
    assert str(704 * MIB) in ran.stdout + ran.stderr
    assert "adopted" in ran.stdout + ran.stderr
    assert set(program.measure(lab, "ext4vol")["ext4vol"].values()) == {704 * MIB}
    assert ops.show("ext4vol")["size"] == 704 * MIB
    ops.run("volume", "check", "ext4vol")
    assert {name: lab.kernel_errors(name) for name in lab.names} == {
        "silo": [], "web1": [], "web2": []
    }  # fmt: skip
