"""The dashboard: sessions of operators, and the numbers that a job counts for it.

Building the index on the ledger holds writers of consents up for about a second for each million events.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DOUBTFUL = (
    "kind = 'granted' AND (evidence->>'default_state' = 'selected' OR evidence->>'positive_act' = 'none'"
    " OR evidence->>'separate_from_terms' = 'false' OR evidence->>'conditional' = 'true' OR text_known IS FALSE"
    " OR capacity->>'given_by' IN ('holder_of_parental_responsibility', 'administrator'))"
    " OR capacity->>'age_band' = 'under_15'"
)


def upgrade() -> None:
    """Create the tables, and an index that holds next to nothing; no row is rewritten."""
    op.create_table(
        "dashboard_session",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(token_sha256) = 32", name=op.f("ck_dashboard_session_token_length")),
        sa.ForeignKeyConstraint(
            ["caller"], ["caller.id"], name=op.f("fk_dashboard_session_caller_caller"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_dashboard_session")),
    )
    op.create_index("ix_dashboard_session_seen_at", "dashboard_session", ["seen_at"])
    op.create_table(
        "figure",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("settled_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("numbers", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_figure")),
    )
    op.create_table(
        "decision_count",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("permitted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "processing", "permitted", "reason", name=op.f("pk_decision_count")),
    )
    op.create_index("ix_consent_event_doubtful", "consent_event", ["subject_ref"], postgresql_where=sa.text(DOUBTFUL))


def downgrade() -> None:
    """Drop them: whoever is signed in must sign in again, and the job counts afresh."""
    op.drop_index("ix_consent_event_doubtful", table_name="consent_event")
    for table in ("decision_count", "figure", "dashboard_session"):
        op.drop_table(table)
