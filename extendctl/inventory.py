"""Take volumes and attachments into the state and out of it again, each looked at first."""

from collections.abc import Sequence
from dataclasses import dataclass

from extendctl import compute, names
from extendctl.errors import ExtendctlError, Fault, Refused
from extendctl.extension.means import Desk, Means, attempt, side_by_side
from extendctl.model import Attachment, GrowOptions, Volume
from extendctl.size import Size
from extendctl.stack import Stack, Trunk


def create(  # noqa: PLR0913 - what `volume create` can be told
    means: Means,
    name: str,
    backend: str,
    size: Size,
    *,
    project: str | None = None,
    initiators: Sequence[str] = (),
) -> Volume:
    """Make a new volume on a backend and take it in. Raises what the backend says."""
    names.name(name, "volume")
    _free(means, name)
    desk = means.desk(name)
    desk.journal.unrecorded = True  # there is no operation yet, and no data to lose
    driver = desk.backend(backend)
    source = driver.create(name, size, initiators)
    return _take_in(means, name, backend, driver.trunk(source), project)


def take(means: Means, name: str, backend: str, source: str, project: str | None = None) -> Volume:
    """Take in a volume that is there. Raises Refused when it is not, or is another's already."""
    names.name(name, "volume")
    trunk = means.desk(name).backend(backend).trunk(source)
    return _take_in(means, name, backend, trunk, project)


def _free(means: Means, name: str) -> None:
    taken = attempt(lambda: means.store.volume(name))
    if isinstance(taken, Volume):
        raise Refused((Fault("obstacle", f"there is a volume {name} already"),))


def _take_in(means: Means, name: str, backend: str, trunk: Trunk, project: str | None) -> Volume:
    return means.store.add_volume(
        name,
        backend=backend,
        source=trunk.source,
        identity=trunk.source_identity,
        size=trunk.layers[0].measure(),
        project=project,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attachment is looked for."""

    host: str
    compute: str = "linux"
    domain: str | None = None
    server: str | None = None


def attach(means: Means, name: str, place: Place) -> Attachment:
    """Write down that a host uses a volume, when the host sees it. Raises Refused otherwise."""
    volume = means.store.volume(name)
    desk = means.desk(name)
    return _attach(means, volume, place, _seen(desk, volume, place, _trunk(desk, volume)))


def discover(means: Means, name: str) -> list[Attachment]:
    """Attach a volume on every configured host that sees it and does not have it yet.

    Raises the first host's error when a host could not be asked: "don't know" is not "no".
    """
    volume = means.store.volume(name)
    desk = means.desk(name)
    trunk = _trunk(desk, volume)
    known = {one.host for one in volume.attachments}
    hosts = [host for host in means.config.hosts if host not in known]
    found = side_by_side(
        lambda host: attempt(lambda: _seen(desk, volume, Place(host), trunk)), hosts
    )
    made = []
    for host, stack in zip(hosts, found, strict=True):
        if isinstance(stack, Stack):
            made.append(_attach(means, volume, Place(host), stack))
    for stack in found:
        if isinstance(stack, ExtendctlError) and stack.fault.code != "not-found":
            raise stack
    return made


def detach(means: Means, name: str, place: Place, *, any_compute: bool = False) -> Attachment:
    """Forget an attachment; nothing on the host is touched. Raises Refused, Busy."""
    kind = None if any_compute else place.compute
    return means.store.detach(name, place.host, kind, place.domain, place.server)


def _trunk(desk: Desk, volume: Volume) -> Trunk:
    return desk.backend(volume.backend).trunk(volume.source, volume.identity)


def _seen(desk: Desk, volume: Volume, place: Place, trunk: Trunk) -> Stack:
    if trunk.identity is None:
        message = f"{volume.name} is served by no target, so that no host can see it"
        hint = f"export {trunk.source} on {trunk.layers[0].host} first"
        raise Refused((*trunk.obstacles, Fault("not-found", message, hint)))
    wanted = Attachment(0, place.host, place.compute, place.domain, place.server)
    machine = desk.machine(place.host)
    return compute.build(wanted, machine).stack(trunk.identity, GrowOptions())


def _attach(means: Means, volume: Volume, place: Place, stack: Stack) -> Attachment:
    lowest = stack.layers[0] if stack.layers else None
    device = lowest is not None and lowest.kind in {"path", "loop", "multipath", "nvme"}
    size = lowest.measure() if lowest is not None and device else volume.size
    return means.store.attach(
        volume.name,
        place.host,
        compute=place.compute,
        domain=place.domain,
        server=place.server,
        device=stack.device,
        mountpoint=stack.mountpoint,
        size=size,
    )
