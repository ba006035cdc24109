"""What an ext4 can reach is foretold to the byte, whatever it was made with."""

import random

import pytest

from extendctl import readings
from extendctl.size import KIB, MIB
from extendctl.transport import Result
from tests.lab.lab import Lab

STEPS = 12

_STEP = """
step() {
    truncate -s $1 /var/odd.img; losetup -c $dev; resize2fs $dev >/dev/null 2>&1 || echo "exit $?"
    echo "=== $1"; dumpe2fs -h $dev 2>/dev/null
}
"""


def sizes(block: int, group: int, seed: str) -> list[int]:
    """Growing sizes, most of them a little beyond a block group's end."""
    dice = random.Random(seed)
    found, now = [], 64 * MIB
    for _ in range(STEPS):
        now = (now // group + dice.randint(1, 3)) * group
        beyond = dice.choice([0, dice.randint(1, 1200) * block, dice.randint(1, group - 1)])
        found.append(now + beyond // 512 * 512)
    return found


@pytest.mark.parametrize(
    ("options", "block"),
    [
        ("-b 4096", 4096),
        ("-b 1024", 1024),
        ("-b 4096 -O ^64bit", 4096),
        ("-b 4096 -O ^resize_inode", 4096),
        ("-b 1024 -O ^64bit,^resize_inode", 1024),
    ],
)
def test_an_ext4_reaches_what_was_foretold(lab: Lab, options: str, block: int) -> None:
    group = 8 * block * block
    script = [
        _STEP,
        f"rm -f /var/odd.img; truncate -s {64 * MIB - 3 * KIB} /var/odd.img",
        f"modprobe -q loop; mkfs.ext4 -q -F -E lazy_itable_init=1 {options} /var/odd.img",
        "mkdir -p /mnt/odd; dev=$(losetup -f --show /var/odd.img); mount $dev /mnt/odd",
        'echo "=== 0"; dumpe2fs -h $dev 2>/dev/null',
        *(f"step {size}" for size in sizes(block, group, options)),
        "umount /mnt/odd; losetup -d $dev; rm -f /var/odd.img",
    ]
    _, *answers = lab.run("silo", "\n".join(script), timeout=300).stdout.split("=== ")
    before: readings.Ext4 | None = None
    wrong = []
    for answer in answers:
        size, _, text = answer.partition("\n")
        now = readings.ext4(Result(("dumpe2fs",), 0, text, ""))
        if before is not None and before.reachable(int(size)) != now.size:
            wrong.append((int(size), before.reachable(int(size)), now.size))
        before = now
    assert len(answers) == STEPS + 1
    assert wrong == []
