"""Volumes behind the other targets, built in a running lab: tgt, nvmet, and LIO's files."""

from tests.lab.lab import Lab
from tests.lab.program import Program
from tests.lab.recipe import IQN, WEB1

PORTAL = "10.10.1.1"
TGT, FILE_ON_LV, FILE, NVME = "tgtvol", "fiovol", "nasvol", "nvmvol"
NAMES = (TGT, FILE_ON_LV, FILE, NVME)
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
_SERVE = f"""set -eux
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
_LOG_IN = "\n".join([
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


def build(lab: Lab, ready: Program) -> None:
    """Serves the volumes, one of them made by the program, and mounts an ext4 on each on web1.

    The program's configuration has to have BACKENDS.
    """
    lab.run("silo", _SERVE, timeout=600)
    create = ("volume", "create", FILE, "--backend", "nas", "--size", "128M")
    ready.run(*create, "--initiator", WEB1.initiator)
    lab.run("web1", _LOG_IN, timeout=600)


def take(ready: Program) -> None:
    """Takes in the volumes that the program has not made itself, and attaches them all."""
    for name, backend in BACKEND_OF.items():
        ready.run("volume", "import", name, "--backend", backend, "--source", name)
    for name in NAMES:
        ready.run("volume", "attach", name, "web1")
