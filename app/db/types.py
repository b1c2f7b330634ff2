"""Column types that SQLAlchemy does not bring."""

from typing import Any

from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType


class Snapshot(UserDefinedType[str]):
    """PostgreSQL's `pg_snapshot`: which transactions a statement sees."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # noqa: ANN401 - as SQLAlchemy calls it
        """The name of the type in DDL."""
        return "PG_SNAPSHOT"


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's `xid8`: a 64-bit transaction id that never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # noqa: ANN401 - as SQLAlchemy calls it
        """The name of the type in DDL."""
        return "XID8"


ischema_names["xid8"] = TransactionId  # so that Alembic knows the type again when it compares
ischema_names["pg_snapshot"] = Snapshot
