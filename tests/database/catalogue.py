"""What a schema consists of, read from PostgreSQL's own catalogue: two schemas are equal when these are."""

from sqlalchemy import Connection, text

from app.db.schema import LIBRARY_PREFIX

_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
"""
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace
"""
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
_FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
_TRIGGERS = """
    SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"

_TYPES = """
    SELECT t.typname, array_to_string(array_agg(e.enumlabel ORDER BY e.enumsortorder), ' ')
    FROM pg_type t LEFT JOIN pg_enum e ON e.enumtypid = t.oid
    WHERE t.typnamespace = current_schema()::regnamespace AND (t.typtype = 'e' OR t.typname LIKE '%\\_v1')
    GROUP BY t.typname
"""

BOOKKEEPING = "alembic_version"


def tables(connection: Connection) -> dict[str, set[tuple[object, ...]]]:
    """Columns, constraints and indexes, without Alembic's own table and those that a library brings."""
    return {
        name: {row for row in rows if not str(row[0]).startswith(LIBRARY_PREFIX)}
        for name, rows in _all_tables(connection).items()
    }


def _all_tables(connection: Connection) -> dict[str, set[tuple[object, ...]]]:
    parts = {"columns": _COLUMNS, "constraints": _CONSTRAINTS, "indexes": _INDEXES, "sequences": _SEQUENCES}
    return {name: {row for row in _rows(connection, query) if row[0] != BOOKKEEPING} for name, query in parts.items()}


def everything(connection: Connection) -> dict[str, set[tuple[object, ...]]]:
    """All tables, and the types, functions and triggers that SQLAlchemy's metadata does not know."""
    return {
        **_all_tables(connection),
        "types": _rows(connection, _TYPES),
        "functions": _rows(connection, _FUNCTIONS),
        "triggers": _rows(connection, _TRIGGERS),
    }


def _rows(connection: Connection, query: str) -> set[tuple[object, ...]]:
    return {tuple(row) for row in connection.execute(text(query))}
