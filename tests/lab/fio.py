"""fio on the lab's machines: writes and verifies at a steady pace, and tells the longest wait."""

import json
from dataclasses import dataclass
from typing import Any

from tests.lab.lab import Lab

BLOCK = 16 << 10
BACKLOG = 16  # blocks that are written before they are read back
RATE = 8  # writes a second, and as many reads: an emulated processor has other things to do
_BLOCKS = 64  # in a file, written in a random order, again and again

_GLOBAL = f"""\
[global]
rw=randwrite
bs={BLOCK}
size={_BLOCKS * BLOCK}
verify=crc32c
verify_fatal=1
verify_backlog={BACKLOG}
rate_iops={RATE}
ioengine=psync
group_reporting=0
"""
WAYS = {"direct": "direct=1\n", "buffered": "direct=0\nfsync=8\n"}


@dataclass(frozen=True)
class Load:
    """What one job did. Waits in seconds: the longest of any write, read or fsync, and the 99 %."""

    written: int
    verified: int
    error: int
    longest: float
    usual: float


class Fio:
    """fio on one machine, in the background, on several mounted filesystems at once."""

    def __init__(self, lab: Lab, machine: str, places: dict[str, str]) -> None:
        self._lab, self._machine = lab, machine
        self._place = f"/var/tmp/lab-fio-{machine}"
        jobs = "".join(
            f"[{name} {way}]\ndirectory={point}\n{options}"
            for name, point in places.items()
            for way, options in WAYS.items()
        )
        lab.put(machine, f"{self._place}/job", f"{_GLOBAL}loops=100000\n{jobs}")
        fio = "fio --output-format=json --output=out job & echo $! > pid; wait; touch done"
        begin = f"cd {self._place}; rm -f done; {fio}"
        # A shell of its own, whose output nobody waits for.
        lab.run(machine, f"setsid -f sh -c '{begin}' </dev/null >{self._place}/log 2>&1")

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        wait = "for _ in $(seq 300); do [ -e done ] && exit 0; sleep 0.2; done; exit 1"
        self._lab.run(self._machine, f"cd {self._place}; kill -TERM $(cat pid); {wait}")

    def result(self) -> dict[str, Load]:
        """What each job did, by its name, once it was stopped."""
        text = self._lab.run(self._machine, f"cat {self._place}/out {self._place}/log").stdout
        report = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
        return {one["jobname"]: _load(one) for one in report["jobs"]}


def _load(job: dict[str, Any]) -> Load:
    waits = [job["write"]["clat_ns"], job["read"]["clat_ns"], job["sync"]["lat_ns"]]
    usual = [one.get("percentile", {}).get("99.000000", 0) for one in waits]
    return Load(
        job["write"]["total_ios"],
        job["read"]["total_ios"],
        job["error"],
        max(one["max"] for one in waits) / 1e9,
        max(usual) / 1e9,
    )
