"""Invalidations of versions and texts: in force, waiting for a second person, rejected; and who was told of.

New tables. On `renewal_flag` a CHECK takes one more word: it is added without a scan (NOT VALID) and validated
afterwards, which lets writers go on. Code of before knows nothing of invalidations and goes on permitting: invalidate
once every process runs this code.

Going back drops the tables: what was invalidated permits again. Flags that tell of it stay.

Revision: 0036, after 0035.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
APPEND_ONLY = ("processing_invalidation", "invalidation_proposal", "invalidation_rejection", "invalidation_told")
OLD_KINDS = "kind IN ('due', 'expired', 'superseded', 'closed')"
NEW_KINDS = f"{OLD_KINDS[:-1]}, 'invalidated')"
QUEUE = """
CREATE FUNCTION sceau_queue_invalidation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
BEGIN
    INSERT INTO proof_queue (kind, id) SELECT 'invalidation', processing || '/' || number FROM added;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Make the tables, their triggers and the word."""
    _make(
        "processing_invalidation",
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("approved_by", sa.Uuid()),
        sa.Column("approval_reason", sa.Text()),
        sa.UniqueConstraint("processing", "version", name=op.f("uq_processing_invalidation_processing_version")),
        sa.UniqueConstraint(
            "processing", "text_sha256", name=op.f("uq_processing_invalidation_processing_text_sha256")
        ),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approval_reason IS NULL)", name=op.f("ck_processing_invalidation_approved")
        ),
    )
    _make("invalidation_proposal")
    _follow(
        "invalidation_rejection",
        "invalidation_proposal",
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("rejected_by", sa.Uuid(), nullable=False),
    )
    _follow("invalidation_told", "processing_invalidation", sa.Column("told_at", INSTANT, nullable=False))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
        )
    for table in ("processing_invalidation", "invalidation_proposal"):
        op.execute(
            f"CREATE TRIGGER not_ahead BEFORE INSERT ON {table} FOR EACH ROW "
            "WHEN (NEW.recorded_at > clock_timestamp()) EXECUTE FUNCTION sceau_refuse_ahead()"
        )
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(QUEUE.replace("{path}", f"{schema}, pg_temp"))
    op.execute("REVOKE ALL ON FUNCTION sceau_queue_invalidation() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER queue_for_proof AFTER INSERT ON processing_invalidation REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_queue_invalidation()"
    )
    op.execute("INSERT INTO proof_backfill (kind) VALUES ('invalidation')")
    _check_kinds(NEW_KINDS)
    op.execute("ALTER TABLE renewal_flag VALIDATE CONSTRAINT ck_renewal_flag_kind")


def downgrade() -> None:
    """Take them away again; flags of the new word stay."""
    _check_kinds(OLD_KINDS)
    op.execute("DELETE FROM proof_backfill WHERE kind = 'invalidation'")
    for table in ("invalidation_told", "invalidation_rejection", "invalidation_proposal", "processing_invalidation"):
        op.drop_table(table)
    op.execute("DROP FUNCTION sceau_queue_invalidation()")


def _check_kinds(condition: str) -> None:
    op.execute("ALTER TABLE renewal_flag DROP CONSTRAINT ck_renewal_flag_kind")
    op.execute(f"ALTER TABLE renewal_flag ADD CONSTRAINT ck_renewal_flag_kind CHECK ({condition}) NOT VALID")


def _make(table: str, *more: sa.schema.SchemaItem) -> None:
    """What is invalidated, as app/register/invalidation_tables.py declares it."""
    op.create_table(
        table,
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("text_sha256", sa.LargeBinary()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("processing", "number", name=op.f(f"pk_{table}")),
        sa.CheckConstraint("number >= 1", name=op.f(f"ck_{table}_number")),
        sa.CheckConstraint("(version IS NULL) <> (text_sha256 IS NULL)", name=op.f(f"ck_{table}_one_thing")),
        sa.CheckConstraint("octet_length(text_sha256) = 32", name=op.f(f"ck_{table}_text_length")),
        sa.ForeignKeyConstraint(
            ["processing"], ["processing.id"], ondelete="RESTRICT", name=op.f(f"fk_{table}_processing_processing")
        ),
        sa.ForeignKeyConstraint(
            ["processing", "version"],
            ["processing_version.processing", "processing_version.number"],
            ondelete="RESTRICT",
            name=op.f(f"fk_{table}_processing_version_processing_version"),
        ),
        *more,
    )


def _follow(table: str, parent: str, *more: sa.schema.SchemaItem) -> None:
    """A table of what followed upon rows of another."""
    op.create_table(
        table,
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("processing", "number", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["processing", "number"],
            [f"{parent}.processing", f"{parent}.number"],
            ondelete="RESTRICT",
            name=op.f(f"fk_{table}_processing_number_{parent}"),
        ),
    )
