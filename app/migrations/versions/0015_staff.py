"""Staff under L32-3 V: notices, members, their names, their acknowledgements.

New tables; one of them refers to `caller`, which is locked for it (SHARE ROW EXCLUSIVE): whoever makes, changes or
revokes a caller waits until the migration ends, and whoever only reads one does not.

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
APPEND_ONLY = ("staff_notice", "staff_acknowledgement")


def upgrade() -> None:
    """Create the tables, and the triggers that keep two of them append-only."""
    op.create_table(
        "staff_notice",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("title", postgresql.JSONB(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_staff_notice_number")),
        sa.CheckConstraint("title ? 'fr' AND body ? 'fr'", name=op.f("ck_staff_notice_in_french")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_staff_notice")),
    )
    op.create_table(
        "staff_member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=True),
        sa.Column("registered_at", INSTANT, nullable=False),
        sa.Column("registered_by", sa.Uuid(), nullable=True),
        sa.Column("left_at", INSTANT, nullable=True),
        sa.CheckConstraint("caller = id", name=op.f("ck_staff_member_caller_is_its_id")),
        sa.ForeignKeyConstraint(
            ["caller"], ["caller.id"], name=op.f("fk_staff_member_caller_caller"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_member")),
    )
    op.create_table(
        "staff_name",
        sa.Column("member", sa.Uuid(), nullable=False),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member"], ["staff_member.id"], name=op.f("fk_staff_name_member_staff_member"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_staff_name")),
    )
    create_acknowledgements()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
        )


def create_acknowledgements() -> None:
    """The table as app/staff/tables.py declares it."""
    table = "staff_acknowledgement"
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member", sa.Uuid(), nullable=False),
        sa.Column("notice", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint("octet_length(text_sha256) = 32", name=op.f(f"ck_{table}_text_length")),
        sa.CheckConstraint("way IN ('page', 'api', 'paper')", name=op.f(f"ck_{table}_way")),
        sa.CheckConstraint("acknowledged_at <= recorded_at", name=op.f(f"ck_{table}_not_ahead")),
        sa.ForeignKeyConstraint(
            ["member"], ["staff_member.id"], name=op.f(f"fk_{table}_member_staff_member"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["notice"], ["staff_notice.number"], name=op.f(f"fk_{table}_notice_staff_notice"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("member", "notice", name=op.f(f"uq_{table}_member_notice")),
    )


def downgrade() -> None:
    """Drop the tables, with what they prove."""
    for table in ("staff_acknowledgement", "staff_name", "staff_member", "staff_notice"):
        op.drop_table(table)
