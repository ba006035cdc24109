"""The steps from each revision of the state to the next; alembic is loaded for them alone."""

from collections.abc import Callable, Mapping, Sequence

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, Text

from extendctl.tables import REVISIONS, alembic_version

Step = Callable[[Operations], object]


def _archive(op: Operations) -> None:
    """0002: a layer's record keeps what LVM's archive of the volume group is called."""
    op.add_column("records", Column("archive", Text))


STEPS: Mapping[str, Step] = {"0002": _archive}
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
