"""Chooses ports, lays cables, and says how QEMU's network cards are wired."""

import random
import socket
from collections.abc import Mapping

from tests.lab.recipe import MACHINES, SILO, MachineSpec

# Below the range of outgoing connections, so that none of them takes a chosen port.
_PORTS = range(20000, 32000)
MANAGEMENT = 0


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody listens on now."""
    found: list[int] = []
    for port in random.sample(_PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports for the lab")


def link_name(number: int) -> str:
    """The name of a machine's n-th link within QEMU: 0 is the one for ssh, then the iSCSI links."""
    return f"link{number}"


def cables() -> dict[tuple[str, int], socket.socket]:
    """A pair of connected sockets for each iSCSI network, by machine and network.

    QEMU could listen and connect by itself; but one that connects too early stays alone for
    ever, and says nothing.
    """
    ends: dict[tuple[str, int], socket.socket] = {}
    for spec in MACHINES:
        for card in spec.cards:
            if spec is not SILO:
                ends[SILO.name, card.network], ends[spec.name, card.network] = socket.socketpair()
    return ends


def arguments(spec: MachineSpec, port: int, plugs: Mapping[int, int]) -> list[str]:
    """QEMU's arguments for a machine's cards; `plugs` has the cable's end for each network."""
    forward = f"restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22"
    result = ["-netdev", f"user,id={link_name(MANAGEMENT)},{forward}"]
    result += ["-device", _card(MANAGEMENT, spec.mac)]
    for number, card in enumerate(spec.cards, start=1):
        result += ["-netdev", f"socket,id={link_name(number)},fd={plugs[card.network]}"]
        result += ["-device", _card(number, card.mac)]
    return result


def _card(number: int, mac: str) -> str:
    return f"virtio-net-pci,netdev={link_name(number)},mac={mac},romfile="
