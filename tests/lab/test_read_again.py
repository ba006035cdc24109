"""Two hosts see a partitioned disk: one writes the table, the other's kernel reads it again."""

from pathlib import Path

import pytest

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB
from tests.lab.writer import Writer

pytestmark = pytest.mark.timeout(1200)

_DISK = "$(readlink -f /dev/disk/by-path/*rawvol-lun-0)"
_MADE = f"""set -e
disk={_DISK}
printf 'label: gpt\\n,\\n' | sfdisk -q $disk
udevadm settle
mkfs.ext4 -q ${{disk}}1
mkdir -p /srv/rawvol
mount ${{disk}}1 /srv/rawvol
"""
# Somebody has the partition open, so that the kernel keeps what was read of the disk.
_HELD = f"""set -e
disk={_DISK}
partx --add $disk
udevadm settle
nohup sleep 3600 <${{disk}}1 >/dev/null 2>&1 &
sfdisk --json $disk >/dev/null
"""
_SECTORS = f"disk={_DISK}; cat /sys/class/block/${{disk##*/}}1/size"


def test_a_partition_that_two_hosts_see(fresh_lab: Lab, tmp_path: Path) -> None:
    lab = fresh_lab
    lab.run("web1", _MADE)
    lab.run("web2", _HELD)
    ops = program.known(lab, tmp_path, "rawvol")
    writer = Writer(lab, "web1", "/srv/rawvol")
    dry = ops.run("volume", "extend", "rawvol", "--size", "512M", "--dry-run").result
    result = ops.run("volume", "extend", "rawvol", "--size", "512M").result
    assert result["outcome"] == "done"
    found, foretold = program.layers(result), program.layers(dry)
    assert found == foretold
    assert found["web1 partition"] == found["web2 partition"] > 500 * MIB
    assert found["web1 ext4"] > 500 * MIB
    for host in ("web1", "web2"):
        assert int(lab.run(host, _SECTORS).stdout) * 512 == found["web2 partition"]
    (again,) = ops.run("volume", "extend", "rawvol", "--size", "512M").json
    assert again["outcome"] == "unchanged"
    assert ops.run("volume", "check", "rawvol").result["outcome"] == "unchanged"
    assert writer.stop_and_verify().verified > 0
