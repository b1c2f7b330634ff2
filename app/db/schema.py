"""What tables are declared with: one metadata object, and the types of their columns."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import CheckConstraint, DateTime, MetaData
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

LIBRARY_PREFIX: Final = "procrastinate_"
"""The prefix of tables that a library creates by its own DDL: migrated with ours, but not declared here."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Instant: Final = DateTime(timezone=True)
"""A column of instants, aware (UTC)."""


def is_declared_here(name: str | None, kind: str, _: Mapping[Any, str | None]) -> bool:
    """Return whether Alembic compares an object (its `include_name`): everything but a library's tables."""
    return kind != "table" or name is None or not name.startswith(LIBRARY_PREFIX)


def one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """Return a CHECK that a column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Snapshot(UserDefinedType[str]):
    """PostgreSQL's `pg_snapshot`: which transactions a statement sees."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # noqa: ANN401 - as SQLAlchemy calls it
        """Return the name of the type in DDL."""
        return "PG_SNAPSHOT"


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's `xid8`: a 64-bit transaction id that never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # noqa: ANN401 - as SQLAlchemy calls it
        """Return the name of the type in DDL."""
        return "XID8"


ischema_names["xid8"] = TransactionId  # so that Alembic recognises the type when it compares
ischema_names["pg_snapshot"] = Snapshot
