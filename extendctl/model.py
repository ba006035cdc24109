"""The nouns of the program: volumes, attachments, operations, and what is told about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from extendctl.errors import ExtendctlError
from extendctl.size import Size


class Status(StrEnum):
    """A volume's status; all but the administrative ones are derived."""

    AVAILABLE = "available"
    IN_USE = "in-use"
    EXTENDING = "extending"
    ERROR_EXTENDING = "error_extending"


ADMINISTRATIVE = ("maintenance", "migrating", "backing-up", "restoring", "retyping", "error")
"""What `volume set-status` may set; each blocks an extension."""


class Capability(StrEnum):
    """What a backend can do, when its driver is able to and its configuration grants it."""

    IN_USE_EXTEND = "in-use-extend"


@dataclass(frozen=True, slots=True)
class Identity:
    """How a host knows a volume among its devices, whatever they are called today.

    `kind` is `wwn` (value as sysfs has it, `naa.6001405...`, `uuid.2fb889ac-...`), `iqn`
    (`IQN,LUN`, where no WWN is unique), `dm-uuid` (`LVM-...`) or `file` (absolute path of the
    file behind a loop device).
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class GrowOptions:
    """How far up a host's stack is grown.

    `grow_lv` names the host's logical volume (`vg/lv`) that takes the space where there are
    several; `fill` lets it take space that was free before, too.
    """

    no_filesystem: bool = False
    grow_lv: str | None = None
    fill: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume's use on a host. `lagging` means that the host has not followed the backend yet."""

    id: int
    host: str
    compute: str = "linux"
    domain: str | None = None
    server: str | None = None
    device: str | None = None
    mountpoint: str | None = None
    size: Size | None = None
    lagging: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as the state has it.

    `identity` is what the backend knew the source by when it was taken in (`lv:<uuid>`,
    `file:<machine-id>:<path>`); a source of that name with another identity is not this volume.
    `open_operation` and `failed_operation` are ids of operations, or None.
    """

    id: int
    name: str
    backend: str
    source: str
    identity: str
    size: Size
    project: str | None = None
    admin_status: str | None = None
    open_operation: int | None = None
    trunk_settled: bool = False
    failed_operation: int | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def status(self) -> str:
        """The one status that follows from the facts, so that it cannot contradict them."""
        if self.admin_status is not None:
            return self.admin_status
        if self.open_operation is not None and not self.trunk_settled:
            return Status.EXTENDING
        if self.failed_operation is not None:
            return Status.ERROR_EXTENDING
        return Status.IN_USE if self.attachments else Status.AVAILABLE

    @property
    def lagging(self) -> tuple[Attachment, ...]:
        """The attachments that have not followed."""
        return tuple(one for one in self.attachments if one.lagging)


@dataclass(frozen=True, slots=True)
class Owner:
    """The program that works on an operation: who asked, and which process on which machine.

    `started` is the process's start time in clock ticks since boot (proc(5), stat field 22), so
    that a reused process number is not mistaken for it.
    """

    user: str
    sudo_user: str | None
    machine: str
    boot_id: str
    pid: int
    started: int


class OperationState(StrEnum):
    """Where an operation stands."""

    OPEN = "open"
    DONE = "done"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"


UNFINISHED = (OperationState.OPEN, OperationState.INCOMPLETE, OperationState.FAILED)
"""What `volume resume` takes up."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One extension of one volume, from its opening to its end.

    `heartbeat` is when the owner was last heard of and `heartbeat_age` the seconds since then, when
    this was read; both are on the database's clock.
    """

    id: int
    volume: str
    state: OperationState
    before: Size
    goal: Size
    trunk_settled: bool
    epoch: int
    owner: Owner
    targets: Mapping[str, Size]
    options: Mapping[str, Any]
    reason: str | None
    decision: tuple[str, ...]
    opened_at: datetime
    closed_at: datetime | None
    error: Mapping[str, Any] | None
    kind: str = "extend"
    heartbeat: datetime | None = None
    heartbeat_age: float | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """What an operation is opened with: the goal, and the facts that the caller decided on.

    `before` and `goal` in bytes, `targets` each layer's absolute size by its key. If one of the
    `expected_` facts no longer holds, nothing is opened; `expected_attachments` are ids, None when
    they do not matter. `needed` bytes are promised from the pool called `pool_key`, if `pool_free`,
    measured no earlier than `pool_seen` on the database's clock, covers them beside what others
    have been promised. `project_max` limits the sum of the project's volumes.
    """

    before: Size
    goal: Size
    owner: Owner
    expected_size: Size
    kind: str = "extend"
    targets: Mapping[str, Size] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    decision: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    expected_attachments: frozenset[int] | None = None
    pool_key: str | None = None
    needed: Size = 0
    pool_free: Size | None = None
    pool_seen: datetime | None = None
    project_max: Size | None = None


class LayerOutcome(StrEnum):
    """What became of a layer."""

    GROWN = "grown"
    FULL = "full"
    PLANNED = "planned"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class LayerReport:
    """A layer's line in the result: its size before and after, in bytes, None when not known."""

    key: str
    host: str
    kind: str
    name: str
    before: Size | None
    after: Size | None
    outcome: LayerOutcome
    note: str = ""
    trunk: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The line as the JSON output has it."""
        line: dict[str, Any] = {
            "host": self.host,
            "kind": self.kind,
            "name": self.name,
            "before": self.before,
            "after": self.after,
            "outcome": str(self.outcome),
        }
        return line | ({"note": self.note} if self.note else {})


@dataclass(frozen=True, slots=True)
class Seen:
    """What an operation saw of an attachment in the end; `size` is None when it saw nothing."""

    lagging: bool
    size: Size | None = None
    device: str | None = None
    mountpoint: str | None = None


class Outcome(StrEnum):
    """How a command ended for one volume, or for one attachment of it."""

    DONE = "done"
    UNCHANGED = "unchanged"
    PLANNED = "planned"
    REFUSED = "refused"
    NOT_NOW = "not-now"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class AttachmentReport:
    """One host's own result. `size` is what its uppermost device measured, in bytes."""

    host: str
    compute: str
    outcome: Outcome
    size: Size | None = None
    error: ExtendctlError | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as the JSON output has it."""
        return {
            "host": self.host,
            "compute": self.compute,
            "outcome": str(self.outcome),
            "size": self.size,
            "error": None if self.error is None else self.error.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class VolumeReport:
    """The result of extending, resuming or checking one volume. Sizes in bytes."""

    volume: str
    outcome: Outcome
    operation: int | None = None
    status: str | None = None
    before: Size | None = None
    goal: Size | None = None
    size: Size | None = None
    layers: tuple[LayerReport, ...] = ()
    attachments: tuple[AttachmentReport, ...] = ()
    notices: tuple[str, ...] = ()
    error: ExtendctlError | None = None

    @property
    def exit_status(self) -> int:
        """What the command exits with when this is its only volume."""
        return 0 if self.error is None else self.error.exit_status

    def as_dict(self) -> dict[str, Any]:
        """The result as the JSON output has it."""
        report: dict[str, Any] = {
            "volume": self.volume,
            "operation": self.operation,
            "outcome": str(self.outcome),
            "status": self.status,
            "before": self.before,
            "goal": self.goal,
            "size": self.size,
            "layers": [layer.as_dict() for layer in self.layers],
            "attachments": [one.as_dict() for one in self.attachments],
            "error": None if self.error is None else self.error.as_dict(),
        }
        return report | ({"notices": list(self.notices)} if self.notices else {})


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """What a backend has and has left, in bytes; percentages of a thin pool, or None.

    `key` names the pool across backends (the volume group's UUID), for reservations.
    """

    key: str
    size: Size
    free: Size
    unit: Size
    data_percent: float | None = None
    metadata_percent: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
