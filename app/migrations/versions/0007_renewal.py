"""What the sweep flagged, and how far it has come with each consent.

Revision: 0007, after 0006.

The new column has a constant default, so that no row is rewritten. The index is built while writes of consents wait
(decisions read the ledger, and go on): a second for each million consents or so. On a database too large for that, make
it beforehand, without that wait, by the two statements in docs/operating.md: what is there already is left alone here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LIVE = "decision = 'granted' AND ended_by IS NULL"


def upgrade() -> None:
    """Add the column, let the index of due consents follow it, and create the table of flags."""
    op.execute("ALTER TABLE consent ADD COLUMN IF NOT EXISTS renewal_stage smallint DEFAULT 366 NOT NULL")
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_consent_due_by_stage ON consent"
        f" (processing, version, renewal_stage, collected_at, id) WHERE {LIVE} AND renewal_stage > 0"
    )
    op.drop_index("ix_consent_due", table_name="consent")
    op.execute("ALTER INDEX ix_consent_due_by_stage RENAME TO ix_consent_due")
    op.create_table(
        "renewal_flag",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("consent", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("notice", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flagged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('due', 'expired', 'superseded', 'closed')", name=op.f("ck_renewal_flag_kind")),
        sa.CheckConstraint(
            "(kind = 'due') = (notice > 0) AND notice >= 0 AND notice <= 365", name=op.f("ck_renewal_flag_notice")
        ),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_renewal_flag_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["processing"], ["processing.id"], name=op.f("fk_renewal_flag_processing_processing"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("subject_ref", "processing", "consent", "kind", "notice", name=op.f("pk_renewal_flag")),
    )
    op.create_index("ix_renewal_flag_processing_kind_id", "renewal_flag", ["processing", "kind", "id"])


def downgrade() -> None:
    """Forget what was flagged; what the ledger says stays."""
    op.drop_table("renewal_flag")
    op.drop_index("ix_consent_due", table_name="consent")
    op.drop_column("consent", "renewal_stage")
    op.create_index("ix_consent_due", "consent", ["processing", "collected_at"], postgresql_where=sa.text(LIVE))
