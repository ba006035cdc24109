"""Operations in the state: opened once, owned by one, taken over when dead, closed for good."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from extendctl.admission import (
    Promise,
    check_alone,
    check_idle,
    check_pool,
    check_project,
    check_status,
    check_unchanged,
    locked_volume,
)
from extendctl.database import Database
from extendctl.errors import Busy, Fault, Refused, not_found
from extendctl.model import Opening, Operation, OperationState, Owner, Seen
from extendctl.records import Asked, Began, begin_run, claim, note_all
from extendctl.size import Size
from extendctl.tables import now, operations, sound, volumes

_OPEN, _FAILED = OperationState.OPEN, OperationState.FAILED
_UNFINISHED = (OperationState.INCOMPLETE, OperationState.FAILED)
_OWNER = ("user", "sudo_user", "machine", "boot_id", "pid", "started")
_AS_THEY_ARE = ("id", "volume", "before", "goal", "trunk_settled", "epoch", "targets", "options",
                "reason", "opened_at", "closed_at", "error", "kind", "heartbeat")  # fmt: skip


class Operations:
    """The part of the store that knows about operations. All sizes in bytes.

    Every method may raise ConfigError, Busy or Unreachable when the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_operation(self, volume: str, wanted: Opening) -> Operation:
        """Open an operation, in one transaction with all that has to hold for it.

        Earlier unfinished operations of the volume are superseded. Raises Busy when one is open
        or the volume is no longer as the caller saw it, Refused (`not-found`, `invalid-status`,
        `no-space`, `limit-exceeded`), each without having changed anything.
        """
        try:
            with self._database.writing() as connection:
                self._database.serialise(connection)
                row = locked_volume(connection, volume)
                check_idle(connection, row)
                check_unchanged(connection, row, wanted)
                pool = Promise(wanted.pool_key, wanted.needed, wanted.pool_free, wanted.pool_seen)
                check_pool(connection, volume, pool)
                check_project(connection, row, wanted)
                check_alone(connection, row, wanted)
                _supersede(connection, row.id)
                made = insert(operations).values(_opened(row, wanted)).returning(operations.c.id)
                number = int(connection.scalar(made) or 0)
                asked = Asked(wanted.reason, wanted.decision, wanted.given)
                begin_run(connection, number, 1, Began.OPENED, wanted.owner, asked)
                return _fetch(connection, number)
        except IntegrityError as taken:
            raise self._held(volume) from taken

    def reopen_operation(
        self,
        operation_id: int,
        owner: Owner,
        pool_free: Size | None = None,
        pool_seen: datetime | None = None,
        *,
        asked: Asked = Asked(),  # noqa: B008 - it is frozen
    ) -> Operation:
        """Take up an incomplete or failed operation again, with the space it was promised.

        Raises Busy when one is open on its volume, Refused when it is finished (`obstacle`), the
        volume has an administrative status or is gone, or the space was promised to others.
        """
        try:
            with self._database.writing() as connection:
                self._database.serialise(connection)
                row = _row(connection, operation_id)
                volume = locked_volume(connection, row.volume)
                check_idle(connection, volume)
                if row.state not in _UNFINISHED or row.volume_id != volume.id:
                    raise Refused((Fault("obstacle", f"operation {row.id} is {row.state}"),))
                check_status(volume)
                if not row.trunk_settled:
                    pool = Promise(row.pool_key, row.reserved, pool_free, pool_seen)
                    check_pool(connection, row.volume, pool)
                return _handed_over(connection, row, owner, Began.TAKEN_UP, asked)
        except IntegrityError as taken:
            raise self._held(row.volume) from taken

    def take_over(
        self,
        dead: Operation,
        owner: Owner,
        asked: Asked = Asked(),  # noqa: B008 - it is frozen
    ) -> Operation:
        """Become the owner of an open operation whose owner is dead; the caller has seen to that.

        Raises Busy if it was taken over, was closed, or showed life since `dead` was read.
        """
        with self._database.writing() as connection:
            row = _row(connection, dead.id, lock=True)
            if (row.state, row.epoch, row.heartbeat) != (_OPEN, dead.epoch, dead.heartbeat):
                raise Busy(
                    f"operation {dead.id} of {dead.volume} is no longer as it was",
                    hint=f"see `extendctl operation show {dead.id}`",
                )
            return _handed_over(connection, row, owner, Began.TAKEN_OVER, asked)

    def heartbeat(self, op: Operation) -> None:
        """Show life. Raises TakenOver when the operation is no longer this owner's."""
        with self._database.writing() as connection:
            claim(connection, op)

    def trunk_settled(self, op: Operation, size: Size) -> None:
        """The backend measures `size` bytes: the volume has them, and its promise is redeemed.

        Raises TakenOver when the operation is no longer this owner's.
        """
        with self._database.writing() as connection:
            claim(connection, op)
            _adopt(connection, op, size)
            _update(connection, op, trunk_settled=True, released_at=_released())

    def close_operation(
        self,
        op: Operation,
        state: OperationState,
        error: Mapping[str, Any] | None = None,
        seen: Mapping[int, Seen] | None = None,
    ) -> None:
        """End an operation, with what it saw of attachments by their id, and free what it held.

        Raises TakenOver when the operation is no longer this owner's.
        """
        with self._database.writing() as connection:
            claim(connection, op)
            _close(connection, op, state, error)
            note_all(connection, seen)

    def abandon(
        self,
        op: Operation,
        owner: Owner,
        size: Size | None = None,
        seen: Mapping[int, Seen] | None = None,
    ) -> None:
        """End an open or unfinished operation short of its goal, adopting what is measured now.

        An open one must have been taken over before, so that its owner knows. `owner` is who ends
        it. Raises Busy when it
        is no longer as `op` says, Refused (`obstacle`) when it has ended.
        """
        if op.state not in (_OPEN, *_UNFINISHED):
            raise Refused((Fault("obstacle", f"operation {op.id} has ended: it is {op.state}"),))
        with self._database.writing() as connection:
            row = _row(connection, op.id, lock=True)
            if (row.state, row.epoch) != (op.state, op.epoch):
                raise Busy(f"operation {op.id} of {op.volume} is at work again", hint="try again")
            if size is not None:
                _adopt(connection, op, size)
            _close(connection, op, OperationState.ABANDONED, row.error)
            begin_run(connection, op.id, op.epoch, Began.ABANDONED, owner)
            note_all(connection, seen)

    def operation(self, operation_id: int) -> Operation:
        """The operation with this id. Raises Refused (`not-found`)."""
        with self._database.reading() as connection:
            return _fetch(connection, operation_id)

    def open_operations(self) -> list[Operation]:
        """All that are open, the oldest first."""
        return self.operations(outcome=_OPEN)

    def operations(
        self,
        volume: str | None = None,
        since: datetime | None = None,
        outcome: OperationState | None = None,
    ) -> list[Operation]:
        """Operations, the oldest first: of a volume, opened at `since` or later, in a state."""
        wanted = select(operations, now().label("read_at")).order_by(operations.c.id)
        if volume is not None:
            wanted = wanted.where(operations.c.volume == volume)
        if since is not None:
            wanted = wanted.where(operations.c.opened_at >= since)
        if outcome is not None:
            wanted = wanted.where(operations.c.state == outcome)
        with self._database.reading() as connection:
            return [_operation(row) for row in connection.execute(wanted)]

    def unfinished(self, volume: str) -> Operation | None:
        """What `volume resume` has to take up: the open, incomplete or failed one, or None."""
        wanted = (_OPEN, *_UNFINISHED)
        mine = [one for one in self.operations(volume) if one.state in wanted]
        return mine[-1] if mine else None

    def _held(self, volume: str) -> Busy:
        """Who came first, when the database's own constraint was the one to say so."""
        with self._database.reading() as connection:
            try:
                check_idle(connection, locked_volume(connection, volume))
            except Busy as busy:
                return busy
        return Busy(f"{volume} was being worked on a moment ago", hint="try again")


