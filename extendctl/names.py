"""Validate the names that people and machines give, before any of them becomes an argument."""

import re
from pathlib import PurePosixPath

from extendctl.errors import Usage, quoted

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)
_LVM = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}", re.ASCII)
_KERNEL = re.compile(r"[a-z][A-Za-z0-9!._-]{0,63}", re.ASCII)
_IQN = re.compile(r"(iqn\.[0-9]{4}-[0-9]{2}\.[A-Za-z0-9.:-]+|eui\.[0-9A-Fa-f]{16})", re.ASCII)


def name(text: str, what: str) -> str:
    """Check what a volume, host or backend is called. Raises Usage, with the allowed letters."""
    if not _NAME.fullmatch(text):
        raise Usage(
            f"{quoted(text)} is not a valid {what} name",
            hint="letters, digits, '_', '.' and '-', not beginning with '.' or '-', 255 at most",
        )
    return text


def lvm(text: str, what: str) -> str:
    """A volume group's or logical volume's name, in the letters that LVM takes. Raises Usage."""
    if not _LVM.fullmatch(text) or text in {".", ".."}:
        raise Usage(
            f"{quoted(text)} is not a valid {what} name",
            hint="lvm(8): letters, digits, '+', '_', '.' and '-', not beginning with '-'",
        )
    return text


def grouped(text: str) -> str:
    """A logical volume with its group, `VG/LV`. Raises Usage."""
    group, slash, volume = text.partition("/")
    if not slash or "/" in volume:
        message = f"{quoted(text)} is not a logical volume with its volume group"
        raise Usage(message, hint="write VG/LV, as `lvs` on the host has them: vg1/data")
    return f"{lvm(group, 'volume group')}/{lvm(volume, 'logical volume')}"


def device(text: str) -> str:
    """A kernel's name of a block device, such as `sdb` or `dm-3`. Raises Usage."""
    if not _KERNEL.fullmatch(text) or ".." in text:
        raise Usage(f"{quoted(text)} is not the name of a block device")
    return text


def iqn(text: str) -> str:
    """An iSCSI name (RFC 3720, 3.2.6.3). Raises Usage."""
    if not _IQN.fullmatch(text) or len(text) > 223:
        message = f"{quoted(text)} is not an iSCSI qualified name"
        raise Usage(message, hint="iqn.2026-11.com.example:web1")
    return text


def path(text: str, what: str) -> str:
    """An absolute path without `..` and without what cannot be printed. Raises Usage."""
    pure = PurePosixPath(text)
    if not pure.is_absolute() or ".." in pure.parts or not text.isprintable():
        message = f"{quoted(text)} is not a usable path for {what}"
        raise Usage(message, hint="write an absolute path, without `..` or control characters")
    return text


def filename(text: str) -> str:
    """The name of a file directly in a directory. Raises Usage."""
    if "/" in text or text in {"", ".", ".."} or text.startswith("-") or not text.isprintable():
        raise Usage(f"{quoted(text)} is not the name of a file in the backend's directory")
    return text
