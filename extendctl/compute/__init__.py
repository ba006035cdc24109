"""What stands on a volume where it is attached: every compute finds a stack by identity."""

from typing import Protocol

from extendctl.errors import Fault, Refused
from extendctl.host import Host
from extendctl.model import Attachment, GrowOptions, Identity
from extendctl.stack import Stack


class Compute(Protocol):
    """One way of being attached."""

    def stack(self, identity: Identity, options: GrowOptions) -> Stack:
        """The layers on the host, lowest first, found by the volume's identity, now.

        Raises Unreachable when the host cannot be asked, Refused (`not-found`) when it does not
        see the volume.
        """
        ...


def build(attachment: Attachment, machine: Host) -> Compute:
    """The compute that an attachment names."""
    from extendctl.compute.linux import LinuxCompute

    if attachment.compute != "linux":
        message = f"compute {attachment.compute!r} cannot be signalled by this version"
        raise Refused((Fault("obstacle", message, "`--compute linux` can", machine.name),))
    return LinuxCompute(machine)
