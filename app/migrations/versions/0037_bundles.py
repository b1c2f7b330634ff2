"""The log states which bundles were made of it.

Going back removes what was stated of bundles; those entries stay in the log, without their bodies.

Revision: 0037, after 0036.
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

BEFORE = "kind IN ('key', 'settings', 'decision_batch', 'retention_run')"
SINCE = "kind IN ('key', 'settings', 'decision_batch', 'retention_run', 'bundle')"


def upgrade() -> None:
    """Allow the kind."""
    _constrain(SINCE)


def downgrade() -> None:
    """Remove statements of the kind, and the kind."""
    op.execute("ALTER TABLE proof_statement DISABLE TRIGGER append_only")
    op.execute("DELETE FROM proof_statement WHERE kind = 'bundle'")
    op.execute("ALTER TABLE proof_statement ENABLE TRIGGER append_only")
    _constrain(BEFORE)


def _constrain(condition: str) -> None:
    op.drop_constraint(op.f("ck_proof_statement_kind"), "proof_statement")
    op.create_check_constraint(op.f("ck_proof_statement_kind"), "proof_statement", condition)
