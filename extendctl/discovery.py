"""Find what a backend has and the state does not, and who uses it; take it in when told to."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from extendctl import lookout, names
from extendctl.backends import Source
from extendctl.compute.sight import Sight
from extendctl.errors import ExtendctlError, Fault, NotNow, Refused, Usage
from extendctl.extension.means import Means, attempt
from extendctl.inventory import attach_seen
from extendctl.lookout import Lookout
from extendctl.model import Identity, Outcome, Volume


@dataclass(frozen=True, slots=True)
class Found:
    """Something on a backend that is no volume yet, or a volume that more hosts have than known.

    `outcome` is `planned` for what can be taken in, `done` when that was done, `refused` or
    `not-now` with an error; `unasked` are hosts of which nothing is known.
    """

    backend: str
    source: Source
    outcome: Outcome = Outcome.PLANNED
    sights: tuple[Sight, ...] = ()
    unasked: tuple[str, ...] = ()
    error: ExtendctlError | None = None
    volume: str | None = None  # the one that it is already

    @property
    def name(self) -> str:
        """What it is called as a volume."""
        return self.volume or self.source.name

    def as_dict(self) -> dict[str, Any]:
        """The find as the JSON output has it."""
        known = self.source.known
        return {
            "name": self.name,
            "backend": self.backend,
            "source": self.source.name,
            "size": self.source.size,
            "identity": None if known is None else str(known),
            "attachments": [one.as_dict() for one in self.sights],
            "unasked": list(self.unasked),
            "outcome": str(self.outcome),
            "error": None if self.error is None else self.error.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Discovery:
    """All finds, by name, and the hosts that could not be asked, with their errors.

    `attached` are volumes of the state that more hosts have than are attached.
    """

    found: tuple[Found, ...]
    attached: tuple[Found, ...]
    lost: tuple[tuple[str, ExtendctlError], ...]

    @property
    def errors(self) -> list[ExtendctlError]:
        """What keeps the answer from being whole, so that the same call should be made again."""
        every = (*self.found, *self.attached)
        busy = [one.error for one in every if one.outcome == Outcome.NOT_NOW and one.error]
        return [*(error for _, error in self.lost), *busy]


def discover(means: Means, backend: str) -> Discovery:
    """What a backend has that is not managed yet, with the hosts that have it; changes nothing.

    Raises what the backend's machine raises; a host that cannot be asked is told as such.
    """
    desk = means.desk(backend)
    driver = desk.backend(backend)
    sources = sorted(driver.sources(), key=lambda one: one.name)
    volumes = {one.name: one for one in means.store.volumes()}
    identities = [one.known for one in sources if one.known is not None]
    view = lookout.look(desk, driver.machine.name, identities)
    shared = {one for one, count in Counter(identities).items() if count > 1}
    managed = {one.identity: one for one in volumes.values()}
    finds = [_looked_at(Found(backend, one), view, view.sights)
             for one in sources if one.identity not in managed]  # fmt: skip
    mine = {one.identity: one for one in volumes.values() if one.backend == backend}
    known = [_further(one, mine[one.identity], view)
             for one in sources if one.identity in mine and one.known not in shared]  # fmt: skip
    return Discovery(
        found=tuple(_judged(one, volumes, shared) for one in finds),
        attached=tuple(one for one in known if one.sights or one.error),
        lost=tuple(view.lost.items()),
    )


def take_in(means: Means, backend: str) -> Discovery:
    """Take in what `discover` finds, with its attachments. What is in already stays as it is.

    Each find has its own result; raises only what would befall them all.
    """
    seen = discover(means, backend)
    return replace(
        seen,
        found=tuple(_taken(means, one) for one in seen.found),
        attached=tuple(_attached(means, one) for one in seen.attached),
    )


def _judged(find: Found, volumes: Mapping[str, Volume], shared: Collection[Identity]) -> Found:
    """A find with all reasons against it."""
    source = find.source
    faults = [*source.faults, *_named(source, find.backend, volumes)]
    if source.known in shared:
        message = f"{source.name} is not the only one that hosts would know as {source.known}"
        faults.append(Fault("obstacle", message, "give each a serial (or UUID) of its own"))
    if find.error is not None:
        faults += find.error.faults
    return replace(find, outcome=Outcome.REFUSED, error=Refused(faults)) if faults else find


def _further(source: Source, volume: Volume, view: Lookout) -> Found:
    """A volume of the state, with the hosts that have it and are not attached."""
    find = Found(volume.backend, source, volume=volume.name)
    return _looked_at(find, view, partial(view.missing, attachments=volume.attachments))


def _looked_at(find: Found, view: Lookout, look: Callable[..., list[Sight]]) -> Found:
    known = find.source.known
    if known is None or find.source.idle:
        return find
    unasked = tuple(view.unasked(known))
    sights = attempt(lambda: look(known))
    if isinstance(sights, ExtendctlError):
        return replace(find, outcome=Outcome.REFUSED, error=sights, unasked=unasked)
    return replace(find, sights=tuple(sights), unasked=unasked)


def _named(source: Source, backend: str, volumes: Mapping[str, Volume]) -> list[Fault]:
    """Why a source cannot have its name as a volume."""
    try:
        names.name(source.name, "volume")
    except Usage as wrong:
        hint = f"{wrong.fault.hint}; `extendctl volume import` takes it in under another name"
        return [Fault("obstacle", str(wrong), hint)]
    volume = volumes.get(source.name)
    if volume is None:
        return []
    if (volume.backend, volume.source) == (backend, source.name):
        message = f"{source.name} is not what was taken in as the volume {volume.name}: "
        message += f"it is {source.identity}, that was {volume.identity}"
        hint = "find out who re-created it; to manage the new one, remove the volume first"
        return [Fault("obstacle", message, hint)]
    message = f"there is a volume {volume.name} already, on the backend {volume.backend}"
    hint = f"extendctl volume import NAME --backend {backend} --source {source.name}"
    return [Fault("obstacle", message, hint)]


def _taken(means: Means, find: Found) -> Found:
    if find.error is not None:
        return find
    source = find.source
    made = attempt(
        lambda: means.store.add_volume(
            find.name,
            backend=find.backend,
            source=source.name,
            identity=source.identity,
            size=source.size,
        )
    )
    if isinstance(made, Refused):  # somebody was faster: with the same, or with another
        there = attempt(lambda: means.store.volume(find.name))
        if not (isinstance(there, Volume) and there.identity == source.identity):
            return replace(find, outcome=Outcome.REFUSED, error=made)
    elif isinstance(made, ExtendctlError):
        raise made
    return _attached(means, find)


def _attached(means: Means, find: Found) -> Found:
    """The find with its hosts attached; one that somebody else has attached meanwhile is, too."""
    for one in find.sights:
        made = attempt(partial(attach_seen, means, find.name, one))
        if isinstance(made, NotNow):
            return replace(find, outcome=Outcome.NOT_NOW, error=made)
        if isinstance(made, ExtendctlError):
            hosts = {use.host for use in means.store.volume(find.name).attachments}
            if one.host not in hosts:
                return replace(find, outcome=Outcome.REFUSED, error=made)
    return find if find.error else replace(find, outcome=Outcome.DONE)
