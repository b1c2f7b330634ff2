"""Which rights a role has, set against those that it must have and must not have."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from app.db.migrate import FUNCTIONS, PRIVILEGES, SEQUENCES

_GRANT: Final = re.compile(r"(\w+)(?: \(([^)]*)\))?")
_ATTRIBUTES: Final = """
SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
    has_schema_privilege(current_schema(), 'CREATE'),
    EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        AND pg_has_role(relowner, 'MEMBER'))
FROM pg_roles WHERE rolname = current_user"""
_ATTRIBUTE_WORDS: Final = (
    "is a superuser",
    "may make databases",
    "may make roles",
    "may replicate",
    "passes row-level security",
    "may make tables in the schema",
    "owns tables, or is a member of the role that does",
)
_OF_TABLES: Final = """
SELECT c.relname, p.privilege FROM pg_class AS c
CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p (privilege)
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND has_table_privilege(c.oid, p.privilege)"""
_OF_COLUMNS: Final = """
SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
    AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'UPDATE')
    AND NOT has_table_privilege(c.oid, 'UPDATE')"""
_CALLABLE: Final = "SELECT coalesce(has_function_privilege(to_regprocedure(%s), 'EXECUTE'), false)"
_COUNTABLE: Final = "SELECT coalesce(has_sequence_privilege(to_regclass(%s), 'USAGE'), false)"
_OWNS: Final = """
SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
    AND NOT pg_has_role(relowner, 'USAGE')"""


@dataclass(frozen=True, slots=True)
class RoleRights:
    """What a role lacks, and what it has beyond what it should, in words: `UPDATE on consent_event`."""

    lacking: tuple[str, ...]
    beyond: tuple[str, ...]


def application_rights(connection: psycopg.Connection[Any]) -> RoleRights:
    """The rights of the connected role, compared with those that a migration grants the service's role."""
    row: tuple[bool, ...] = connection.execute(_ATTRIBUTES).fetchone() or (False,) * len(_ATTRIBUTE_WORDS)
    powers = [word for word, is_so in zip(_ATTRIBUTE_WORDS, row, strict=True) if is_so]
    if row[0] or row[-1]:
        return RoleRights((), tuple(powers))  # every other right follows from these
    has = {*_has(connection)}
    wanted = {each for each in _wanted() if f"UPDATE on {each.rpartition(' ')[2]}" not in has or " of " not in each}
    lacking = [*sorted(wanted - has)]
    lacking += [f"EXECUTE on {each}" for each in FUNCTIONS if not _may(connection, _CALLABLE, each)]
    lacking += [f"USAGE on {each}" for each in SEQUENCES if not _may(connection, _COUNTABLE, each)]
    return RoleRights(tuple(lacking), (*powers, *(f"has {each}" for each in sorted(has - wanted))))


def tables_not_owned(connection: psycopg.Connection[Any]) -> int:
    """How many tables of the schema the connected role does not own: migrations could not change them."""
    row = connection.execute(_OWNS).fetchone()
    return 0 if row is None else int(row[0])


def _has(connection: psycopg.Connection[Any]) -> Iterator[str]:
    yield from (f"{right} on {table}" for table, right in connection.execute(_OF_TABLES))
    yield from (f"UPDATE of {column} on {table}" for table, column in connection.execute(_OF_COLUMNS))


def _wanted() -> Iterator[str]:
    for table, granted in PRIVILEGES.items():
        for right, columns in _GRANT.findall(granted):
            if columns:
                yield from (f"{right} of {column.strip()} on {table}" for column in columns.split(","))
            else:
                yield f"{right} on {table}"


def _may(connection: psycopg.Connection[Any], asked: str, what: str) -> bool:
    row = connection.execute(asked, [what]).fetchone()
    return bool(row and row[0])
