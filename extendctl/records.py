"""The journal in the state: what each layer measured and became, and each command that acted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from extendctl.database import Database
from extendctl.errors import TakenOver
from extendctl.model import (
    LayerOutcome,
    LayerReport,
    Operation,
    OperationState,
    Owner,
    Seen,
)
from extendctl.size import Size
from extendctl.stack import Measured
from extendctl.tables import attachments, deeds, now, operations, records, runs, sound

OUTPUT_TAIL = 4096
"""Bytes of a command's output that are kept: its end, where the complaint stands."""

_LINE = ("seq", "epoch", "key", "host", "kind", "name", "before", "target", "after", "note",
         "error", "measured_at", "settled_at", "archive")  # fmt: skip
_DEED = ("seq", "host", "status", "output", "started_at", "ended_at", "stdin")
_RUN = ("epoch", "user", "sudo_user", "machine", "pid", "reason")


class Began(StrEnum):
    """How a program came to work on an operation."""

    OPENED = "opened"
    TAKEN_UP = "taken up"
    TAKEN_OVER = "taken over"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Asked:
    """Why a run was asked for, policy's reasons, and what else the command was told."""

    reason: str | None = None
    decision: Sequence[str] = ()
    given: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One program's work on an operation, from its opening to its end or to the next run.

    `at` is None where an earlier version of the program did not write it down; `decision` is
    policy's reasons, and `given` the options that nothing else in the record tells of.
    """

    what: Began
    epoch: int
    user: str
    sudo_user: str | None
    machine: str
    pid: int
    at: datetime | None
    reason: str | None = None
    decision: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A layer's line in the journal. `outcome` is None until it is settled."""

    seq: int
    epoch: int
    key: str
    host: str
    kind: str
    name: str
    before: Size | None
    target: Size | None
    after: Size | None
    outcome: LayerOutcome | None
    note: str
    error: Mapping[str, Any] | None
    measured_at: datetime
    settled_at: datetime | None
    archive: str | None = None


@dataclass(frozen=True, slots=True)
class DeedRecord:
    """A command that may have changed something. `status` is None when it was not told.

    `ended_at` is None as long as it is at work, and for ever if its program died meanwhile.
    `stdin` is what it was given to read; it never holds a secret.
    """

    host: str
    argv: tuple[str, ...]
    status: int | None
    output: str
    started_at: datetime
    ended_at: datetime | None
    stdin: str | None = None
    seq: int = 0


class Records:
    """The part of the store that an operation at work writes to. All sizes in bytes.

    What a method has written is on disk when it returns. Those that write compare the epoch in the
    same transaction and raise TakenOver when the operation is no longer this owner's; each may
    also raise ConfigError, Busy or Unreachable when the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def measured(self, op: Operation, event: Measured, archive: str | None = None) -> None:
        """Write down a layer's size and the size it shall have, before anything is done to it.

        `archive` is the file that LVM will keep its volume group's metadata in.
        """
        layer = event.layer
        line = {"key": layer.key, "host": layer.host, "kind": layer.kind, "name": layer.name,
                "before": event.before, "target": event.room, "archive": archive}  # fmt: skip
        with self._database.writing() as connection:
            claim(connection, op)
            _insert(connection, op, line)

    def settled(
        self,
        op: Operation,
        line: LayerReport,
        error: Mapping[str, Any] | None = None,
        archive: str | None = None,
    ) -> None:
        """Write down what became of a layer: `after`, outcome, note, and what went wrong.

        `archive` is the file that LVM has kept; after an error, what was expected stands.

        A layer that failed before it could be measured gets a line of its own.
        """
        done = {"after": line.after, "outcome": line.outcome, "note": line.note,
                "error": None if error is None else dict(error), "settled_at": now()}  # fmt: skip
        if error is None:
            done["archive"] = archive
        mine = and_(records.c.operation_id == op.id, records.c.epoch == op.epoch,
                    records.c.key == line.key, records.c.outcome.is_(None))  # fmt: skip
        with self._database.writing() as connection:
            claim(connection, op)
            pending = connection.scalar(select(func.max(records.c.seq)).where(mine))
            if pending is None:
                _insert(connection, op, _identified(line) | done)
            else:
                connection.execute(update(records).where(records.c.seq == pending).values(done))

    def begin_deed(self, op: Operation, host: str, argv: Sequence[str], stdin: str) -> int:
        """Write a command down before it is sent, and show life; gives its number.

        Whoever comes after a program that died in between knows what may have been done.
        """
        values = {"operation_id": op.id, "host": host, "argv": list(argv), "stdin": stdin,
                  "output": "", "started_at": now()}  # fmt: skip
        with self._database.writing() as connection:
            claim(connection, op)
            made = connection.scalar(insert(deeds).values(values).returning(deeds.c.seq))
            return int(made or 0)

    def end_deed(self, op: Operation, seq: int, status: int | None, output: str) -> None:
        """Write down what a command has said; None for a status that was not told.

        A deed that was done after a takeover is written down all the same, then TakenOver raised.
        """
        tail = output.replace("\0", "").encode()[-OUTPUT_TAIL:].decode(errors="ignore")
        done = {"status": status, "output": tail, "ended_at": now()}
        with self._database.writing() as connection:
            connection.execute(update(deeds).where(deeds.c.seq == seq).values(done))
            held = _holds(connection, op)
        if not held:
            raise _taken_over(op)

    def withdraw_deed(self, seq: int) -> None:
        """Strike out a command that was certainly not begun."""
        with self._database.writing() as connection:
            connection.execute(delete(deeds).where(deeds.c.seq == seq))

    def runs(self, operation_id: int) -> list[Run]:
        """Who has worked on an operation, in the order in which they began."""
        mine = select(runs).where(runs.c.operation_id == operation_id)
        with self._database.reading() as connection:
            rows = connection.execute(mine.order_by(runs.c.seq)).mappings().all()
            return [
                Run(
                    **{name: row[name] for name in _RUN},
                    what=Began(row["what"]),
                    at=row["began_at"],
                    decision=tuple(row["decision"] or ()),
                    given=tuple(row["given"] or ()),
                )
                for row in (sound(one, runs) for one in rows)
            ]

    def records(self, operation_id: int) -> list[Record]:
        """An operation's lines, in the order in which layers were measured, over all its runs."""
        mine = select(records).where(records.c.operation_id == operation_id)
        with self._database.reading() as connection:
            rows = connection.execute(mine.order_by(records.c.seq)).mappings().all()
            return [
                Record(
                    **{name: row[name] for name in _LINE},
                    outcome=None if row["outcome"] is None else LayerOutcome(row["outcome"]),
                )
                for row in (sound(one, records) for one in rows)
            ]

    def deeds(self, operation_id: int) -> list[DeedRecord]:
        """An operation's commands, in the order in which they were sent."""
        mine = select(deeds).where(deeds.c.operation_id == operation_id)
        with self._database.reading() as connection:
            rows = connection.execute(mine.order_by(deeds.c.seq)).mappings().all()
            return [
                DeedRecord(**{name: row[name] for name in _DEED}, argv=tuple(row["argv"]))
                for row in (sound(one, deeds) for one in rows)
            ]


