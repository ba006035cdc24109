"""The tallest stack of the lab with a path, a key or a session missing: before, and in between."""

import threading
import time

import pytest

from extendctl import app, inventory, size
from extendctl.extension.extend import extend
from extendctl.extension.plan import Wish
from extendctl.inventory import Place
from extendctl.stack import Event, Settled
from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB, Program
from tests.lab.recipe import IQN
from tests.lab.volumes import LUKS_KEYS
from tests.lab.writer import Writer

pytestmark = pytest.mark.timeout(1200)

BEFORE, GOAL = 1024 * MIB, 1280 * MIB
EXTEND = ("volume", "extend", "tallvol", "--size", "1280M")
KEY = LUKS_KEYS["tallcrypt"]
_SIZES = """
for d in mpatha mpatha-part1 tallcrypt vgtall-data; do blockdev --getsize64 /dev/mapper/$d; done
dumpe2fs -h /dev/vgtall/data 2>/dev/null | awk '/^Block count/ {print $3 * 4096}'
"""


@pytest.fixture(scope="module")
def tall(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program that knows the volume, in a fresh lab."""
    lab.reset()
    ready = program.bare(lab, tmp_path_factory.mktemp("faults"))
    with app.opened(app.read_config(str(ready.config)), threading.Event()) as means:
        inventory.take(means, "tallvol", "san", "tallvol")
        inventory.attach(means, "tallvol", Place("web1"))
    return ready


def refused(lab: Lab, ready: Program, *words: str) -> None:
    """The extension is refused for this reason, and the backend is as it was."""
    said = ready.run(*EXTEND, status=3).words
    assert all(word in said for word in words), said
    assert lab.run("silo", "blockdev --getsize64 /dev/vg0/tallvol").stdout.strip() == str(BEFORE)


def paths(lab: Lab, state: str, count: int) -> None:
    """Wait until so many of the map's paths are in a state."""
    command = f"multipathd show paths raw format '%m %t %o' | grep -c 'mpatha {state}'"
    end = time.monotonic() + 120
    while lab.run("web1", command, check=False).stdout.strip() != str(count):
        assert time.monotonic() < end, lab.run("web1", "multipath -ll").stdout
        time.sleep(1)


def test_a_key_that_does_not_fit_is_found_before_anything_grows(lab: Lab, tall: Program) -> None:
    lab.run("web1", f"mv {KEY} {KEY}.right; head -c 64 /dev/urandom > {KEY}")
    refused(lab, tall, KEY, "does not open")
    lab.run("web1", f"rm {KEY}")
    refused(lab, tall, KEY, "does not open")
    lab.run("web1", f"mv {KEY}.right {KEY}")


def test_a_session_that_is_logged_out_is_missed(lab: Lab, tall: Program) -> None:
    node = f"iscsiadm -m node -T {IQN}:tallvol -p 10.10.2.1"
    lab.run("web1", f"{node} --logout")
    refused(lab, tall, "no session", "10.10.2.1:3260")
    lab.run("web1", f"{node} --login")
    paths(lab, "active running", 2)


def test_a_path_that_is_offline_is_named(lab: Lab, tall: Program) -> None:
    disk = lab.run("web1", "ls /sys/block/dm-0/slaves | tail -1").stdout.strip()
    lab.run("web1", f"echo offline > /sys/block/{disk}/device/state")
    refused(lab, tall, f"the path {disk}", "offline")
    lab.run("web1", f"echo running > /sys/block/{disk}/device/state")
    paths(lab, "active running", 2)


def test_a_path_that_dies_after_the_backend_has_grown_is_made_up_for(
    lab: Lab, tall: Program
) -> None:
    writer = Writer(lab, "web1", "/srv/tallvol")

    def cut(volume: str, event: Event) -> None:
        """The link goes when the backend has just been measured at its new size."""
        if isinstance(event, Settled) and event.layer.kind == "lun":
            lab.link("web1", 2, up=False)
            paths(lab, "failed", 1)

    with app.opened(app.read_config(str(tall.config)), threading.Event(), cut) as means:
        report = extend(means, "tallvol", size.parse("1280M"), Wish(goal=0))
    assert report.exit_status == 5, report
    assert tall.show("tallvol")["attachments"][0]["lagging"] is True
    lab.link("web1", 2, up=True)
    paths(lab, "active running", 2)
    assert tall.run("volume", "resume", "tallvol").result["outcome"] == "done"
    written = writer.stop_and_verify()
    assert (written.errors, written.verified > 0) == ((), True)
    partition = GOAL - MIB - 33 * 512
    crypt = partition - 16 * MIB
    volume = (BEFORE - MIB - 33 * 512 - 16 * MIB - MIB) // (4 * MIB) * (4 * MIB) - 64 * MIB
    grown = (crypt - MIB) // (4 * MIB) * (4 * MIB) - 64 * MIB
    assert grown - volume == GOAL - BEFORE
    sizes = [int(line) for line in lab.run("web1", _SIZES).stdout.split()]
    assert sizes == [GOAL, partition, crypt, grown, grown]
