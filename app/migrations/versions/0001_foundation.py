"""The register, the ledger, callers, the outbox and the change table.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from app.db.types import TransactionId

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("processing", "processing_version", "processing_status_change", "subject", "consent_event")


def upgrade() -> None:
    """Create the tables, and the triggers that keep the append-only ones so."""
    create_tables()
    op.execute(
        """
        CREATE FUNCTION sceau_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END
        $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
        )


def downgrade() -> None:
    """Drop everything that this revision made, with what is in it."""
    op.drop_table("subject_vault")
    op.drop_table("processing_version")
    op.drop_table("processing_status_change")
    op.drop_index("ix_idempotency_caller_created_at", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index("ix_consent_event_id", table_name="consent_event")
    op.drop_table("consent_event")
    op.drop_index("ix_consent_processing_id", table_name="consent")
    op.drop_index("ix_consent_id", table_name="consent")
    op.drop_index(
        "ix_consent_due", table_name="consent", postgresql_where=sa.text("decision = 'granted' AND ended_by IS NULL")
    )
    op.drop_table("consent")
    op.drop_table("subject")
    op.drop_table("processing")
    op.drop_index(op.f("ix_outbox_xid"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("key_check")
    op.drop_table("change")
    op.drop_table("caller")
    op.execute("DROP FUNCTION sceau_refuse_change()")


def create_tables() -> None:
    """The tables as app/*/tables.py declare them; a test compares the two."""
    op.create_table(
        "caller",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("processings", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("cardinality(scopes) >= 1", name=op.f("ck_caller_some_scope")),
        sa.CheckConstraint("octet_length(key_sha256) = 32", name=op.f("ck_caller_key_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_caller_key_sha256")),
    )
    op.create_table(
        "change",
        sa.Column("xid", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("xid", "kind", "ref", name=op.f("pk_change")),
    )
    op.create_table(
        "key_check",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_key_check")),
    )
    op.create_table(
        "outbox",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("xid", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.PrimaryKeyConstraint("subject_ref", "id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_xid"), "outbox", ["xid"], unique=False)
    op.create_table(
        "processing",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("controller", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('display', 'sorting', 'routing', 'unsolicited_content_detection', 'malware_detection', 'advertising', 'statistics', 'service_improvement', 'other')",
            name=op.f("ck_processing_purpose"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processing")),
    )
    op.create_table(
        "subject",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(subject_ref) = 32", name=op.f("ck_subject_ref_length")),
        sa.PrimaryKeyConstraint("subject_ref", name=op.f("pk_subject")),
    )
    op.create_table(
        "consent",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(decision = 'granted') = (expires_at IS NOT NULL)", name=op.f("ck_consent_grant_expires")),
        sa.CheckConstraint("decision IN ('granted', 'refused')", name=op.f("ck_consent_decision")),
        sa.CheckConstraint("(ended_by IS NULL) = (ended_at IS NULL)", name=op.f("ck_consent_ended")),
        sa.ForeignKeyConstraint(
            ["processing"], ["processing.id"], name=op.f("fk_consent_processing_processing"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["subject_ref"], ["subject.subject_ref"], name=op.f("fk_consent_subject_ref_subject"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("subject_ref", "id", name=op.f("pk_consent")),
    )
    op.create_index(
        "ix_consent_due",
        "consent",
        ["processing", "collected_at"],
        unique=False,
        postgresql_where=sa.text("decision = 'granted' AND ended_by IS NULL"),
    )
    op.create_index("ix_consent_id", "consent", ["id"], unique=False)
    op.create_index("ix_consent_processing_id", "consent", ["processing", "id"], unique=False)
    op.create_table(
        "consent_event",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("processing", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("elements", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counting", sa.Text(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(none_as_null=True, astext_type=Text()), nullable=True),
        sa.Column("capacity", postgresql.JSONB(none_as_null=True, astext_type=Text()), nullable=True),
        sa.Column("text_known", sa.Boolean(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'granted') = (expires_at IS NOT NULL)", name=op.f("ck_consent_event_grant_expires")
        ),
        sa.CheckConstraint(
            "expires_at IS NULL OR (expires_at > collected_at AND (expires_at AT TIME ZONE 'Europe/Paris') <= (collected_at AT TIME ZONE 'Europe/Paris') + interval '1 year')",
            name=op.f("ck_consent_event_one_year"),
        ),
        sa.CheckConstraint(
            "kind IN ('granted', 'refused', 'withdrawn', 'closed', 'expired', 'superseded', 'erased')",
            name=op.f("ck_consent_event_kind"),
        ),
        sa.CheckConstraint(
            "kind NOT IN ('granted', 'refused') OR (processing IS NOT NULL AND version IS NOT NULL AND evidence IS NOT NULL AND text_known IS NOT NULL)",
            name=op.f("ck_consent_event_decision_complete"),
        ),
        sa.CheckConstraint("collected_at <= recorded_at", name=op.f("ck_consent_event_past")),
        sa.CheckConstraint(
            "elements IS NULL OR cardinality(elements) >= 1", name=op.f("ck_consent_event_some_element")
        ),
        sa.ForeignKeyConstraint(
            ["processing"], ["processing.id"], name=op.f("fk_consent_event_processing_processing"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_consent_event_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("subject_ref", "seq", name=op.f("pk_consent_event")),
    )
    op.create_index("ix_consent_event_id", "consent_event", ["id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["caller"], ["caller.id"], name=op.f("fk_idempotency_caller_caller"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("caller", "key_hash", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_caller_created_at", "idempotency", ["caller", "created_at"], unique=False)
    op.create_table(
        "processing_status_change",
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'suspended', 'retired')", name=op.f("ck_processing_status_change_status")
        ),
        sa.ForeignKeyConstraint(
            ["processing"],
            ["processing.id"],
            name=op.f("fk_processing_status_change_processing_processing"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("processing", "at", name=op.f("pk_processing_status_change")),
    )
    op.create_table(
        "processing_version",
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_kind", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("elements", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("automated", sa.Boolean(), nullable=False),
        sa.Column("party_mode", sa.Text(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("consent_validity", sa.Text(), nullable=False),
        sa.Column("material", sa.Boolean(), nullable=False),
        sa.Column("name", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("notice", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("data_recipients", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("retention", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "elements <@ ARRAY['content', 'correspondent_identity', 'subject_line', 'attachments']::text[]",
            name=op.f("ck_processing_version_known_elements"),
        ),
        sa.CheckConstraint(
            "party_mode IN ('user_only', 'all_local_users', 'all_parties')",
            name=op.f("ck_processing_version_party_mode"),
        ),
        sa.CheckConstraint(
            "provider_kind IN ('operator', 'online_service')", name=op.f("ck_processing_version_provider_kind")
        ),
        sa.CheckConstraint("cardinality(elements) >= 1", name=op.f("ck_processing_version_some_element")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_processing_version_number")),
        sa.ForeignKeyConstraint(
            ["processing"],
            ["processing.id"],
            name=op.f("fk_processing_version_processing_processing"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("processing", "number", name=op.f("pk_processing_version")),
    )
    op.create_table(
        "subject_vault",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_id", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_subject_vault_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("subject_ref", name=op.f("pk_subject_vault")),
    )
