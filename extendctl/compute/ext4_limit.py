"""How far an ext2, ext3 or ext4 can grow, mounted or not, by what its superblock says."""

from extendctl.compute.site import OnHost
from extendctl.readings import Ext4
from extendctl.size import Size, human
from extendctl.stack import Obstacle


def beyond(layer: OnHost, where: str, found: Ext4, to: Size) -> list[Obstacle]:
    """Growth to more blocks than are counted; resize2fs refuses it when all beneath has grown."""
    if found.limit is None or to <= found.limit:
        return []
    message = f"the ext4 {where} on {layer.host} lacks `64bit`: {human(found.limit)} at most"
    return [layer.no(message, "convert it while it is not mounted: resize2fs -b")]
