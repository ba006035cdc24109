"""Chooses ports and sockets, and says how QEMU's network cards are wired."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from tests.lab.recipe import SILO, MachineSpec

# Below the range that the kernel hands to outgoing connections, so that none of them takes a chosen port.
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
    """The name of a machine's n-th link within QEMU: 0 is the management link, then the iSCSI links."""
    return f"link{number}"


def arguments(spec: MachineSpec, run: Path, port: int) -> list[str]:
    """QEMU's arguments for all cards of one machine.

    silo listens on a unix socket per network and the hosts connect, so silo has to be started first.
    """
    forward = f"restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22"
    result = [
        "-netdev",
        f"user,id={link_name(MANAGEMENT)},{forward}",
        "-device",
        _card(MANAGEMENT, spec.mac),
    ]
    server = "on" if spec is SILO else "off"
    for number, card in enumerate(spec.cards, start=1):
        wire = f"server={server},addr.type=unix,addr.path={run}/net{card.network}.sock"
        result += [
            "-netdev",
            f"stream,id={link_name(number)},{wire}",
            "-device",
            _card(number, card.mac),
        ]
    return result


def _card(number: int, mac: str) -> str:
    return f"virtio-net-pci,netdev={link_name(number)},mac={mac},romfile="
