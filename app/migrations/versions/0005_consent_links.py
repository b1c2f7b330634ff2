"""Links to the consent page, the forms sent through them, the texts shown; the register's data-protection contact.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; the register's new column is nullable and has no default, so nothing is rewritten."""
    op.add_column("processing_version", sa.Column("data_protection_contact", sa.Text(), nullable=True))
    op.create_table(
        "consent_link",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("processings", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("authentication", sa.Text(), nullable=False),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("age_band", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ledger_order", sa.Integer(), nullable=False),
        sa.CheckConstraint("octet_length(token_sha256) = 32", name=op.f("ck_consent_link_token_length")),
        sa.CheckConstraint("cardinality(processings) >= 1", name=op.f("ck_consent_link_some_processing")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_consent_link_lasts")),
        sa.CheckConstraint("kind IN ('decide', 'withdraw')", name=op.f("ck_consent_link_kind")),
        sa.CheckConstraint(
            "authentication IN ('mailbox', 'signed_in', 'signed_in_strong', 'in_person')",
            name=op.f("ck_consent_link_authentication"),
        ),
        sa.CheckConstraint("age_band IN ('adult', 'minor_15_plus', 'under_15')", name=op.f("ck_consent_link_age_band")),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_consent_link_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_consent_link")),
    )
    op.create_index("ix_consent_link_expires_at", "consent_link", ["expires_at"])
    op.create_table(
        "consent_form",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(nonce) = 16", name=op.f("ck_consent_form_nonce_length")),
        sa.ForeignKeyConstraint(
            ["token_sha256"],
            ["consent_link.token_sha256"],
            name=op.f("fk_consent_form_token_sha256_consent_link"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_sha256", "nonce", name=op.f("pk_consent_form")),
    )
    op.create_table(
        "presented_text",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sha256 = sha256(convert_to(text, 'UTF8'))", name=op.f("ck_presented_text_is_its_hash")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_presented_text")),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON presented_text "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
    )


def downgrade() -> None:
    """Drop the tables with what is in them, and the contact."""
    op.drop_table("presented_text")
    op.drop_table("consent_form")
    op.drop_index("ix_consent_link_expires_at", table_name="consent_link")
    op.drop_table("consent_link")
    op.drop_column("processing_version", "data_protection_contact")
