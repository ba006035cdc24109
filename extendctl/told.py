"""Validate the names that machines tell, before any of them becomes an argument.

They are checked like those that people give, but nobody has typed them, and so it is not the call
that is wrong: what is raised here is Refused.
"""

from extendctl import names
from extendctl.errors import Fault, Refused, Usage, quoted


def lvm(text: str, what: str) -> str:
    """A volume group's or logical volume's name. Raises Refused."""
    try:
        return names.lvm(text, what)
    except Usage as error:
        raise _refused(error) from None


def device(text: str) -> str:
    """A kernel's name of a block device, such as `sdb` or `dm-3`. Raises Refused."""
    try:
        return names.device(text)
    except Usage as error:
        raise _refused(error) from None


def iqn(text: str) -> str:
    """An iSCSI name. Raises Refused."""
    try:
        return names.iqn(text)
    except Usage as error:
        raise _refused(error) from None


def path(text: str, what: str) -> str:
    """An absolute path without `..` and without what cannot be printed. Raises Refused."""
    try:
        return names.path(text, what)
    except Usage as error:
        raise _refused(error) from None


def strange(text: str, what: str) -> Refused:
    """The refusal of what no command may have in it."""
    return Refused((Fault("obstacle", f"{quoted(text)} is not {what}", _LOOK),))


def _refused(error: Usage) -> Refused:
    return Refused((Fault("obstacle", str(error), _LOOK),))


_LOOK = "a machine has told this; look there where it comes from"
