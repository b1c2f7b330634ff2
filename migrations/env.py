"""Alembic's environment: migrates over the connection it is handed, in the caller's transaction."""

from alembic import context

import app.audit.store
import app.auth.sessions
import app.auth.store
import app.db.owner_limits
import app.db.retention
import app.events.tables
import app.journal.store
import app.keyring
import app.ledger.identifiers
import app.ledger.imports
import app.ledger.link_store
import app.ledger.tables
import app.proof.store
import app.register.gate
import app.register.tables
import app.snapshot.tables
import app.staff
from app.db.schema import is_declared_here, metadata

__all__ = ["app"]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=is_declared_here,
    transactional_ddl=True,
    transaction_per_migration=False,
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
