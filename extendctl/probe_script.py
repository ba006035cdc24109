"""The one text for `sh -s` that asks a machine, unprivileged, for all that discovery needs.

Nothing is ever interpolated into it: some forty reads of /sys and /proc cost one process in place
of forty. Values come back one to a line as `key<TAB>...`. With the argument `sudo` it tells what
that allows, too.
"""

TOOLS = (
    "blkid", "blockdev", "btrfs", "chmod", "cryptsetup", "dumpe2fs", "e2fsck", "iscsiadm", "kpartx",
    "losetup", "lvchange", "lvcreate", "lvextend", "lvs", "mkdir", "mkswap", "multipathd", "nvme",
    "partx",
    "pvresize", "resize2fs", "sfdisk", "stat", "sudo", "swapoff", "swapon", "targetcli", "tee",
    "tgtadm", "timeout", "truncate", "udevadm", "xfs_growfs", "xfs_spaceman",
)  # fmt: skip

HOST_SCRIPT = (
    r"""
say() { printf '%s\t' "$@"; printf '\n'; }
get() { value=; { IFS= read -r value < "$1"; } 2>/dev/null; }
get /proc/sys/kernel/osrelease; say kernel "$value"
get /etc/machine-id; say machine-id "$value"
get /proc/sys/kernel/random/boot_id; say boot-id "$value"
get /proc/uptime; say uptime "${value%% *}"
while read -r key value; do
  case $key in CapBnd:) say bounding "$value";; Uid:) say uid "${value%%	*}";; esac
done < /proc/self/status
while read -r key value unit; do
  case $key in MemAvailable:) say available "$value";; esac
done < /proc/meminfo
for tool in """
    + " ".join(TOOLS)
    + r"""; do
  where=$(command -v "$tool") && say tool "$tool" "$where"
done
for node in /sys/class/block/*; do
  [ -e "$node/dev" ] || continue
  block=${node##*/}
  get "$node/dev"; dev=$value
  get "$node/size"; say block "$block" "$dev" "$value"
  for key in ro partition start queue/logical_block_size dm/name dm/uuid device/wwid wwid \
    device/state loop/backing_file loop/sizelimit loop/offset; do
    [ -e "$node/$key" ] || continue
    get "$node/$key"; say "$key" "$block" "$value"
  done
  if [ -e "$node/device/wwid" ]; then
    where=$(cd -P "$node/device" && pwd -P)
    case $where in */session*/target*)
      session=${where#*/session}; session=${session%%/*}
      get "/sys/class/iscsi_session/session$session/targetname"; iqn=$value
      for line in /sys/class/iscsi_connection/connection"$session":*; do
        get "$line/persistent_address"; address=$value
        get "$line/persistent_port"; say session "$block" "$iqn" "$address" "$value" "$where"
      done;;
    esac
  fi
  for child in "$node"/*/partition; do
    [ -e "$child" ] && child=${child%/partition} && say child "$block" "${child##*/}"
  done
  for holder in "$node"/holders/*; do
    [ -e "$holder" ] && say holder "$block" "${holder##*/}"
  done
  for slave in "$node"/slaves/*; do
    [ -e "$slave" ] && say slave "$block" "${slave##*/}"
  done
done
for node in /sys/class/nvme/nvme*; do
  [ -e "$node/state" ] || continue
  get "$node/subsysnqn"; nqn=$value
  get "$node/state"; say nvme "${node##*/}" "$nqn" "$value"
  for path in "$node"/nvme*n*; do
    [ -e "$path/wwid" ] || continue
    get "$path/wwid"; say namespace "${node##*/}" "${path##*/}" "$value"
  done
done
for node in /sys/fs/btrfs/*/exclusive_operation; do
  [ -e "$node" ] || continue
  pool=${node%/*}; get "$node"; say exclusive "${pool##*/}" "$value"
done
for node in /sys/fs/btrfs/*/devinfo/*/writeable; do
  [ -e "$node" ] || continue
  node=${node%/*}; pool=${node%/devinfo/*}
  get "$node/writeable"; say writeable "${pool##*/}" "${node##*/}" "$value"
done
for node in /sys/fs/btrfs/*/devices/*; do
  [ -e "$node" ] || continue
  pool=${node#/sys/fs/btrfs/}; say btrfs "${pool%%/*}" "${node##*/}"
done
for node in /sys/fs/ext4/* /sys/fs/xfs/*; do
  [ -e "/sys/class/block/${node##*/}" ] && say live "${node##*/}"
done
while IFS= read -r line; do
  say mount "$line"
  case $line in *" - btrfs "*)
    source=${line##* - btrfs }; source=${source%% *}
    for node in /sys/fs/btrfs/*/devices/*; do
      [ "$source" -ef "/dev/${node##*/}" ] && say alias "$source" "${node##*/}"
    done;;
  esac
done < /proc/self/mountinfo
while IFS= read -r line; do say swap "$line"; done < /proc/swaps
for node in /run/extendctl-swap-*; do
  [ -s "$node" ] || continue
  get "$node"; say resting "${node#/run/extendctl-swap-}" "$value"
done
if [ "${1-}" = sudo ] && command -v sudo > /dev/null; then
  rules=$(sudo -n -l < /dev/null 2> /dev/null) || rules=
  set -f; IFS='
'
  for line in $rules; do
    [ ${#line} -lt 32768 ] || line='a line that is too long'
    say sudo-line "$line"
  done
fi
say end
"""
)
