"""Everything that came out of a deployment: what it printed, answered and stored."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import zstandard
from psycopg import sql

_TABLES = """
    SELECT table_schema, table_name, array_agg(column_name::text), array_agg(data_type::text)
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
    GROUP BY table_schema, table_name
"""


def stored(administrator: psycopg.Connection[Any]) -> dict[str, bytes]:
    """Every row of every table, as text, and each byte string as it is, and unpacked where it is packed."""
    contents = {}
    for schema, table, columns, types in administrator.execute(_TABLES).fetchall():
        name = sql.Identifier(schema, table)
        rows = administrator.execute(sql.SQL("SELECT t::text FROM {} AS t").format(name)).fetchall()
        parts: list[bytes] = [row[0].encode() for row in rows]
        for column, kind in zip(columns, types, strict=True):
            if kind == "bytea":
                read = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), name)
                kept = [bytes(value) for (value,) in administrator.execute(read) if value is not None]
                parts += [*kept, *map(_unpacked, filter(_is_packed, kept))]
        contents[f"table {table}"] = b"\n".join(parts)
    active = administrator.execute("SELECT string_agg(query || application_name, ' ') FROM pg_stat_activity").fetchall()
    contents["pg_stat_activity"] = active[0][0].encode()
    return contents


def _is_packed(content: bytes) -> bool:
    """Whether it is a frame of Zstandard (RFC 8878, section 3.1.1), or begins with one."""
    return content.startswith(b"\x28\xb5\x2f\xfd")


def _unpacked(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()


def printed(service: Path, postgresql: Path) -> dict[str, bytes]:
    """What the service and its database wrote to their logs."""
    return {"service output": service.read_bytes(), "PostgreSQL log": postgresql.read_bytes()}


def answered(headers: Iterable[tuple[str, str]], metrics: bytes) -> dict[str, bytes]:
    """The headers of all answers, and the metrics."""
    return {"response headers": "\n".join(": ".join(each) for each in headers).encode(), "metrics": metrics}
