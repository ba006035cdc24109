"""Volumes in the state, and where they are attached."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from extendctl.admission import (
    Promise,
    check_idle,
    check_pool,
    locked_volume,
    project_sum,
    unknown_volume,
)
from extendctl.database import Database
from extendctl.errors import Fault, Refused, Usage, not_found
from extendctl.model import ADMINISTRATIVE, Attachment, OperationState, Owner, Seen, Volume
from extendctl.records import Began, begin_run, note
from extendctl.size import Size
from extendctl.tables import attachments, now, operations, sound, volumes

_VOLUME = ("id", "name", "backend", "source", "size", "project", "admin_status")
_ATTACHMENT = ("id", "host", "compute", "device", "mountpoint", "size", "lagging")
_TELLING = (OperationState.OPEN, OperationState.FAILED)  # the states that a volume's status shows


class Volumes:
    """The part of the store that knows about volumes. All sizes in bytes.

    Every method may raise ConfigError, Busy or Unreachable when the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_volume(  # noqa: PLR0913 - one for each column
        self,
        name: str,
        *,
        backend: str,
        source: str,
        identity: str,
        size: Size,
        project: str | None = None,
    ) -> Volume:
        """Take a volume in. Raises Refused (`obstacle`) when its name or its source is taken."""
        values = {"name": name, "backend": backend, "source": source, "source_identity": identity,
                  "size": size, "project": project}  # fmt: skip
        try:
            with self._database.writing() as connection:
                connection.execute(insert(volumes).values(values))
        except IntegrityError as taken:
            raise Refused((self._who_has(name, identity, taken),)) from taken
        return self.volume(name)

    def volume(self, name: str) -> Volume:
        """The volume of this name. Raises Refused (`not-found`) with the names that are like it."""
        with self._database.reading() as connection:
            found = _load(connection, name)
            if not found:
                raise unknown_volume(connection, name)
        return found[0]

    def volumes(self) -> list[Volume]:
        """All volumes, sorted by name; three queries, however many there are."""
        with self._database.reading() as connection:
            return _load(connection)

    def remove_volume(self, name: str, owner: Owner) -> None:
        """Forget a volume; its operations stay, under its name, and end if they were unfinished.

        `owner` is who ends them. Raises Refused (`not-found`, or `obstacle` while it is attached),
        Busy while one is open.
        """
        with self._database.writing() as connection:
            row = locked_volume(connection, name)
            check_idle(connection, row)
            hosts = connection.scalars(
                select(attachments.c.host).where(attachments.c.volume_id == row.id)
            ).all()
            if hosts:
                message = f"{name} is attached to {', '.join(sorted(hosts))}"
                hint = f"`extendctl volume detach {name} HOST` first"
                raise Refused((Fault("obstacle", message, hint),))
            mine = operations.c.volume_id == row.id
            _end(connection, row.id, owner)
            # On servers and SQLite alike the key would do it; said here, it does not depend on it.
            connection.execute(update(operations).where(mine).values(volume_id=None))
            connection.execute(delete(volumes).where(volumes.c.id == row.id))

    def set_admin_status(self, name: str, status: str | None) -> None:
        """Set or, with None, lift what blocks a volume. Raises Usage, Refused (`not-found`)."""
        if status is not None and status not in ADMINISTRATIVE:
            raise Usage(
                f"{status!r} is not a status that can be set",
                hint=f"one of {', '.join(ADMINISTRATIVE)}",
            )
        with self._database.writing() as connection:
            row = locked_volume(connection, name)
            connection.execute(
                update(volumes).where(volumes.c.id == row.id).values(admin_status=status)
            )

    def set_size(self, name: str, size: Size) -> None:
        """Adopt a measured size. Raises Refused (`not-found`), Busy while an operation is open."""
        with self._database.writing() as connection:
            row = locked_volume(connection, name)
            check_idle(connection, row)
            connection.execute(update(volumes).where(volumes.c.id == row.id).values(size=size))

    def project_total(self, project: str, without: str | None = None) -> Size:
        """Bytes of a project's volumes, at the goals of open operations, but for one volume."""
        with self._database.reading() as connection:
            return project_sum(connection, project, without)

    def spared(self, name: str, pool: Promise) -> None:
        """Whether a pool could cover a new volume beside what it was promised for.

        Raises Refused (`no-space`) when it could not.
        """
        with self._database.reading() as connection:
            check_pool(connection, name, pool)

    def attach(  # noqa: PLR0913 - one for each column
        self,
        volume: str,
        host: str,
        *,
        compute: str = "linux",
        domain: str | None = None,
        server: str | None = None,
        device: str | None = None,
        mountpoint: str | None = None,
        size: Size | None = None,
        covers: Size | None = None,
    ) -> Attachment:
        """Write down that a volume is in use on a host; it lags if it covers less than the volume.

        Raises Refused (`not-found`, or `obstacle` when that is known already), Busy while an
        operation is open: it has planned for the hosts that it knows.
        """
        values = {"host": host, "compute": compute, "domain": domain or "", "server": server or "",
                  "device": device, "mountpoint": mountpoint, "size": size}  # fmt: skip
        try:
            with self._database.writing() as connection:
                row = locked_volume(connection, volume)
                check_idle(connection, row)
                lagging = covers is not None and covers < row.size
                more = {"volume_id": row.id, "lagging": lagging}
                made = insert(attachments).values(values | more)
                attachment_id = connection.scalar(made.returning(attachments.c.id))
        except IntegrityError as known:
            message = f"{volume} is attached to {host} already ({_use(compute, domain, server)})"
            raise Refused((Fault("obstacle", message, host=host),)) from known
        return Attachment(int(attachment_id or 0), host, compute, domain or None, server or None,
                          device, mountpoint, size, lagging)  # fmt: skip

    def detach(
        self,
        volume: str,
        host: str,
        compute: str | None = None,
        domain: str | None = None,
        server: str | None = None,
    ) -> Attachment:
        """Forget the one attachment on a host that fits; None fits all.

        Raises Refused (`not-found`, or `obstacle` when several fit), Busy while one is open.
        """
        given = {"host": host, "compute": compute, "domain": domain, "server": server}
        with self._database.writing() as connection:
            row = locked_volume(connection, volume)
            check_idle(connection, row)
            same = [attachments.c[key] == value for key, value in given.items() if value]
            fits = and_(attachments.c.volume_id == row.id, *same)
            ordered = select(attachments).where(fits).order_by(attachments.c.id)
            rows = connection.execute(ordered).mappings().all()
            found = [_attachment(one) for one in rows]
            if not found:
                raise not_found(f"{volume} is not attached to {host}")
            if len(found) > 1:
                uses = "; ".join(_use(one.compute, one.domain, one.server) for one in found)
                message = f"{volume} is attached to {host} {len(found)} times: {uses}"
                raise Refused((Fault("obstacle", message, "say which one", host),))
            connection.execute(delete(attachments).where(attachments.c.id == found[0].id))
        return found[0]

    def note_attachment(self, attachment_id: int, seen: Seen) -> None:
        """Write down what was seen of an attachment. Raises Refused (`not-found`)."""
        with self._database.writing() as connection:
            if not note(connection, attachment_id, seen):
                raise not_found(f"there is no attachment {attachment_id}")

    def _who_has(self, name: str, identity: str, why: Exception) -> Fault:
        with self._database.reading() as connection:
            same = or_(volumes.c.name == name, volumes.c.source_identity == identity)
            rows = connection.execute(select(volumes).where(same)).all()
        for row in rows:
            if row.name == name:
                return Fault("obstacle", f"there is a volume {name} already", "choose another name")
        for row in rows:
            message = f"{row.source} of the backend {row.backend} is the volume {row.name} already"
            return Fault("obstacle", message, "a source belongs to one volume")
        raise why


