"""What others say of the proof log's checkpoints: time-stamps of authorities, and cosignatures of witnesses.

A new table, whose rows are entered in the log by a trigger; nothing that is there is touched. Code of before leaves
it empty.

Going back drops what was kept. Stamps and cosignatures in bundles that were given out can still be checked; the entries
that state them stay in the log, and their bodies are gone, which a bundle of code that knows them says.

Revision: 0035, after 0034.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

QUEUE = """
CREATE FUNCTION sceau_queue_anchor() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
BEGIN
    INSERT INTO proof_queue (kind, id) SELECT 'anchor', id::text FROM added;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Make the table and its triggers."""
    op.create_table(
        "proof_anchor",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("told_at", INSTANT, nullable=False),
        sa.Column("kept_at", INSTANT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("way IN ('stamp', 'cosignature')", name=op.f("ck_proof_anchor_way")),
        sa.CheckConstraint("(way = 'stamp') = (witness = '')", name=op.f("ck_proof_anchor_witness")),
        sa.CheckConstraint("octet_length(content) BETWEEN 1 AND 65536", name=op.f("ck_proof_anchor_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof_anchor")),
        # An anchor of a checkpoint that there is not would say that the log is anchored, and have nothing stamped again.
        sa.ForeignKeyConstraint(
            ["size"], ["proof_checkpoint.size"], name=op.f("fk_proof_anchor_size_proof_checkpoint"), ondelete="RESTRICT"
        ),
        sa.UniqueConstraint("size", "witness", name=op.f("uq_proof_anchor_size_witness")),
    )
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(QUEUE.replace("{path}", f"{schema}, pg_temp"))
    op.execute("REVOKE ALL ON FUNCTION sceau_queue_anchor() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER queue_for_proof AFTER INSERT ON proof_anchor REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_queue_anchor()"
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON proof_anchor "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
    )
    # It has no rows of before; the mark is what `store.kinds_behind` reads.
    op.execute("INSERT INTO proof_backfill (kind, is_done) VALUES ('anchor', true)")


def downgrade() -> None:
    """Remove them, and what waits to be entered: nothing could make an entry of it."""
    op.drop_table("proof_anchor")
    op.execute("DROP FUNCTION sceau_queue_anchor()")
    op.execute("DELETE FROM proof_queue WHERE kind = 'anchor'")
    op.execute("DELETE FROM proof_backfill WHERE kind = 'anchor'")
