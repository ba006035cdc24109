"""What is wrong with a state's contents: damage, rows without their owner, contradictions."""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, exists, func, not_, or_, select

from extendctl.database import Database
from extendctl.model import OperationState
from extendctl.tables import metadata, operations, sound, volumes

_SHOWN = 20  # findings of a kind; a damaged file may have thousands


def findings(database: Database) -> list[str]:
    """What is wrong, a sentence each; nothing is changed.

    SQLite looks at all of its pages; on every database each table is read to its end, each
    reference is followed, and what two columns say is compared. Raises ConfigError when it cannot
    be read at all, Busy, Unreachable.
    """
    found = list(_pages(database)) if database.sqlite else []
    if found:
        return found
    with database.reading() as connection:
        _read(connection)
        return [*_orphans(connection), *_contradictions(connection)]


def _pages(database: Database) -> Iterator[str]:
    with database.raw() as connection:
        for line in connection.execute(f"PRAGMA integrity_check({_SHOWN})").fetchall():
            if line[0] != "ok":
                yield str(line[0])


def _read(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        rows = connection.execute(select(table).execution_options(yield_per=1000))
        for row in rows.mappings():
            sound(row, table)


def _orphans(connection: Connection) -> Iterator[str]:
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            there = key.column.table.alias()
            known = exists().where(there.c[key.column.name] == key.parent)
            lost = select(func.count()).where(key.parent.is_not(None), not_(known))
            number = connection.scalar(lost) or 0
            if number:
                rows = "a row" if number == 1 else f"{number} rows"
                belong = "belongs" if number == 1 else "belong"
                yield f"{rows} of {table.name} {belong} to no {key.column.table.name}"


def _contradictions(connection: Connection) -> Iterator[str]:
    is_open = operations.c.state == OperationState.OPEN
    holds = operations.c.open_volume.is_not(None)
    other = operations.c.open_volume != operations.c.volume_id
    wrong = or_(and_(is_open, not_(holds)), and_(not_(is_open), holds), and_(holds, other))
    for row in connection.execute(select(operations).where(wrong).limit(_SHOWN)):
        yield f"operation {row.id} is {row.state} and holds {row.open_volume or 'no volume'}"
    known = select(operations).where(operations.c.state.not_in(list(OperationState)))
    for row in connection.execute(known.limit(_SHOWN)):
        yield f"operation {row.id} has the state {row.state!r}, which does not exist"
    named = select(operations.c.id, operations.c.volume, volumes.c.name).join(
        volumes, volumes.c.id == operations.c.volume_id
    )
    for row in connection.execute(named.where(operations.c.volume != volumes.c.name)):
        yield f"operation {row.id} is of {row.volume} by name and of {row.name} by number"
