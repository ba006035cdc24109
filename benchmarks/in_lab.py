"""Volumes over iSCSI in the lab's virtual machines: what a site is like, only slower."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contest import Contest, Course, contest
from tests.lab import program
from tests.lab.lab import Lab

VOLUMES = {
    "ext4vol": ("iSCSI, ext4", 512),
    "tallvol": ("iSCSI, multipath, GPT, LUKS2, LVM, ext4", 1024),
}


def in_lab(names: Sequence[str], runs: int) -> Iterator[Contest]:
    """A contest for each of these volumes, in a fresh lab."""
    lab = Lab.ensure()
    try:
        lab.reset()
        with tempfile.TemporaryDirectory(prefix="extendctl-bench-") as top:
            one = program.bare(lab, Path(top))
            for name in names:
                title, size = VOLUMES[name]
                (volume,) = program.named(name)
                program.take(one, volume)
                hosts = ("silo", *program.hosts_of(volume))
                yield contest(Course(title, one.config, name, hosts, size), runs)
    finally:
        lab.stop()
