"""Bring a database to this code's schema.

This runs as the owner of the schema, never as the application: afterwards the application's role is granted exactly
what `PRIVILEGES` says. On the ledger that is INSERT and SELECT.
"""

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from psycopg import errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.db.connections import role_of
from app.db.owner_limits import owner_engine
from app.db.refusals import why_refused
from app.db.revisions import MigrationRefusedError, known_revisions, migrations, refuse_unreleased
from app.db.session import uuid7

PRIVILEGES: Final = {
    "alembic_version": "SELECT",
    # UPDATE on the first column of these three only allows SELECT … FOR UPDATE: triggers refuse an actual UPDATE.
    "processing": "SELECT, INSERT, UPDATE (id)",
    "subject": "SELECT, INSERT, UPDATE (subject_ref)",
    "subject_locator": "SELECT, INSERT, DELETE, UPDATE (ended_at)",
    "deployment_epoch": "SELECT, INSERT",
    # UPDATE sets the line of a kept note to NULL, and moves put_at when a line is taken up.
    "journal_note": "SELECT, INSERT, UPDATE (line, put_at)",
    "document": "SELECT, INSERT",
    "import_source": "SELECT, INSERT, UPDATE (rows, grants, expected, until)",
    "import_row": "SELECT, INSERT, DELETE",
    "solicitation": "SELECT, INSERT, DELETE, UPDATE (asked_at, person_request)",
    "controller": "SELECT, INSERT, UPDATE (id)",
    "controller_version": "SELECT, INSERT",
    "processing_version": "SELECT, INSERT",
    "processing_status_change": "SELECT, INSERT",
    "gate_proposal": "SELECT, INSERT, UPDATE (id)",
    "gate_ruling": "SELECT, INSERT",
    "processing_invalidation": "SELECT, INSERT",
    "invalidation_told": "SELECT, INSERT",
    "consent_event": "SELECT, INSERT",
    "consent": "SELECT, INSERT, UPDATE, DELETE",
    "renewal_flag": "SELECT, INSERT",
    "subject_vault": "SELECT, INSERT, DELETE",
    "key_check": "SELECT, INSERT",
    "consent_link": "SELECT, INSERT, DELETE",
    "consent_form": "SELECT, INSERT, DELETE",
    "presented_text": "SELECT, INSERT",
    "caller": "SELECT, INSERT, UPDATE (name, scopes, processings, revoked_at, revoked_by)",
    "caller_key": "SELECT, INSERT, UPDATE (expires_at, revoked_at, revoked_by)",
    "credential_use": "SELECT, INSERT, UPDATE",
    "idempotency": "SELECT, INSERT, UPDATE, DELETE",
    "outbox": "SELECT, INSERT, DELETE",
    "change": "SELECT, INSERT, DELETE",
    "decision_segment": "SELECT, INSERT (id, day, from_at, to_at, rows, counts, directory, data, sha256)",
    "decision_drop": "SELECT, INSERT",
    "decision_writer": "SELECT, INSERT, UPDATE, DELETE",
    "administrative_act": "SELECT, INSERT",
    "owner_limit": "SELECT",
    "retention_rule": "SELECT",
    "retention_hold": "SELECT, INSERT",  # a restore writes them; adding one only keeps more
    "staff_notice": "SELECT, INSERT",
    "staff_member": "SELECT, INSERT, UPDATE (left_at)",
    "staff_name": "SELECT, INSERT, DELETE",
    "staff_acknowledgement": "SELECT, INSERT",
    "replica": "SELECT, INSERT, UPDATE, DELETE",
    "job_run": "SELECT, INSERT, UPDATE, DELETE",
    "figure": "SELECT, INSERT, UPDATE",
    "decision_count": "SELECT",
    "page_session": "SELECT, INSERT, DELETE, UPDATE (seen_at)",
    "procrastinate_jobs": "SELECT, INSERT, UPDATE, DELETE",
    "procrastinate_events": "SELECT, INSERT, UPDATE, DELETE",
    "procrastinate_periodic_defers": "SELECT, INSERT, UPDATE, DELETE",
    "procrastinate_workers": "SELECT, INSERT, UPDATE, DELETE",
    "effect_owed": "SELECT, INSERT, UPDATE (stopped_at, erased_at)",
    "effect_acknowledged": "SELECT, INSERT",
    "event_progress": "SELECT, INSERT, UPDATE",
    "webhook_endpoint": "SELECT, INSERT, UPDATE, DELETE",
    "webhook_key": "SELECT, INSERT, UPDATE",
    "decision_key": "SELECT, INSERT, UPDATE (retires_at)",
    "proof_queue": "SELECT, INSERT, DELETE",
    "proof_entry": "SELECT, INSERT",
    "proof_opening": "SELECT, INSERT",
    "proof_tile": "SELECT, INSERT, UPDATE",
    "proof_checkpoint": "SELECT, INSERT",
    "proof_statement": "SELECT, INSERT",
    "proof_anchor": "SELECT, INSERT",
    "proof_key": "SELECT, INSERT, UPDATE (retires_at)",
    "receipt_key": "SELECT, INSERT, UPDATE (retires_at)",
    "webhook_secret": "SELECT, INSERT, UPDATE, DELETE",
    "webhook_delivery": "SELECT, INSERT, UPDATE, DELETE",
    "webhook_attempt": "SELECT, INSERT, DELETE",
    "webhook_count": "SELECT, INSERT, UPDATE",
}


