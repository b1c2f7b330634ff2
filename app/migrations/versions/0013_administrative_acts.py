"""The trail of administrative acts: append-only, like the ledger. A new table: nothing that exists is locked.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLE = "administrative_act"


def upgrade() -> None:
    """Create the table, its indexes, and the trigger that keeps it append-only."""
    op.create_table(
        TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("thing", sa.Text(), nullable=True),
        sa.Column("thing_id", sa.Text(), nullable=True),
        sa.Column("subject_ref", sa.LargeBinary(), nullable=True),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("once", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "(thing IS NULL) = (thing_id IS NULL)", name=op.f("ck_administrative_act_thing_with_its_id")
        ),
        sa.CheckConstraint("octet_length(subject_ref) = 32", name=op.f("ck_administrative_act_ref_length")),
        sa.CheckConstraint("octet_length(once) = 32", name=op.f("ck_administrative_act_once_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_administrative_act")),
        sa.UniqueConstraint("once", name=op.f("uq_administrative_act_once")),
    )
    op.create_index("ix_administrative_act_caller_id", TABLE, ["caller", "id"])
    op.create_index("ix_administrative_act_thing_thing_id_id", TABLE, ["thing", "thing_id", "id"])
    op.create_index("ix_administrative_act_subject_ref_id", TABLE, ["subject_ref", "id"])
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
    )


def downgrade() -> None:
    """Drop the table, with what it tells."""
    for index in ("subject_ref_id", "thing_thing_id_id", "caller_id"):
        op.drop_index(f"ix_{TABLE}_{index}", table_name=TABLE)
    op.drop_table(TABLE)