def begin_run(  # noqa: PLR0913, PLR0917 - one for each thing that is told of a run
    connection: Connection,
    operation_id: int,
    epoch: int,
    what: Began,
    owner: Owner,
    asked: Asked = Asked(),
) -> None:
    """Write down who works on an operation from now on, and why."""
    connection.execute(
        insert(runs).values(
            operation_id=operation_id, epoch=epoch, what=what, user=owner.user,
            sudo_user=owner.sudo_user, machine=owner.machine, pid=owner.pid, began_at=now(),
            reason=asked.reason, decision=list(asked.decision), given=list(asked.given),
        )
    )  # fmt: skip


def claim(connection: Connection, op: Operation) -> None:
    """Hold the operation for this transaction and show life, or raise TakenOver."""
    if not _holds(connection, op):
        raise _taken_over(op)


def _holds(connection: Connection, op: Operation) -> bool:
    # One UPDATE compares and locks: what follows in the transaction cannot be overtaken.
    mine = and_(
        operations.c.id == op.id,
        operations.c.epoch == op.epoch,
        operations.c.state == OperationState.OPEN,
    )
    return connection.execute(update(operations).where(mine).values(heartbeat=now())).rowcount == 1


def _taken_over(op: Operation) -> TakenOver:
    return TakenOver(
        f"operation {op.id} of {op.volume} has been taken over or ended by another program",
        hint=f"see `extendctl operation show {op.id}`",
    )


def note(connection: Connection, attachment_id: int, seen: Seen) -> bool:
    """Write down what was seen of an attachment, False if it is gone. Unseen keeps what it had."""
    values = asdict(seen) if seen.size is not None else {"lagging": seen.lagging}
    done = connection.execute(
        update(attachments).where(attachments.c.id == attachment_id).values(values)
    )
    return done.rowcount == 1


def note_all(connection: Connection, seen: Mapping[int, Seen] | None) -> None:
    """Write down what was seen of attachments, by their ids."""
    for attachment_id, one in (seen or {}).items():
        note(connection, attachment_id, one)


def _identified(line: LayerReport) -> dict[str, Any]:
    return {"key": line.key, "host": line.host, "kind": line.kind, "name": line.name,
            "before": line.before}  # fmt: skip


def _insert(connection: Connection, op: Operation, line: Mapping[str, Any]) -> None:
    always = {"operation_id": op.id, "epoch": op.epoch, "measured_at": now()}
    connection.execute(insert(records).values({**always, **line}))
