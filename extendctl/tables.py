"""The tables of the state, in words that SQLite, PostgreSQL and MariaDB all understand."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    column,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

REVISIONS = ("0001", "0002", "0003")
"""What `alembic_version` held over time; migrations.py leads from each to the next."""

REVISION = REVISIONS[-1]
"""What it holds when the tables are as this module has them."""


class Utc(TypeDecorator[datetime]):
    """A moment: aware in Python, naive UTC in the database (DATETIME knows no zone there)."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """MariaDB alone rounds to seconds unless it is told not to."""
        if dialect.name not in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DateTime())
        from sqlalchemy.dialects.mysql import DATETIME  # 26 ms that only its users pay

        return dialect.type_descriptor(DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware to naive UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Naive UTC to aware."""
        return None if value is None else value.replace(tzinfo=UTC)


class Json(TypeDecorator[Any]):
    """A list of words, or a mapping: a value of another shape in the database is damage."""

    impl = JSON
    cache_ok = True

    def __init__(self, shape: type) -> None:
        super().__init__(none_as_null=True)
        self.shape = shape

    def process_result_value(self, value: object, dialect: Dialect) -> object:
        """Raises ValueError for what nobody wrote there."""
        if value is None:
            return None
        if isinstance(value, dict) and self.shape is dict:
            return value
        words = value if isinstance(value, list) else (None,)
        if self.shape is not list or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{value!r} is no {'mapping' if self.shape is dict else 'list'}")
        return value


class now(FunctionElement[datetime]):  # noqa: N801 - it reads as the SQL function it is
    """The database's own clock: the one clock that all machines on one state share."""

    type = Utc()
    inherit_cache = True


_NOW = {
    # Six digits, as SQLAlchemy writes its own: SQLite compares moments as text.
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    # Not CURRENT_TIMESTAMP, which is when the transaction began: before it waited for a lock.
    "postgresql": "timezone('utc', clock_timestamp())",
}


@compiles(now)
def _now(_element: now, compiler: SQLCompiler, **_options: object) -> str:
    return _NOW.get(compiler.dialect.name, "UTC_TIMESTAMP(6)")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up by itself only for INTEGER, which holds 64 bits there.
_Id = BigInteger().with_variant(Integer, "sqlite")
_Words, _Map = Json(list), Json(dict)
# MariaDB would otherwise take vol1 and VOL1 for one name, and has engines without transactions.
_EXACT: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

volumes = Table(
    "volumes",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("backend", String(255), nullable=False),
    Column("source", Text, nullable=False),
    Column("source_identity", String(760), nullable=False, unique=True),  # MariaDB's longest key
    Column("size", BigInteger, nullable=False),
    Column("project", String(255), index=True),
    Column("admin_status", String(32)),
    Column("created_at", Utc, nullable=False, default=now()),
    CheckConstraint("size > 0", name="size"),
    **_EXACT,
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("volume_id", ForeignKey("volumes.id"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("compute", String(32), nullable=False),
    # '' where there is none: two NULLs are never equal to a unique constraint.
    Column("domain", String(255), nullable=False, default=""),
    Column("server", String(64), nullable=False, default=""),
    Column("device", Text),
    Column("mountpoint", Text),
    Column("size", BigInteger),
    Column("lagging", Boolean, nullable=False, default=False),
    UniqueConstraint("volume_id", "host", "compute", "domain", "server"),
    CheckConstraint("size > 0", name="size"),
    **_EXACT,
)

operations = Table(
    "operations",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("volume_id", ForeignKey("volumes.id", ondelete="SET NULL"), index=True),
    Column("volume", String(255), nullable=False),  # the name stays when the volume is forgotten
    # The volume's id while open, else NULL: one open operation a volume, and the database says so.
    Column("open_volume", ForeignKey("volumes.id"), unique=True),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("before", BigInteger, nullable=False),
    Column("goal", BigInteger, nullable=False),
    Column("trunk_settled", Boolean, nullable=False, default=False),
    Column("targets", _Map, nullable=False),
    Column("options", _Map, nullable=False),
    Column("decision", _Words, nullable=False),
    Column("reason", Text),
    Column("error", _Map),
    Column("epoch", Integer, nullable=False, default=1),
    Column("owner_user", String(255), nullable=False),
    Column("owner_sudo_user", String(255)),
    Column("owner_machine", String(400), nullable=False),
    Column("owner_boot_id", String(64), nullable=False),
    Column("owner_pid", BigInteger, nullable=False),
    Column("owner_started", BigInteger, nullable=False),
    Column("heartbeat", Utc, nullable=False),
    Column("pool_key", String(255), index=True),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("released_at", Utc),  # since when the pool's own figures show what was reserved
    Column("opened_at", Utc, nullable=False),
    Column("closed_at", Utc),
    CheckConstraint(column("before") > 0, name="before"),  # a reserved word in MariaDB
    CheckConstraint("goal > 0", name="goal"),
    CheckConstraint("reserved >= 0", name="reserved"),
    **_EXACT,
)

runs = Table(
    "runs",
    metadata,
    Column("seq", _Id, primary_key=True),
    Column("operation_id", ForeignKey("operations.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("what", String(16), nullable=False),
    Column("user", String(255), nullable=False),
    Column("sudo_user", String(255)),
    Column("machine", String(400), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("began_at", Utc),  # NULL where an earlier version did not write it down
    # Likewise: why it was asked for, what policy said, and what else the command was told.
    Column("reason", Text),
    Column("decision", _Words),
    Column("given", _Words),
    Index(None, "operation_id", "seq"),
    **_EXACT,
)

records = Table(
    "records",
    metadata,
    Column("seq", _Id, primary_key=True),
    Column("operation_id", ForeignKey("operations.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("key", String(760), nullable=False),
    Column("host", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("before", BigInteger),
    Column("target", BigInteger),
    Column("after", BigInteger),
    Column("outcome", String(16)),  # NULL until it is settled, for ever if its owner was killed
    Column("note", Text, nullable=False, default=""),
    Column("error", _Map),
    Column("measured_at", Utc, nullable=False),
    Column("settled_at", Utc),
    # What LVM keeps of its volume group as it was before: the way back. NULL where there is none.
    Column("archive", Text),
    Index(None, "operation_id", "seq"),
    **_EXACT,
)

deeds = Table(
    "deeds",
    metadata,
    Column("seq", _Id, primary_key=True),
    Column("operation_id", ForeignKey("operations.id"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("argv", _Words, nullable=False),
    Column("stdin", Text),  # NULL where an earlier version did not write it down
    Column("status", Integer),  # NULL when the line was lost before it was told
    Column("output", Text, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Index(None, "operation_id", "seq"),
    **_EXACT,
)

alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), primary_key=True),
    **_EXACT,
)


def sound(row: RowMapping, table: Table) -> RowMapping:
    """The row, if each value in it is of its column's type. Raises ValueError for damage.

    SQLite keeps a text in a column of numbers, and NULL where none may be, when bytes of its file
    have changed.
    """
    for one in table.columns:
        value, kind = row[one.name], one.type
        missing = value is None and not one.nullable
        other = value is not None and not isinstance(kind, Json)
        if missing or (other and not isinstance(value, kind.python_type)):
            raise ValueError(f"{table.name}.{one.name} is {value!r}")
    return row
