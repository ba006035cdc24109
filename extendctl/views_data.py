"""What volumes and operations look like to programs: plain data for JSON and YAML."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from extendctl.model import Operation, OperationState, Volume
from extendctl.records import DeedRecord, Record, Run


def volume_data(volume: Volume) -> dict[str, Any]:
    """A volume as the JSON output has it."""
    shown = ("host", "compute", "device", "mountpoint", "size", "lagging")
    return {
        "name": volume.name,
        "backend": volume.backend,
        "source": volume.source,
        "project": volume.project,
        "status": str(volume.status),
        "size": volume.size,
        "attachments": [
            {name: getattr(one, name) for name in shown} for one in volume.attachments
        ],
        "operation": volume.open_operation or volume.failed_operation,
    }  # fmt: skip


def operation_data(operation: Operation) -> dict[str, Any]:
    """An operation as the JSON output has it."""
    owner = operation.owner
    return {
        "id": operation.id,
        "volume": operation.volume,
        "kind": operation.kind,
        "state": str(operation.state),
        "before": operation.before,
        "goal": operation.goal,
        "trunk_settled": operation.trunk_settled,
        "user": owner.user,
        "sudo_user": owner.sudo_user,
        "machine": owner.machine,
        "pid": owner.pid,
        "reason": operation.reason,
        "decision": list(operation.decision),
        "options": dict(operation.options),
        "opened_at": moment(operation.opened_at),
        "closed_at": moment(operation.closed_at),
        "error": None if operation.error is None else dict(operation.error),
    }


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of an operation. `alive` says whether its owner is still at work."""

    operation: Operation
    runs: Sequence[Run]
    records: Sequence[Record]
    deeds: Sequence[DeedRecord]
    alive: bool


def story_data(story: Story) -> dict[str, Any]:
    """An operation's story as the JSON output has it. `alive` is null once it has been closed."""
    is_open = story.operation.state is OperationState.OPEN
    return operation_data(story.operation) | {
        "alive": story.alive if is_open else None,
        "runs": [_run_data(one) for one in story.runs],
        "layers": [record_data(one) for one in story.records],
        "commands": [deed_data(one) for one in story.deeds],
    }


def _run_data(run: Run) -> dict[str, Any]:
    listed = {"decision": list(run.decision), "given": list(run.given)}
    return asdict(run) | {"what": str(run.what), "at": moment(run.at)} | listed


def record_data(record: Record) -> dict[str, Any]:
    """A layer's line in the journal as the JSON output has it."""
    return asdict(record) | {
        "outcome": None if record.outcome is None else str(record.outcome),
        "error": None if record.error is None else dict(record.error),
        "measured_at": moment(record.measured_at),
        "settled_at": moment(record.settled_at),
    }


def deed_data(deed: DeedRecord) -> dict[str, Any]:
    """A command as the JSON output has it."""
    times = {"started_at": moment(deed.started_at), "ended_at": moment(deed.ended_at)}
    return asdict(deed) | {"argv": list(deed.argv)} | times


def moment(time: datetime | None) -> str | None:
    """`2026-11-22T23:56:01Z`; times in the state are UTC."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")
