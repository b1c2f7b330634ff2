"""What the second reading of the law asks about: ages stated, renewals declined, territories, ages that must be known.

New columns are nullable or have a constant default, so no row is rewritten. The new CHECKs are added without a scan of
the ledger (NOT VALID) and validated afterwards, which lets writers go on. Two indexes are built anew: one over events
that are few, one over live consents, which holds writers of consents up for about a second for each million of them.

Going back leaves ages and declined renewals in the append-only ledger; the code of before does not know these kinds and
answers nothing about those persons, which denies. Withdraw them by going forward again.

Revision: 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OLD_KINDS = "kind IN ('granted', 'refused', 'withdrawn', 'closed', 'expired', 'superseded', 'erased')"
NEW_KINDS = f"{OLD_KINDS[:-1]}, 'age_stated', 'renewal_declined')"
TERRITORY = "territory IN ('GP', 'MQ', 'GF', 'RE', 'YT', 'BL', 'MF', 'PM', 'WF')"
AGE = "kind <> 'age_stated' OR capacity->>'age_band' IS NOT NULL"
OLD_DOUBTFUL = (
    "kind = 'granted' AND (evidence->>'default_state' = 'selected' OR evidence->>'positive_act' = 'none'"
    " OR evidence->>'separate_from_terms' = 'false' OR evidence->>'conditional' = 'true' OR text_known IS FALSE"
    " OR capacity->>'given_by' IN ('holder_of_parental_responsibility', 'administrator'))"
    " OR capacity->>'age_band' = 'under_15'"
)
NEW_DOUBTFUL = f"{OLD_DOUBTFUL} OR territory IS NOT NULL"
LIVE = "decision = 'granted' AND ended_by IS NULL AND renewal_stage > 0"


def upgrade() -> None:
    """Add the columns and the kinds, and build the two indexes on them."""
    op.add_column("consent_event", sa.Column("territory", sa.Text(), nullable=True))
    op.add_column("consent", sa.Column("counted_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "processing_version",
        sa.Column("age_statement_required", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    _check_kinds(NEW_KINDS)
    for name, condition in (("territory", TERRITORY), ("age_stated", AGE)):
        op.execute(f"ALTER TABLE consent_event ADD CONSTRAINT ck_consent_event_{name} CHECK ({condition}) NOT VALID")
        op.execute(f"ALTER TABLE consent_event VALIDATE CONSTRAINT ck_consent_event_{name}")
    _index_doubtful(NEW_DOUBTFUL)
    _index_due("coalesce(counted_from, collected_at)")


def downgrade() -> None:
    """Take them away again; events of the new kinds stay in the ledger, unread."""
    _index_due("collected_at")
    _index_doubtful(OLD_DOUBTFUL)
    for name in ("age_stated", "territory"):
        op.execute(f"ALTER TABLE consent_event DROP CONSTRAINT ck_consent_event_{name}")
    _check_kinds(OLD_KINDS, validate=False)
    op.drop_column("processing_version", "age_statement_required")
    op.drop_column("consent", "counted_from")
    op.drop_column("consent_event", "territory")


def _check_kinds(condition: str, *, validate: bool = True) -> None:
    op.execute("ALTER TABLE consent_event DROP CONSTRAINT ck_consent_event_kind")
    op.execute(f"ALTER TABLE consent_event ADD CONSTRAINT ck_consent_event_kind CHECK ({condition}) NOT VALID")
    if validate:
        op.execute("ALTER TABLE consent_event VALIDATE CONSTRAINT ck_consent_event_kind")


def _index_doubtful(condition: str) -> None:
    op.drop_index("ix_consent_event_doubtful", table_name="consent_event")
    op.create_index("ix_consent_event_doubtful", "consent_event", ["subject_ref"], postgresql_where=sa.text(condition))


def _index_due(instant: str) -> None:
    op.drop_index("ix_consent_due", table_name="consent")
    columns = ["processing", "version", "renewal_stage", sa.text(instant), "id"]
    op.create_index("ix_consent_due", "consent", columns, postgresql_where=sa.text(LIVE))
