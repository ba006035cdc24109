"""What has to hold in the state before an operation is opened, asked in its own transaction."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from extendctl.errors import Busy, Fault, Refused, not_found
from extendctl.model import UNFINISHED, Opening, OperationState, Owner
from extendctl.owner import is_dead
from extendctl.size import Size, human
from extendctl.tables import attachments, now, operations, volumes

_GUEST = "/guest-lv/"


@dataclass(frozen=True, slots=True)
class Promise:
    """Bytes wanted from a pool of which `free` were seen, no earlier than at `seen`."""

    key: str | None
    needed: Size
    free: Size | None
    seen: datetime | None


def locked_volume(connection: Connection, name: str) -> Row[Any]:
    """A volume's row, held until the transaction ends. Raises Refused (`not-found`)."""
    row = connection.execute(
        select(volumes).where(volumes.c.name == name).with_for_update()
    ).one_or_none()
    if row is None:
        raise unknown_volume(connection, name)
    return row


def unknown_volume(connection: Connection, name: str) -> Refused:
    """The refusal for a volume that is not there, with the names that are like it."""
    length = func.length(volumes.c.name)  # narrows down 100,000 names: comparing each takes 20 us
    near = length.between(len(name) - 2, len(name) + 2)
    names = connection.scalars(select(volumes.c.name).where(near).limit(5000)).all()
    close = difflib.get_close_matches(name, names)
    hint = f"did you mean {' or '.join(close)}?" if close else "see `extendctl volume list`"
    return not_found(f"there is no volume {name!r}", hint)


def check_idle(connection: Connection, volume: Row[Any]) -> None:
    """Raise Busy, saying who, when an operation is open on the volume."""
    row = connection.execute(
        select(operations).where(operations.c.open_volume == volume.id)
    ).one_or_none()
    if row is not None:
        who = f"{row.owner_sudo_user or row.owner_user} on {row.owner_machine.partition(':')[0]}"
        raise Busy(
            f"{volume.name} is being worked on: operation {row.id} of {who}, "
            f"process {row.owner_pid}, since {row.opened_at:%Y-%m-%d %H:%M:%S} UTC",
            hint=f"wait for it; if it is dead, `extendctl volume resume {volume.name}`",
        )


def check_nobody_works(connection: Connection) -> None:
    """Raise Busy, saying who, when an open operation has an owner that lives, on any volume."""
    owner = [operations.c[f"owner_{one.name}"].label(one.name) for one in fields(Owner)]
    named = (operations.c.id, operations.c.volume, operations.c.heartbeat, now().label("read_at"))
    is_open = operations.c.state == OperationState.OPEN
    for row in connection.execute(select(*named, *owner).where(is_open)).mappings():
        who = Owner(**{one.name: row[one.name] for one in fields(Owner)})
        if not is_dead(who, (row["read_at"] - row["heartbeat"]).total_seconds()):
            where = f"process {who.pid} on {who.machine.partition(':')[0]}"
            raise Busy(
                f"operation {row['id']} of {row['volume']} is at work: "
                f"{who.sudo_user or who.user}, {where}",
                hint="wait for it, then try again",
            )


def project_sum(connection: Connection, project: str | None, without: str | None) -> Size:
    """Bytes of a project's volumes, each at its open operation's goal where that is more."""
    promised = case((operations.c.goal > volumes.c.size, operations.c.goal), else_=volumes.c.size)
    wanted = select(func.sum(promised)).select_from(
        volumes.outerjoin(operations, operations.c.open_volume == volumes.c.id)
    )
    wanted = wanted.where(volumes.c.project == project)
    if without is not None:
        wanted = wanted.where(volumes.c.name != without)
    return int(connection.scalar(wanted) or 0)


def check_status(volume: Row[Any]) -> None:
    """Raise Refused (`invalid-status`) when an administrative status blocks the volume."""
    if volume.admin_status is not None:
        message = f"{volume.name} has the status {volume.admin_status}"
        hint = f"`extendctl volume set-status {volume.name} clear` lifts it"
        raise Refused((Fault("invalid-status", message, hint),))


