"""Volumes behind tgt, behind the kernel's NVMe target and in LIO's files grow under writers."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import MIB
from tests.lab.recipe import IQN, WEB1
from tests.lab.writer import Writer, Written

pytestmark = pytest.mark.timeout(1800)

PORTAL = "10.10.1.1"
TGT, FILE_ON_LV, FILE, NVME = "tgtvol", "fiovol", "nasvol", "nvmvol"
NAMES = (TGT, FILE_ON_LV, FILE, NVME)
OLD, NEW = 128 * MIB, 300 * MIB
NAS_IQN = f"iqn.2003-01.org.linux-iscsi.extendctl:{FILE}"
DEVICES = {
    TGT: f"/dev/disk/by-path/ip-{PORTAL}:3261-iscsi-{IQN}:{TGT}-lun-1",
    FILE_ON_LV: f"/dev/disk/by-path/ip-{PORTAL}:3260-iscsi-{IQN}:{FILE_ON_LV}-lun-0",
    FILE: f"/dev/disk/by-path/ip-{PORTAL}:3260-iscsi-{NAS_IQN}-lun-0",
    NVME: "/dev/nvme0n1",
}
BACKENDS = """backends:
  old: {driver: iscsi, target: tgt, host: silo, volume_group: vg0, capabilities: [in-use-extend]}
  nvm: {driver: iscsi, target: nvmet, host: silo, volume_group: vg0, capabilities: [in-use-extend]}
  nas: {driver: iscsi, target: lio, host: silo, directory: /srv/lio, capabilities: [in-use-extend]}
