"""The log that an outsider can check: a queue of what is to be entered, entries, their openings, tiles and checkpoints.

New tables, and a trigger on each table whose rows are entered: for it the table is locked for an instant (SHARE ROW
EXCLUSIVE: whoever writes waits, whoever reads does not). Rows of before are entered by a job, some thousands at a time.

Going back drops the log. The ledger is as it was; proofs that were given out can still be checked, and no new one is
made.

Revision: 0031, after 0030.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
APPEND_ONLY = ("proof_entry", "proof_checkpoint", "proof_statement")

QUEUED = {
    "consent_event": ("consent_event", "id::text"),
    "register_version": ("processing_version", "processing || '/' || number"),
    "proposal": ("processing_proposal", "processing || '/' || number"),
    "approval": ("processing_ruling", "processing || '/' || number"),
    "status_change": ("processing_status_change", "processing || '/' || extract(epoch FROM at)"),
    "controller_version": ("controller_version", "controller || '/' || number"),
    "presented_text": ("presented_text", "encode(sha256, 'hex')"),
    "staff_notice": ("staff_notice", "number::text"),
    "staff_acknowledgement": ("staff_acknowledgement", "id::text"),
    "administrative_act": ("administrative_act", "id::text"),
    "statement": ("proof_statement", "id::text"),
}
"""Kinds of entries: their table, and SQL of what names a row of it."""

QUEUE = """
CREATE FUNCTION sceau_queue_{kind}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
BEGIN
    INSERT INTO proof_queue (kind, id) SELECT '{kind}', {id} FROM added;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Make the tables and the triggers."""
    _make_tables()
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    for kind, (table, identifier) in QUEUED.items():
        op.execute(QUEUE.replace("{kind}", kind).replace("{id}", identifier).replace("{path}", f"{schema}, pg_temp"))
        op.execute(f"REVOKE ALL ON FUNCTION sceau_queue_{kind}() FROM PUBLIC")
        op.execute(
            f"CREATE TRIGGER queue_for_proof AFTER INSERT ON {table} REFERENCING NEW TABLE AS added "
            f"FOR EACH STATEMENT EXECUTE FUNCTION sceau_queue_{kind}()"
        )
    backfill = sa.table("proof_backfill", sa.column("kind"))
    op.bulk_insert(backfill, [{"kind": kind} for kind in QUEUED])
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
        )


def _make_tables() -> None:
    """As app/proof/tables.py and app/keyring/tables.py declare them."""
    op.create_table(
        "proof_queue",
        sa.Column("n", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("queued_at", INSTANT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_proof_queue")),
    )
    op.create_table(
        "proof_backfill",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("after", sa.Text()),
        sa.Column("is_done", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_proof_backfill")),
    )
    op.create_table(
        "proof_entry",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(entry) <= 65535", name=op.f("ck_proof_entry_length")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_proof_entry_position")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_proof_entry")),
        sa.UniqueConstraint("kind", "id", name=op.f("uq_proof_entry_kind_id")),
    )
    op.create_table(
        "proof_opening",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(salt) = 32", name=op.f("ck_proof_opening_salt")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_proof_opening")),
    )
    op.create_table(
        "proof_tile",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_proof_tile")),
    )
    op.create_table(
        "proof_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signed_at", INSTANT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_proof_checkpoint")),
    )
    op.create_table(
        "proof_statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("kind IN ('key', 'settings')", name=op.f("ck_proof_statement_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof_statement")),
    )
    for table in ("proof_key", "receipt_key"):
        op.create_table(
            table,
            sa.Column("id", sa.Uuid(), nullable=False),
            sa.Column("public_key", sa.LargeBinary(), nullable=False),
            sa.Column("master_key_id", sa.Text(), nullable=False),
            sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
            sa.Column("created_at", INSTANT, nullable=False),
            sa.Column("retires_at", INSTANT),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        )


def downgrade() -> None:
    """Remove the triggers, their functions and the tables."""
    for table, _ in QUEUED.values():
        if table != "proof_statement":
            op.execute(f"DROP TRIGGER queue_for_proof ON {table}")
    for table in (
        "receipt_key",
        "proof_key",
        "proof_statement",
        "proof_checkpoint",
        "proof_tile",
        "proof_opening",
        "proof_entry",
        "proof_backfill",
        "proof_queue",
    ):
        op.drop_table(table)
    for kind in QUEUED:
        op.execute(f"DROP FUNCTION sceau_queue_{kind}()")
