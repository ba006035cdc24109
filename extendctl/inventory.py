"""Take volumes and attachments into the state and out of it again, each looked at first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from extendctl import compute, lookout, names, phrasebook, questions
from extendctl.admission import Promise
from extendctl.backends import Backend
from extendctl.compute.sight import Sight, sight
from extendctl.errors import (
    SAME_AGAIN,
    ExtendctlError,
    Fault,
    Incomplete,
    Refused,
    Usage,
    half_made,
    not_found,
)
from extendctl.extension.means import Desk, Means, attempt
from extendctl.host import Host
from extendctl.model import Attachment, GrowOptions, Identity, Volume
from extendctl.policy import Request, against_new
from extendctl.size import Size, round_up
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
    """Make a new volume on a backend and take it in. Raises what the backend says.

    `size` in bytes. Raises Refused (`limit-exceeded`) before anything is made.
    """
    names.name(name, "volume")
    for one in initiators:
        names.iqn(one)
    settings = means.config.backends.get(backend)
    if initiators and settings is not None and settings.driver != "iscsi":
        message = f"backend {backend} has no target, so that no initiator can have the volume"
        raise Usage(message, hint="leave --initiator out, or choose a backend with driver: iscsi")
    _free(means, name)
    desk = means.desk(name)
    desk.journal.unrecorded = True  # there is no operation yet, and no data to lose
    driver = desk.backend(backend)
    _within_limits(means, driver, name, size, project)
    _spared(means, driver, name, size)
    try:
        source = driver.create(name, size, initiators)
    except Incomplete as half:  # there is no volume yet that could be resumed
        half.faults = tuple(replace(fault, hint=SAME_AGAIN) for fault in half.faults)
        raise
    with half_made(name, driver.machine.name):
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


def _within_limits(
    means: Means, driver: Backend, name: str, size: Size, project: str | None
) -> None:
    """Raise Refused (`limit-exceeded`) when policy does not let a new volume be that large."""
    policy = means.config.policy
    limits = policy.limits
    bounds = (limits.max_size, limits.min_pool_free, limits.max_thin_data)
    if bounds == (None, None, None) and project not in policy.projects:
        return  # nothing that the pool would have to be measured for
    pool, group = driver.usage(), _thick_group(means, driver)
    rounded = round_up(size, pool.unit)
    wanted = Request(
        asker=means.asker,
        volume=name,
        project=project,
        attached=False,
        before=0,
        goal=rounded,
        project_total=0 if project is None else means.store.project_total(project),
        pool=pool,
        thin=group is None,
        needed=0 if group is None or _has(driver, group, name) else rounded,
    )
    faults = against_new(policy, wanted)
    if faults:
        raise Refused(faults)


def _thick_group(means: Means, driver: Backend) -> str | None:
    """The volume group that a new volume takes its whole size from; None where it is thin."""
    settings = means.config.backends[driver.name]
    return settings.volume_group if settings.pool is None else None


def _has(driver: Backend, group: str, name: str) -> bool:
    """What an earlier try has left has its space already, or is another's."""
    return name in driver.machine.ask(phrasebook.logical_volumes(group))


def _spared(means: Means, driver: Backend, name: str, size: Size) -> None:
    """Raise Refused when a new thick volume would take what an operation was promised."""
    seen, group = means.store.clock(), _thick_group(means, driver)
    if group is None or _has(driver, group, name):
        return
    pool = driver.usage()
    needed = round_up(size, pool.unit)
    if needed <= pool.free:  # else the backend says it, with all else that is against it
        means.store.spared(name, Promise(pool.key, needed, pool.free, seen))


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
    """Write down that a host uses a volume, when the host sees it. Raises Refused otherwise.

    A host whose device is smaller than the volume lags.
    """
    volume = means.store.volume(name)
    desk = means.desk(name)
    identity = _identity(volume, _trunk(desk, volume))
    stack = _seen(desk, volume, place, identity)
    return _attach(means, volume, place, stack, _covers(desk.machine(place.host), identity))


def discover(means: Means, name: str) -> tuple[list[Attachment], dict[str, ExtendctlError]]:
    """Attach a volume on every configured host that sees it and does not have it yet.

    Gives what was attached, and the hosts that could not be asked with their errors: "don't know"
    is not "no". Raises Refused when no host can see the volume, or one sees it by several names.
    """
    volume = means.store.volume(name)
    desk = means.desk(name)
    identity = _identity(volume, _trunk(desk, volume))
    home = means.config.backends[volume.backend].host
    view = lookout.look(desk, home, [identity])
    missing = view.missing(identity, volume.attachments)
    attached = {one.host for one in volume.attachments}
    lost = {host: error for host, error in view.lost.items() if host not in attached}
    return [attach_seen(means, name, one) for one in missing], lost


def attach_seen(means: Means, name: str, seen: Sight) -> Attachment:
    """Write down that a host has a volume. Raises Refused when that is known, Busy."""
    return means.store.attach(
        name,
        seen.host,
        device=seen.device,
        mountpoint=seen.mountpoint,
        size=seen.size,
        covers=seen.covers,
    )


def detach(means: Means, name: str, place: Place, *, any_compute: bool = False) -> Attachment:
    """Forget an attachment; nothing on the host is touched. Raises Refused, Busy."""
    kind = None if any_compute else place.compute
    return means.store.detach(name, place.host, kind, place.domain, place.server)


def _trunk(desk: Desk, volume: Volume) -> Trunk:
    return desk.backend(volume.backend).trunk(volume.source, volume.identity)


def _identity(volume: Volume, trunk: Trunk) -> Identity:
    """How hosts know a volume. Raises Refused when none can, or when it has two names."""
    if trunk.identity is not None:
        return trunk.identity
    if trunk.obstacles:
        raise Refused(trunk.obstacles)
    message = f"{volume.name} is served by no target, so that no host can see it"
    hint = f"export {trunk.source} on {trunk.layers[0].host} first"
    raise not_found(message, hint)


def _covers(machine: Host, identity: Identity) -> Size | None:
    seen = sight(machine, machine.ask(questions.facts()), identity)
    return None if seen is None else seen.covers


def _seen(desk: Desk, volume: Volume, place: Place, identity: Identity) -> Stack:
    wanted = Attachment(0, place.host, place.compute, place.domain, place.server)
    machine = desk.machine(place.host)
    home = desk.machine(desk.means.config.backends[volume.backend].host)
    if lookout.elsewhere(identity, home, machine):
        message = f"{volume.name} is on {home.name}, and served by no target: "
        message += f"{machine.name}, which is another machine, cannot see it"
        raise not_found(message, f"only {home.name} can use a volume of this backend")
    return compute.build(wanted, machine).stack(identity, GrowOptions())


def _attach(
    means: Means, volume: Volume, place: Place, stack: Stack, covers: Size | None
) -> Attachment:
    size = stack.devices[-1].measure() if stack.devices else volume.size
    return means.store.attach(
        volume.name,
        place.host,
        compute=place.compute,
        domain=place.domain,
        server=place.server,
        device=stack.device,
        mountpoint=stack.mountpoint,
        size=size,
        covers=covers,
    )