def check_unchanged(connection: Connection, volume: Row[Any], wanted: Opening) -> None:
    """Raise Busy when the volume is no longer as the caller saw it when deciding."""
    check_status(volume)
    if volume.size != wanted.expected_size:
        raise Busy(
            f"{volume.name} has become {human(volume.size)} meanwhile, "
            f"it was {human(wanted.expected_size)}",
            hint="look again, then try again",
        )
    if wanted.expected_attachments is not None:
        mine = select(attachments.c.id).where(attachments.c.volume_id == volume.id)
        if set(connection.scalars(mine)) != wanted.expected_attachments:
            raise Busy(
                f"{volume.name} has been attached or detached meanwhile",
                hint="look again, then try again",
            )


def check_pool(connection: Connection, volume: str, pool: Promise) -> None:
    """Raise Refused when the pool cannot cover this beside what it was promised for.

    A promise counts until its volume has grown: from then on the pool's own figures show it,
    though not figures that were read before, so what was redeemed since then counts as well. What
    the volume itself was promised before is no other's: a clock that was set back would have it so.
    """
    if pool.key is None or pool.free is None:
        return
    pending = and_(operations.c.state == OperationState.OPEN, operations.c.trunk_settled.is_(False))
    if pool.seen is not None:
        pending = or_(pending, operations.c.released_at >= pool.seen)
    wanted = select(operations).where(
        operations.c.pool_key == pool.key,
        operations.c.reserved > 0,
        operations.c.volume != volume,
        pending,
    )
    holders = connection.execute(wanted.order_by(operations.c.id)).all()
    promised = sum(row.reserved for row in holders)
    if pool.needed <= pool.free - promised:
        return
    to = ", ".join(f"operation {row.id} ({row.volume})" for row in holders)
    but = f", of which {human(promised)} are promised to {to}" if holders else ""
    message = f"{volume} needs {human(pool.needed)} and its pool has {human(pool.free)} free{but}"
    hint = "try again when that has ended" if holders else "add space to the pool"
    raise Refused((Fault("no-space", message, hint),))


def check_alone(connection: Connection, volume: Row[Any], wanted: Opening) -> None:
    """Raise Busy when another volume's operation grows a logical volume that this one would grow.

    One in a host's volume group may lie on several volumes. Each target is what was measured and
    what one volume gives: of two that are at work at the same time, or of which one was left
    unfinished, one's gain would be taken for the other's.
    """
    mine = _on_hosts(wanted.targets)
    if not mine:
        return
    recent: ColumnElement[bool] = operations.c.state.in_(UNFINISHED)
    if wanted.pool_seen is not None:
        recent = or_(recent, operations.c.closed_at >= wanted.pool_seen)
    named = (operations.c.id, operations.c.volume, operations.c.state, operations.c.targets)
    others = select(*named).where(operations.c.volume_id != volume.id, recent)
    for row in connection.execute(others.order_by(operations.c.id)):
        if _on_hosts(row.targets).isdisjoint(mine):
            continue
        left = row.state in {OperationState.INCOMPLETE, OperationState.FAILED}
        raise Busy(
            f"{volume.name} and {row.volume} carry one logical volume, and operation {row.id} of "
            f"{row.volume}, which grows it, is {row.state}",
            hint=f"extendctl volume resume {row.volume}" if left else "wait for it, then try again",
        )


def _on_hosts(targets: Mapping[str, Size]) -> set[str]:
    """The UUIDs of the logical volumes on hosts among the keys of layers."""
    return {key.rpartition(_GUEST)[2] for key in targets if _GUEST in key}


def check_project(connection: Connection, volume: Row[Any], wanted: Opening) -> None:
    """Raise Refused (`limit-exceeded`) when the project would have more than it may."""
    if volume.project is None or wanted.project_max is None:
        return
    total = project_sum(connection, volume.project, volume.name) + wanted.goal
    if total > wanted.project_max:
        message = (
            f"the project {volume.project} would have {human(total)}, "
            f"its limit is {human(wanted.project_max)}"
        )
        raise Refused((Fault("limit-exceeded", message),))
