"""Connections as the role that owns the schema: for migrations, and for what only the owner sets."""

from typing import Any, Final

import psycopg
from sqlalchemy import Engine, create_engine

from app.db.connections import owner_settings

_CONNECT_SECONDS: Final = 10


def owner_engine(url: str) -> Engine:
    """An engine on a DSN of one host or of several, which shows no parameters in its errors."""

    def open_one() -> psycopg.Connection[Any]:
        return psycopg.connect(**owner_settings(url, connect_seconds=_CONNECT_SECONDS))

    return create_engine("postgresql+psycopg://", hide_parameters=True, creator=open_one)