def _use(compute: str, domain: str | None, server: str | None) -> str:
    named = (("domain", domain), ("server", server))
    return ", ".join([compute, *(f"{what} {name}" for what, name in named if name)])


def _load(connection: Connection, name: str | None = None) -> list[Volume]:
    """All volumes, or the one of this name, with what their status is derived from."""
    rows = connection.execute(_of(select(volumes), name)).mappings().all()
    uses: defaultdict[int, list[Attachment]] = defaultdict(list)
    of_volume = select(attachments).join(volumes, volumes.c.id == attachments.c.volume_id)
    for one in connection.execute(_of(of_volume, name)).mappings():
        uses[one["volume_id"]].append(_attachment(sound(one, attachments)))
    telling = select(operations).join(volumes, volumes.c.id == operations.c.volume_id)
    telling = telling.where(operations.c.state.in_(_TELLING)).order_by(operations.c.id)
    status = _statuses(connection.execute(_of(telling, name)).mappings())
    loaded = [
        _volume(sound(row, volumes), status.get(row["id"], {}), uses.get(row["id"], []))
        for row in rows
    ]
    return sorted(loaded, key=lambda volume: volume.name)


def _end(connection: Connection, volume_id: int, owner: Owner) -> None:
    """Nobody will finish what was left unfinished: `owner` has decided so."""
    unfinished = operations.c.state.in_((OperationState.INCOMPLETE, OperationState.FAILED))
    mine = and_(operations.c.volume_id == volume_id, unfinished)
    left = connection.execute(select(operations.c.id, operations.c.epoch).where(mine)).all()
    for one in left:
        begin_run(connection, one.id, one.epoch, Began.ABANDONED, owner)
    ended = {"state": OperationState.ABANDONED, "closed_at": now()}
    connection.execute(update(operations).where(mine).values(**ended))


def _of(wanted: Select[Any], name: str | None) -> Select[Any]:
    return wanted if name is None else wanted.where(volumes.c.name == name)


def _statuses(rows: Iterable[RowMapping]) -> dict[int, dict[str, Any]]:
    status: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        if row["state"] == OperationState.OPEN:
            known = {"open_operation": row["id"], "trunk_settled": row["trunk_settled"]}
        else:
            known = {"failed_operation": row["id"]}
        status[row["volume_id"]] |= known
    return status


def _volume(row: RowMapping, status: Mapping[str, Any], uses: list[Attachment]) -> Volume:
    return Volume(
        **{name: row[name] for name in _VOLUME},
        identity=row["source_identity"],
        attachments=tuple(sorted(uses, key=lambda one: (one.host, one.id))),
        **status,
    )


def _attachment(row: RowMapping) -> Attachment:
    return Attachment(
        **{name: row[name] for name in _ATTACHMENT},
        domain=row["domain"] or None,
        server=row["server"] or None,
    )
