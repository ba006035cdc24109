"""Ask a machine, in one unprivileged command, what its NVMe target serves, from configfs."""

from dataclasses import dataclass

from extendctl import figures

NVMET_SCRIPT = r"""
say() { printf '%s\t' "$@"; printf '\n'; }
get() { value=; { IFS= read -r value < "$1"; } 2>/dev/null; }
get /proc/sys/kernel/random/boot_id; say boot-id "$value"
get /proc/uptime; say uptime "${value%% *}"
for node in /sys/kernel/config/nvmet/subsystems/*/namespaces/*; do
  [ -e "$node/device_path" ] || continue
  nqn=${node%/namespaces/*}; nqn=${nqn##*/}
  get "$node/device_path"; path=$value
  get "$node/device_uuid"; uuid=$value
  get "$node/device_nguid"; nguid=$value
  get "$node/enable"; say namespace "$nqn" "${node##*/}" "$value" "$uuid" "$nguid" "$path"
done
say end
"""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of an NVMe target: the subsystem, the number, and the device that it serves."""

    nqn: str
    number: int
    enabled: bool
    uuid: str
    nguid: str
    path: str

    @property
    def wwid(self) -> str:
        """The name under which Linux hosts know it in sysfs.

        The UUID if it has one, else the NGUID (drivers/nvme/host, wwid_show).
        """
        if self.uuid.strip("0-"):
            return f"uuid.{self.uuid.lower()}"
        return f"eui.{self.nguid.replace('-', '').lower()}"

    def __str__(self) -> str:
        return f"{self.nqn},ns{self.number}"


def namespaces(text: str) -> tuple[Namespace, ...]:
    """Read what NVMET_SCRIPT printed. Raises Garbled when its end is missing."""
    return tuple(
        Namespace(
            row[1], figures.number(row[2], "a namespace"), row[3] == "1", row[4], row[5], row[6]
        )
        for row in figures.fields(text)
        if row[0] == "namespace" and len(row) > 6
    )
