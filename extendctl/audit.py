"""Look for what is wrong with the state and with the files around it; change nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from extendctl.config import Config
from extendctl.config_permissions import loose
from extendctl.database import Database
from extendctl.errors import ConfigError, Damaged
from extendctl.integrity import findings
from extendctl.operations import Operations
from extendctl.owner import is_dead
from extendctl.schema import known_revision, table_names
from extendctl.tables import REVISION
from extendctl.volumes import Volumes


class Concern(StrEnum):
    """What a finding is about."""

    PERMISSIONS = "permissions"
    REVISION = "revision"
    INTEGRITY = "integrity"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, in a sentence."""

    concern: Concern
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found. `revision` is None when it cannot be told.

    `orphaned` are the numbers of open operations whose owner is dead: no fault of the state, and
    `volume resume` takes them up.
    """

    state: str
    revision: str | None
    volumes: int
    operations: int
    orphaned: tuple[int, ...]
    findings: tuple[Finding, ...]


def audit(config: Config, database: Database) -> Audit:
    """Permissions first, then revision, integrity, and what the state refers to.

    Raises what keeps it from being asked at all: Busy, Unreachable, ConfigError for a place that
    cannot be opened. What is wrong with its contents is a finding.
    """
    found = [Finding(Concern.PERMISSIONS, one) for one in loose(config, database.file)]
    revision = None
    try:
        revision = known_revision(database, table_names(database))
        if revision == REVISION:
            found += [Finding(Concern.INTEGRITY, one) for one in findings(database)]
        else:
            words = f"it has revision {revision}, and this program {REVISION}"
            found.append(Finding(Concern.REVISION, words, "`extendctl state upgrade`"))
    except Damaged as damaged:
        found += [Finding(Concern.INTEGRITY, one.message, one.hint) for one in damaged.faults]
    if revision != REVISION or any(one.concern == Concern.INTEGRITY for one in found):
        return Audit(str(database), revision, 0, 0, (), tuple(found))
    volumes, operations = Volumes(database).volumes(), Operations(database)
    found += _references(config, Volumes(database))
    orphaned = tuple(
        one.id for one in operations.open_operations() if is_dead(one.owner, one.heartbeat_age)
    )
    amount = len(operations.operations())
    return Audit(str(database), revision, len(volumes), amount, orphaned, tuple(found))


def _references(config: Config, known: Volumes) -> Iterator[Finding]:
    """Backends and hosts that the state names and the configuration does not have."""
    uses: dict[str, list[str]] = {}
    for volume in known.volumes():
        if volume.backend not in config.backends:
            uses.setdefault(f"the backend {volume.backend}", []).append(volume.name)
        for host in sorted({one.host for one in volume.attachments} - set(config.hosts)):
            uses.setdefault(f"the host {host}", []).append(volume.name)
    for what, names in uses.items():
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        words = f"{what} of {some} is not in the configuration"
        yield Finding(Concern.REFERENCES, words, "add it again, or detach or remove the volume")


def failure(done: Audit) -> ConfigError:
    """The findings as an error."""
    return ConfigError([f"{one.concern}: {one.message}" for one in done.findings])