def _supersede(connection: Connection, volume_id: int) -> None:
    earlier = and_(operations.c.volume_id == volume_id, operations.c.state.in_(_UNFINISHED))
    connection.execute(update(operations).where(earlier).values(state=OperationState.SUPERSEDED))


def _opened(volume: Row[Any], wanted: Opening) -> dict[str, Any]:
    return {
        "volume_id": volume.id,
        "volume": volume.name,
        "open_volume": volume.id,
        "kind": wanted.kind,
        "state": _OPEN,
        "before": wanted.before,
        "goal": wanted.goal,
        "targets": dict(wanted.targets),
        "options": dict(wanted.options),
        "decision": list(wanted.decision),
        "reason": wanted.reason,
        "pool_key": wanted.pool_key,
        "reserved": wanted.needed if wanted.pool_key else 0,
        "heartbeat": now(),
        "opened_at": now(),
        **_owned(wanted.owner),
    }


def _owned(owner: Owner) -> dict[str, Any]:
    return {f"owner_{name}": value for name, value in asdict(owner).items()}


def _handed_over(
    connection: Connection, row: Row[Any], owner: Owner, how: Began, asked: Asked
) -> Operation:
    """Let `owner` have it open; the epoch is compared, whatever the row was read under."""
    same = and_(
        operations.c.id == row.id,
        operations.c.epoch == row.epoch,
        operations.c.state == row.state,
    )
    values = {"state": _OPEN, "open_volume": row.volume_id, "epoch": row.epoch + 1,
              "error": None, "closed_at": None, "heartbeat": now()}  # fmt: skip
    if not row.trunk_settled:
        values["released_at"] = None
    done = connection.execute(update(operations).where(same).values(values | _owned(owner)))
    if done.rowcount != 1:
        raise Busy(f"operation {row.id} of {row.volume} was taken by another", hint="try again")
    begin_run(connection, row.id, row.epoch + 1, how, owner, asked)
    return _fetch(connection, row.id)


