"""Brings a test's database back to what it was when it was made, or says that this cannot be done.

Rows are taken away and those that it was made with put back, sequences too, and sessions that are left are ended.
A database in which anything but rows changed (a table, a right, a function, a trigger) is not brought back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

_LARGEST: Final = 64 * 2**20
"""Bytes: a database that has grown beyond is made again, not emptied."""
_SHAPE: Final[LiteralString] = """
SELECT md5(string_agg(place, ' ' ORDER BY place)) FROM (
    SELECT 'c' || oid || ' ' || xmin FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't'
    UNION ALL SELECT 'a' || attrelid || ' ' || attnum || ' ' || xmin FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT 'p' || oid || ' ' || xmin FROM pg_proc
    UNION ALL SELECT 't' || oid || ' ' || xmin FROM pg_trigger
    UNION ALL SELECT 'k' || oid || ' ' || xmin FROM pg_constraint
    UNION ALL SELECT 'd' || oid || ' ' || xmin FROM pg_attrdef
    UNION ALL SELECT 'i' || indexrelid || ' ' || xmin FROM pg_index WHERE indexrelid >= 16384
    UNION ALL SELECT 'y' || oid || ' ' || xmin FROM pg_type
    UNION ALL SELECT 'n' || oid || ' ' || xmin FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT 'r' || oid || ' ' || xmin FROM pg_rewrite
    UNION ALL SELECT 'l' || oid || ' ' || xmin FROM pg_default_acl
    UNION ALL SELECT 'e' || oid || ' ' || xmin FROM pg_event_trigger
    UNION ALL SELECT 'o' || oid || ' ' || xmin FROM pg_policy
    UNION ALL SELECT 'b' || oid || ' ' || xmin FROM pg_publication
    UNION ALL SELECT 'x' || oid || ' ' || xmin FROM pg_extension
    UNION ALL SELECT 'g' || oid || ' ' || xmin FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 's' || setrole || ' ' || s.xmin FROM pg_db_role_setting s
              JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database()
) AS found (place)"""
_TABLES: Final[LiteralString] = """
SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') AND relpersistence <> 't'"""
_FORGET: Final[LiteralString] = """
DO $$
DECLARE
    found regclass;
BEGIN
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR found IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') AND relpersistence <> 't' LOOP
        EXECUTE format('DELETE FROM ONLY %s', found);
    END LOOP;
END $$"""


@dataclass(frozen=True)
class AsMade:
    """What a database was when it was made: its shape, the rows that it had, as COPY writes them, and its sequences."""

    shape: str
    rows: Mapping[tuple[str, str], bytes]
    sequences: Sequence[tuple[str, int, bool]]


def as_it_is(url: str) -> AsMade:
    """What a database is now.

    Args:
        url: the database, as the server's administrator.

    """
    with psycopg.connect(url, autocommit=True) as connection:
        rows = {}
        for schema, table in connection.execute(_TABLES).fetchall():
            if copied := _copied(connection, schema, table):
                rows[schema, table] = copied
        names = [name for (name,) in connection.execute("SELECT seqrelid::regclass::text FROM pg_sequence").fetchall()]
        stand = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}, last_value, is_called FROM {}").format(name, sql.SQL(name)) for name in names
        )
        return AsMade(_shape(connection), rows, connection.execute(stand).fetchall() if names else [])


def emptied(connection: psycopg.Connection[Any], as_made: AsMade) -> bool:
    """Whether a database is again as it was made; if not, it is of no more use.

    Args:
        connection: to that database, as the server's administrator; each statement on its own.
        as_made: what it was when it was made.

    """
    size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    if size is None or size[0] > _LARGEST or _shape(connection) != as_made.shape:
        return False
    with connection.transaction():
        connection.execute(_FORGET)
        connection.execute("SET LOCAL session_replication_role = replica")
        for (schema, table), copied in as_made.rows.items():
            put = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(schema, table))
            with connection.cursor().copy(put) as copy:
                copy.write(copied)
        with connection.cursor() as cursor:
            cursor.executemany("SELECT setval(%s::regclass, %s, %s)", as_made.sequences)
    return True


def _copied(connection: psycopg.Connection[Any], schema: str, table: str) -> bytes:
    taken = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, table))
    with connection.cursor().copy(taken) as copy:
        return b"".join(bytes(each) for each in copy)


def _shape(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(_SHAPE).fetchone()
    assert row is not None
    shape: str = row[0]
    return shape