OLDEST_SERVER: Final = 16
"""The oldest major version of PostgreSQL that Sceau supports."""
_LOCK_SECONDS: Final = 5
_TURN_SECONDS: Final = 120


FUNCTIONS: Final = (
    "sceau_make_log_partition(date)",
    "sceau_drop_log_before(date)",
    "sceau_merge_segments(uuid, date, timestamptz, timestamptz, integer, jsonb, bytea, bytea, bytea, uuid[], boolean)",
)
"""The functions that the application role may call: it cannot make or drop tables itself."""

SEQUENCES: Final = (
    "procrastinate_jobs_id_seq",
    "procrastinate_events_id_seq",
    "procrastinate_periodic_defers_id_seq",
)
"""The sequences that number Procrastinate's rows; its functions run with the rights of their caller."""


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for this project, on a connection whose transaction the caller ends."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(migrations()))
    return config


def migrate(owner_url: str, application_url: str) -> None:
    """Migrate to this code's revision in one transaction, then grant the application role its privileges.

    A database whose schema is ahead of this code is left as it is, including its privileges, which are the newer
    code's.

    Args:
        owner_url: DSN of the role that owns the schema.
        application_url: DSN of the service; its user name is the role that gets the privileges.

    Raises:
        MigrationRefusedError: it could not be done, and nothing was changed.

    """
    owner, role = role_of(owner_url), role_of(application_url)
    engine = owner_engine(owner_url)
    try:
        with engine.begin() as connection:
            if upgrade(connection) and role and role != owner:
                _grant(connection, role)
    except DBAPIError as error:
        raise MigrationRefusedError(_refusal(error, owner_url, role)) from error
    finally:
        engine.dispose()


def _refusal(error: DBAPIError, owner_url: str, role: str | None) -> str:
    """Return the message for a person: which setting or session is at fault, and what to do."""
    cause = error.orig
    if isinstance(cause, errors.LockNotAvailable):
        return (
            f"another session held a lock that the migration needs for over {_LOCK_SECONDS} seconds, and nothing was "
            "changed: run `sceau migrate` again when the database is quieter"
        )
    if isinstance(cause, errors.InsufficientPrivilege):
        return (
            f"the role {role_of(owner_url)} may not change the schema: SCEAU_DATABASE_OWNER_URL must name the role "
            "that owns it (deploy/postgres-roles.sh makes it)"
        )
    if isinstance(cause, errors.UndefinedObject):
        return (
            f"the role {role} of SCEAU_DATABASE_URL does not exist in the database: create it with LOGIN first "
            "(deploy/postgres-roles.sh)"
        )
    if getattr(cause, "sqlstate", None) is None or error.connection_invalidated:
        return why_refused(owner_url, "SCEAU_DATABASE_OWNER_URL") or (
            "the connection to the database was lost, and nothing was changed: run `sceau migrate` again"
        )
    return f"the database refused the migration ({type(cause).__name__}), and nothing was changed: see its log"


def upgrade(connection: Connection) -> bool:
    """Upgrade within the caller's transaction, one migration at a time across processes, with lock time-outs.

    Returns:
        False when the schema is ahead of this code, and so was left as it is.

    Raises:
        UnreleasedSchemaError: the database was made before the baseline.
        MigrationRefusedError: the server is too old.

    """
    version = connection.execute(text("SELECT current_setting('server_version_num')::int / 10000")).scalar_one()
    if version < OLDEST_SERVER:
        raise MigrationRefusedError(f"this is PostgreSQL {version}: Sceau needs {OLDEST_SERVER} or newer")
    connection.execute(text(f"SET LOCAL lock_timeout = '{_TURN_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau migrate'))"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
    before = _heads(connection)
    refuse_unreleased(before)
    if not set(before) <= set(known_revisions()):
        return False
    command.upgrade(configuration(connection), "head")
    _record(connection, before)
    return True


def _heads(connection: Connection) -> tuple[str, ...]:
    """Return the revisions that a database is at: none, or one."""
    return MigrationContext.configure(connection).get_current_heads()


_MIGRATED: Final = text("""
INSERT INTO administrative_act (id, at, act, way, detail)
VALUES (:id, :at, 'schema.migrated', 'command', jsonb_strip_nulls(jsonb_build_object(
    'before', CAST(:before AS text), 'after', CAST(:after AS text))))
""")


def _record(connection: Connection, before: tuple[str, ...]) -> None:
    """Record in the trail of administrative acts (`app.audit.trail`) that the schema was migrated, if it was.

    It uses its own SQL because the migration code does not import any store.
    """
    after = _heads(connection)
    if after == before:
        return
    at = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    detail = {"before": "".join(before) or None, "after": "".join(after)}
    connection.execute(_MIGRATED, {"id": uuid7(at), "at": at, **detail})


def _grant(connection: Connection, role: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")).scalars()
    for table in tables.all():
        connection.execute(text(f'REVOKE ALL ON "{table}" FROM {quoted}'))
        if table in PRIVILEGES:
            connection.execute(text(f'GRANT {PRIVILEGES[table]} ON "{table}" TO {quoted}'))
    for function in FUNCTIONS:
        connection.execute(text(f"GRANT EXECUTE ON FUNCTION {function} TO {quoted}"))
    for sequence in SEQUENCES:
        connection.execute(text(f"GRANT USAGE ON SEQUENCE {sequence} TO {quoted}"))
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {quoted}"))
