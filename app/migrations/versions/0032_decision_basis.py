"""What a decision was made on, in its row of the log; and batches of logged decisions among the statements of the proof log.

New columns that are NULL in rows of before: the tables are locked for an instant. Code of before goes on writing rows
without them, which cannot be decided again.

Going back drops the columns, and no new batch can be stated.

Revision: 0032, after 0031.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

ADDED = {
    "automated": sa.Boolean(),
    "private": sa.Boolean(),
    "version": sa.Integer(),
    "versions": sa.Integer(),
    "changes": sa.Integer(),
    "party_mode": sa.Text(),
    "known": sa.Integer(),
    "participants": sa.Integer(),
    "relied": sa.LargeBinary(),
    "policy": sa.Text(),
    "rules": sa.Text(),
    "build": sa.Text(),
}
NAME = "ck_proof_statement_kind"


def upgrade() -> None:
    """Add the columns, the table of rows that were dropped, and the kind of statement."""
    for name, kind in ADDED.items():
        op.add_column("decision_log", sa.Column(name, kind))
    # Of the partitions that are there an index would take a scan of each under a lock: days to come have it.
    op.execute("CREATE INDEX ix_decision_log_at ON ONLY decision_log USING brin (at)")
    op.create_table(
        "decision_drop",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_decision_drop_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision_drop")),
    )
    op.create_index("ix_decision_drop_at", "decision_drop", ["at"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decision_drop "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
    )
    op.drop_constraint(op.f(NAME), "proof_statement")
    op.create_check_constraint(op.f(NAME), "proof_statement", "kind IN ('key', 'settings', 'decision_batch')")


def downgrade() -> None:
    """Remove them; batches that are stated stay, for nothing leaves the log."""
    op.drop_constraint(op.f(NAME), "proof_statement")
    op.execute(f"ALTER TABLE proof_statement ADD CONSTRAINT {NAME} CHECK (kind IN ('key', 'settings')) NOT VALID")
    op.drop_table("decision_drop")
    op.execute("DROP INDEX ix_decision_log_at")
    for name in reversed(ADDED):
        op.drop_column("decision_log", name)