def _update(connection: Connection, op: Operation, **values: object) -> None:
    connection.execute(update(operations).where(operations.c.id == op.id).values(**values))


def _released() -> Any:  # noqa: ANN401 - SQLAlchemy's own type for it says no more
    return func.coalesce(operations.c.released_at, now())


def _adopt(connection: Connection, op: Operation, size: Size) -> None:
    owner = select(operations.c.volume_id).where(operations.c.id == op.id).scalar_subquery()
    connection.execute(update(volumes).where(volumes.c.id == owner).values(size=size))


def _close(
    connection: Connection, op: Operation, state: OperationState, error: Mapping[str, Any] | None
) -> None:
    plain = None if error is None else dict(error)
    _update(connection, op, state=state, error=plain, open_volume=None, closed_at=now(),
            released_at=_released())  # fmt: skip


def _row(connection: Connection, operation_id: int, *, lock: bool = False) -> Row[Any]:
    wanted = select(operations, now().label("read_at")).where(operations.c.id == operation_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise not_found(f"there is no operation {operation_id}", "see `extendctl operation list`")
    return row


def _fetch(connection: Connection, operation_id: int) -> Operation:
    return _operation(_row(connection, operation_id))


def _operation(row: Row[Any]) -> Operation:
    # Public, says SQLAlchemy; the underscore avoids columns.
    stored = sound(row._mapping, operations)  # noqa: SLF001
    return Operation(
        **{name: stored[name] for name in _AS_THEY_ARE},
        state=OperationState(row.state),
        owner=Owner(**{name: stored[f"owner_{name}"] for name in _OWNER}),
        decision=tuple(row.decision),
        heartbeat_age=(row.read_at - row.heartbeat).total_seconds(),
    )
