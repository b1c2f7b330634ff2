"""Bring a database to this code's schema, and tell whether it is there.

Runs as the owner of the schema, never as the application: afterwards the application's role is granted exactly what
`PRIVILEGES` says. On the ledger that is INSERT and SELECT.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from app.db.session import ReadSession

MIGRATIONS: Final = Path(__file__).resolve().parent.parent.parent / "migrations"

PRIVILEGES: Final = {
    "alembic_version": "SELECT",
    # UPDATE on the first column of these two only allows SELECT … FOR UPDATE: triggers refuse an actual UPDATE.
    "processing": "SELECT, INSERT, UPDATE (id)",
    "subject": "SELECT, INSERT, UPDATE (subject_ref)",
    "processing_version": "SELECT, INSERT",
    "processing_status_change": "SELECT, INSERT",
    "consent_event": "SELECT, INSERT",
    "consent": "SELECT, INSERT, UPDATE, DELETE",
    "subject_vault": "SELECT, INSERT, DELETE",
    "key_check": "SELECT, INSERT",
    "caller": "SELECT, INSERT, UPDATE (revoked_at, revoked_by)",
    "idempotency": "SELECT, INSERT, UPDATE, DELETE",
    "outbox": "SELECT, INSERT, DELETE",
    "change": "SELECT, INSERT, DELETE",
}


class SchemaBehindError(Exception):
    """The database's schema is behind this code: run `sceau migrate` first."""


def configuration() -> Config:
    """Alembic's configuration for this project; the connection is handed over by the caller."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def migrate(owner_url: str, application_url: str, *, revision: str = "head") -> None:
    """Migrate to a revision in one transaction, then grant the application role its privileges.

    Args:
        owner_url: DSN of the role that owns the schema.
        application_url: DSN of the service; its user name is the role that is granted.
        revision: an Alembic revision; `head` for this code's own.

    """
    engine = create_engine(make_url(owner_url).set(drivername="postgresql+psycopg"), hide_parameters=True)
    role = make_url(application_url).username
    try:
        with engine.begin() as connection:
            upgrade(connection, revision)
            if role and role != make_url(owner_url).username and revision == "head":
                _grant(connection, role)
    finally:
        engine.dispose()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Upgrade within the caller's transaction, one migration at a time across processes, with lock time-outs."""
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau migrate'))"))
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Downgrade within the caller's transaction."""
    config = configuration()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


async def check_schema(session: ReadSession) -> None:
    """Refuse a database whose schema is behind; one that is ahead is accepted (old code on new schema).

    Raises:
        SchemaBehindError: no schema, or an older revision than this code's.

    """
    present = (await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))).scalar_one()
    if not present:
        raise SchemaBehindError
    current = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    scripts = ScriptDirectory.from_config(configuration())
    known = {script.revision for script in scripts.walk_revisions()}
    if not current or (set(current) <= known and scripts.get_current_head() not in current):
        raise SchemaBehindError


async def may_rewrite_ledger(session: ReadSession) -> bool:
    """Whether the connected role could change or remove consent events, were it not for the triggers."""
    statement = text("SELECT has_table_privilege('consent_event', 'UPDATE, DELETE, TRUNCATE')")
    return bool((await session.execute(statement)).scalar_one())


def _grant(connection: Connection, role: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")).scalars()
    for table in tables.all():
        connection.execute(text(f'REVOKE ALL ON "{table}" FROM {quoted}'))
        if table in PRIVILEGES:
            connection.execute(text(f'GRANT {PRIVILEGES[table]} ON "{table}" TO {quoted}'))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {_schema(connection)} TO {quoted}"))


def _schema(connection: Connection) -> str:
    name: str = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    return name
