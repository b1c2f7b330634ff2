"""The metadata that every table belongs to, with one naming convention for constraints and indexes.

Tables stand beside the store that reads them (`app/*/tables.py`); `app.db.migrate` gathers them for Alembic.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import MetaData

LIBRARY_PREFIX: Final = "procrastinate_"
"""Tables that a library brings by its own DDL: migrated with ours, declared by nobody here."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def is_declared_here(name: str | None, kind: str, _: Mapping[Any, str | None]) -> bool:
    """What Alembic is to compare (its `include_name`): everything but a library's tables."""
    return kind != "table" or name is None or not name.startswith(LIBRARY_PREFIX)
