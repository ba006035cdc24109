"""Simulated machines that answer what the program really sends; see `site` for ready-made ones.

site = iscsi_ext4()                     # or iscsi_ext4(path): shared between processes
hosts = site.hosts()                    # extendctl.host.Host over WorldTransport
site.world.cut("web1", call=2, when="after")
with site.world.change() as state:
    changes.offline(state, "web1", "sdb")
assert site.world.deeds("silo") == [("lvextend", ...)]
"""

from tests.world.world import World, WorldTransport

__all__ = ["World", "WorldTransport"]
