"""The steps from each revision of the state to the next; alembic is loaded for them alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    ForeignKeyConstraint,
    Insert,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    case,
    column,
    insert,
    select,
    table,
    update,
)

from extendctl.tables import REVISIONS, alembic_version

Step = Callable[[Operations], object]


def _whole_story(op: Operations) -> None:
    """0002: who began each run of an operation, what a command was given to read, LVM's archive."""
    op.add_column("records", Column("archive", Text))
    op.add_column("deeds", Column("stdin", Text))
    identity = BigInteger().with_variant(Integer, "sqlite")
    words: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4",
                             "mysql_collate": "utf8mb4_bin"}  # fmt: skip
    op.create_table(
        "runs",
        Column("seq", identity, nullable=False),
        Column("operation_id", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("what", String(16), nullable=False),
        Column("user", String(255), nullable=False),
        Column("sudo_user", String(255)),
        Column("machine", String(400), nullable=False),
        Column("pid", BigInteger, nullable=False),
        Column("began_at", DateTime),
        PrimaryKeyConstraint("seq", name="pk_runs"),
        ForeignKeyConstraint(["operation_id"], ["operations.id"], name="fk_runs_operation_id"),
        **words,
    )
    op.create_index("ix_runs_operation_id_seq", "runs", ["operation_id", "seq"])
    op.execute(_last_owners())


def _last_owners() -> Insert:
    """Of an operation that had several owners, the last one is all that was kept."""
    who = ("user", "sudo_user", "machine", "pid")
    kept = ("id", "epoch", "opened_at", *(f"owner_{one}" for one in who))
    old = table("operations", *(column(name) for name in kept)).c
    first = old.epoch == 1
    what, began = case((first, "opened"), else_="taken up"), case((first, old.opened_at))
    owner = [old[f"owner_{one}"] for one in who]
    names = ("operation_id", "epoch", "what", *who, "began_at")
    found = select(old.id, old.epoch, what, *owner, began).order_by(old.id)
    return insert(table("runs", *map(column, names))).from_select(names, found)


def _each_asking(op: Operations) -> None:
    """0003: reason and decision of each run, of which an operation had kept its first one's."""
    for name, kind in (("reason", Text), ("decision", JSON), ("given", JSON)):
        op.add_column("runs", Column(name, kind))
    run, of = (table(one, *map(column, names)) for one, names in _ASKED)
    for name in ("reason", "decision"):
        kept = select(of.c[name]).where(of.c.id == run.c.operation_id).scalar_subquery()
        op.execute(update(run).where(run.c.epoch == 1).values({name: kept}))


_ASKED = (
    ("runs", ("operation_id", "epoch", "reason", "decision")),
    ("operations", ("id", "reason", "decision")),
)
STEPS: Mapping[str, Step] = {"0002": _whole_story, "0003": _each_asking}
"""What leads to a revision from the one before. It must not use tables.py, which has moved on."""


def between(found: str) -> Sequence[str]:
    """The revisions that a state of revision `found` lacks, in order."""
    return REVISIONS[REVISIONS.index(found) + 1 :]


def migrate(connection: Connection, found: str) -> None:
    """Take the steps from `found` to the newest, in the caller's transaction."""
    operations = Operations(MigrationContext.configure(connection))
    for revision in between(found):
        STEPS[revision](operations)
    connection.execute(alembic_version.update().values(version_num=REVISIONS[-1]))
