"""A volume that the program makes on an iSCSI backend can be logged in to, used and extended."""

from pathlib import Path

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB
from tests.lab.recipe import WEB1
from tests.lab.writer import Writer

OLD, NEW = 256 * MIB, 404 * MIB
_CREATE = ("volume", "create", "newvol", "--backend", "san", "--size", "254M")


def test_a_new_volume_is_served_to_its_initiator_and_grows(fresh_lab: Lab, tmp_path: Path) -> None:
    lab = fresh_lab
    ops = program.bare(lab, tmp_path)
    made = ops.run(*_CREATE, "--initiator", WEB1.initiator).json
    assert (made["name"], made["size"], made["status"]) == ("newvol", OLD, "available")
    iqn = _served_to(lab, "web1", "10.10.1.1")
    assert iqn
    stranger = f"iscsiadm -m node -T {_served_to(lab, 'web2', '10.10.3.1')} -p 10.10.3.1"
    refused = lab.run("web2", f"{stranger} -o new && {stranger} --login", check=False)
    assert "authorization failure" in refused.stderr
    assert "newvol" in lab.run("silo", "cat /etc/rtslib-fb-target/saveconfig.json").stdout

    device = f"/dev/disk/by-path/ip-10.10.1.1:3260-iscsi-{iqn}-lun-0"
    _mount(lab, iqn, device)
    ops.run("volume", "attach", "newvol", "web1")
    writer = Writer(lab, "web1", "/srv/newvol")
    done = ops.run("volume", "extend", "newvol", "--size", "401M").result
    assert (done["outcome"], done["status"], done["size"]) == ("done", "in-use", NEW)
    assert program.layers(done) == {
        "silo lv": NEW, "silo lun": NEW, "web1 path": NEW, "web1 ext4": NEW
    }  # fmt: skip
    assert int(lab.run("web1", f"blockdev --getsize64 {device}").stdout) == NEW
    superblock = lab.run("web1", f"dumpe2fs -h {device} 2>/dev/null | grep '^Block count'").stdout
    block = int(lab.run("web1", "stat -f -c %S /srv/newvol").stdout)
    assert int(superblock.split()[2]) * block == NEW
    assert writer.stop_and_verify().errors == ()
    # What was served before is served still.
    assert {name: lab.kernel_errors(name) for name in lab.names} == {
        "silo": [], "web1": [], "web2": []
    }  # fmt: skip


def _served_to(lab: Lab, machine: str, portal: str) -> str:
    """The IQN of the new target when this machine asks at a portal; empty when it is not told."""
    # Nothing of what is found is written down, as the other targets have their records already.
    ask = f"iscsiadm -m discoverydb -o nonpersistent -t st -p {portal} --discover"
    found = lab.run(machine, ask).stdout.split()
    return next((word for word in found if word.endswith(":newvol")), "")


def _mount(lab: Lab, iqn: str, device: str) -> None:
    lab.run(
        "web1",
        f"iscsiadm -m node -o new -T {iqn} -p 10.10.1.1 && "
        f"iscsiadm -m node -T {iqn} -p 10.10.1.1 --login && "
        f"until [ -e {device} ]; do sleep 0.2; done && "
        f"mkfs.ext4 -q -F {device} && mkdir -p /srv/newvol && mount {device} /srv/newvol",
    )


def test_what_is_taken_already_is_not_made_again(lab: Lab, tmp_path: Path) -> None:
    ops = program.bare(lab, tmp_path)
    before = lab.run("silo", "lvs --noheadings -o lv_name,lv_size,lv_uuid").stdout
    ops.run("volume", "create", "freevol", "--backend", "san", "--size", "64M", status=3)
    assert lab.run("silo", "lvs --noheadings -o lv_name,lv_size,lv_uuid").stdout == before
