"""Say whether a machine could do a deed: the tool is there, and root may run it unasked."""

from collections.abc import Sequence

from extendctl import questions, sudo_listing
from extendctl.errors import Fault
from extendctl.host import Deed, Host, timed

_CAP_SYS_RESOURCE = 1 << 24  # linux/capability.h


def hindrances(machine: Host, deed: Deed) -> list[Fault]:
    """Why this deed would not even start on the machine; empty when it would.

    Raises Unreachable when the machine cannot be asked.
    """
    return missing(machine, deed.argv[0]) or _rights(machine, deed)


def missing(machine: Host, tool: str) -> list[Fault]:
    """The fault that a tool is not on the machine. Raises Unreachable when it cannot be asked."""
    if tool in machine.ask(questions.facts()).tools:
        return []
    hint = f"install {PACKAGES.get(tool, tool)} on {machine.name}"
    return [Fault("obstacle", f"{tool} is missing on {machine.name}", hint, machine.name)]


def bounded(machine: Host) -> list[Fault]:
    """Why the kernel would not grow a mounted ext4, although root asks: CAP_SYS_RESOURCE.

    Containers take it away, from root as well: what counts is the bounding set.
    """
    if machine.ask(questions.facts()).bounding & _CAP_SYS_RESOURCE:
        return []
    message = f"processes on {machine.name} lack CAP_SYS_RESOURCE, without which the kernel does "
    message += "not grow a mounted ext4"
    hint = "run it outside of the container, or use --no-filesystem"
    return [Fault("obstacle", message, hint, machine.name)]


def _rights(machine: Host, deed: Deed) -> list[Fault]:
    if not machine.may_be_root:
        message = f"{deed.argv[0]} must run as root on {machine.name}, and `become` is none"
        return [Fault("obstacle", message, "log in as root, or set `become: sudo`", machine.name)]
    if not machine.uses_sudo:
        return []
    if "sudo" not in machine.ask(questions.facts()).tools:
        message = f"sudo is missing on {machine.name}"
        return [Fault("obstacle", message, "install it, or log in as root", machine.name)]
    words = timed(deed.argv, max(machine.config.command_timeout, deed.seconds))
    if machine.ask(questions.permitted(words)) == 0:
        return _asked(machine, deed, words)
    user = machine.config.user or "this user"
    message = f"{user} may not run {deed.argv[0]} on {machine.name} through sudo without a password"
    hint = "allow it in sudoers with NOPASSWD, or choose another user for the host"
    return [Fault("obstacle", message, hint, machine.name)]


def _asked(machine: Host, deed: Deed, words: Sequence[str]) -> list[Fault]:
    """The fault that a rule wants a password, of which `sudo -l COMMAND` says nothing.

    To list, sudo wants one only of a user without a single rule with NOPASSWD (sudoers(5),
    listpw).
    """
    try:
        rule = sudo_listing.asking(machine.ask(questions.facts()).sudo, words)
    except ValueError:  # of a listing that is not understood nothing is certain
        return []
    if rule is None:
        return []
    message = f"{machine.config.user or 'this user'} may not run {deed.argv[0]} on {machine.name} "
    message += f"through sudo without a password: of all rules that match the last one is `{rule}`"
    hint = "a later rule with NOPASSWD decides: `sudo -l` shows their order, and the files in "
    hint += "/etc/sudoers.d are read in lexical order"
    return [Fault("obstacle", message, hint, machine.name)]


PACKAGES = {
    "lvextend": "lvm2", "lvchange": "lvm2", "lvs": "lvm2", "pvresize": "lvm2", "lvcreate": "lvm2",
    "resize2fs": "e2fsprogs", "dumpe2fs": "e2fsprogs", "e2fsck": "e2fsprogs",
    "mkswap": "util-linux", "swapon": "mount", "swapoff": "mount",
    "xfs_growfs": "xfsprogs", "xfs_spaceman": "xfsprogs", "btrfs": "btrfs-progs",
    "losetup": "mount", "blockdev": "util-linux",
    "partx": "util-linux", "kpartx": "kpartx", "udevadm": "udev",
    "tee": "coreutils", "truncate": "coreutils", "chmod": "coreutils",
    "multipathd": "multipath-tools", "growpart": "cloud-guest-utils", "sfdisk": "fdisk",
    "cryptsetup": "cryptsetup", "targetcli": "targetcli-fb", "iscsiadm": "open-iscsi",
    "tgtadm": "tgt", "nvme": "nvme-cli",
}  # fmt: skip
"""The Debian package that holds a tool."""