"""
BACKEND_OF = {TGT: "old", FILE_ON_LV: "san", NVME: "nvm"}

# tgtd listens beside LIO, on a port of its own.
SERVE = f"""set -eux
for name in {TGT} {FILE_ON_LV} {NVME}; do lvcreate -q -y -Wn -L 128M -n $name vg0; done
tgtd --iscsi portal={PORTAL}:3261
for _ in $(seq 50); do tgtadm --lld iscsi --mode target --op show && break; sleep 0.2; done
tgt() {{ tgtadm --lld iscsi "$@"; }}
tgt --op new --mode target --tid 1 -T {IQN}:{TGT}
tgt --op new --mode logicalunit --tid 1 --lun 1 -b /dev/vg0/{TGT}
tgt --op bind --mode target --tid 1 -I ALL
modprobe nvmet-tcp
cd /sys/kernel/config/nvmet
mkdir subsystems/{IQN}:{NVME} subsystems/{IQN}:{NVME}/namespaces/1 ports/1
cd subsystems/{IQN}:{NVME}; echo 1 > attr_allow_any_host
echo /dev/vg0/{NVME} > namespaces/1/device_path; echo 1 > namespaces/1/enable
cd ../../ports/1; echo tcp > addr_trtype; echo ipv4 > addr_adrfam
echo {PORTAL} > addr_traddr; echo 4420 > addr_trsvcid
ln -s ../../subsystems/{IQN}:{NVME} subsystems/
targetcli <<'END'
set global auto_add_default_portal=false auto_save_on_exit=false
/backstores/fileio create name={FILE_ON_LV} file_or_dev=/dev/vg0/{FILE_ON_LV} write_back=false
/iscsi create {IQN}:{FILE_ON_LV}
/iscsi/{IQN}:{FILE_ON_LV}/tpg1/luns create /backstores/fileio/{FILE_ON_LV}
/iscsi/{IQN}:{FILE_ON_LV}/tpg1/acls create {WEB1.initiator}
/iscsi/{IQN}:{FILE_ON_LV}/tpg1/portals create {PORTAL} 3260
saveconfig
exit
END
"""
LOG_IN = "\n".join([
    "set -eux; modprobe nvme-tcp",
    f"nvme connect -t tcp -a {PORTAL} -s 4420 -n {IQN}:{NVME}",
    *(
        f"iscsiadm -m node -o new -T {iqn} -p {portal}; "
        f"iscsiadm -m node -T {iqn} -p {portal} --login"
        for iqn, portal in (
            (f"{IQN}:{TGT}", f"{PORTAL}:3261"),
            (f"{IQN}:{FILE_ON_LV}", PORTAL),
            (NAS_IQN, PORTAL),
        )
    ),
    *(
        f"until [ -b {device} ]; do sleep 0.2; done; mkfs.ext4 -q -F -E nodiscard {device}; "
        f"mkdir -p /srv/{name}; mount {device} /srv/{name}"
        for name, device in DEVICES.items()
    ),
])  # fmt: skip

BLOCKS = (
    "dumpe2fs -h {} 2>/dev/null | "
    "awk '/^Block count/ {{n=$3}} /^Block size/ {{b=$3}} END {{printf \"%.0f\", n*b}}'"
)


@dataclass(frozen=True)
class Job:
    """What was refused, what was done, and what the machines said afterwards."""

    denied: Any
    done: dict[str, Any]
    again: dict[str, Any]
    devices: dict[str, int]
    filesystems: dict[str, int]
    written: dict[str, Written]
    errors: dict[str, list[str]]
    restarted: int
    checked: str


@pytest.fixture(scope="module")
def job(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Job:
    lab.reset()
    ops = program.bare(lab, tmp_path_factory.mktemp("targets")).edit("backends:\n", BACKENDS)
    lab.run("silo", SERVE, timeout=600)
    create = ("volume", "create", FILE, "--backend", "nas", "--size", "128M")
    ops.run(*create, "--initiator", WEB1.initiator)
    lab.run("web1", LOG_IN, timeout=600)
    for name, backend in BACKEND_OF.items():
        ops.run("volume", "import", name, "--backend", backend, "--source", name)
    for name in NAMES:
        ops.run("volume", "attach", name, "web1")
    extend = ("volume", "extend", *NAMES, "--size", "300M")
    denied = ops.run("volume", "extend", TGT, "--size", "300M", status=3).result
    free = ops.policy("  rules: {'volume:extend_with_pause': allow}")
    writers = {name: Writer(lab, "web1", f"/srv/{name}") for name in NAMES}
    done = free.run(*extend).json
    written = {name: writer.stop_and_verify() for name, writer in writers.items()}
    devices = {name: _number(lab, f"blockdev --getsize64 {at}") for name, at in DEVICES.items()}
    return Job(
        denied=denied,
        done={one["volume"]: one for one in done},
        devices=devices,
        filesystems={name: _number(lab, BLOCKS.format(at)) for name, at in DEVICES.items()},
        again={one["volume"]: one for one in free.run(*extend).json},
        written=written,
        errors={name: lab.kernel_errors(name) for name in lab.names},
        restarted=_restarted(lab),
        checked=lab.run("web1", f"e2fsck -fn {DEVICES[FILE]}").stdout,
    )


def _number(lab: Lab, command: str) -> int:
    return int(lab.run("web1", command).stdout)


def _restarted(lab: Lab) -> int:
    """The size of the LUN over a file after the target has come back from what it had saved."""
    lab.run("web1", f"umount /srv/{FILE}")
    lab.run("silo", "systemctl restart rtslib-fb-targetctl", timeout=300)
    # The session comes back by itself; until then the device is blocked and its size the old one.
    ask = (
        f"sg_readcap --long {DEVICES[FILE]} | sed -n 's/.*Device size: \\([0-9]*\\) bytes.*/\\1/p'"
    )
    lab.run("web1", f"for _ in $(seq 60); do {ask} | grep -q . && break; sleep 1; done")
    return _number(lab, ask)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_grows_and_measures_what_the_machines_say(job: Job, name: str) -> None:
    done = job.done[name]
    assert (done["outcome"], done["status"], done["size"]) == ("done", "in-use", NEW)
    assert set(program.layers(done).values()) == {NEW}
    assert (job.devices[name], job.filesystems[name]) == (NEW, NEW)
    kinds = ["file" if name == FILE else "lv", "lun", "nvme" if name == NVME else "path", "ext4"]
    assert [one["kind"] for one in done["layers"]] == kinds


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_written_meanwhile_is_lost(job: Job, name: str) -> None:
    assert job.written[name].errors == ()
    assert job.written[name].verified > 0
    assert job.errors == {"silo": [], "web1": [], "web2": []}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_call_again_finds_nothing_to_do(job: Job, name: str) -> None:
    assert job.again[name]["outcome"] == "unchanged"


def test_a_pause_wants_a_permission_of_its_own(job: Job) -> None:
    assert job.denied["error"]["code"] == "policy-denied"
    assert "volume:extend_with_pause" in job.denied["error"]["message"]


def test_a_file_behind_lio_keeps_its_size_over_a_restart_of_the_target(job: Job) -> None:
    assert job.restarted == NEW
    assert "ERROR" not in job.checked
