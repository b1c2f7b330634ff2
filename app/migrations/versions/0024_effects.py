"""What receivers owe after a consent ended, and who said that it was done.

Two new tables; nothing of today's rows changes, and code of before works beside them: what it dispatches meanwhile is
written down when it is acknowledged. Going back forgets what was acknowledged.

Revision: 0024, after 0023.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "effect_owed",
        sa.Column("event", sa.Uuid(), nullable=False),
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("consent", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("stopped_at", INSTANT, nullable=True),
        sa.Column("erased_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_effect_owed")),
    )
    op.create_index(
        "ix_effect_owed_open",
        "effect_owed",
        ["processing"],
        postgresql_where=sa.text("stopped_at IS NULL OR erased_at IS NULL"),
    )
    op.create_table(
        "effect_acknowledged",
        sa.Column("event", sa.Uuid(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("effect IN ('stopped', 'derived_data_erased')", name=op.f("ck_effect_acknowledged_effect")),
        sa.CheckConstraint("number >= 0", name=op.f("ck_effect_acknowledged_number")),
        sa.ForeignKeyConstraint(
            ["event"],
            ["effect_owed.event"],
            name=op.f("fk_effect_acknowledged_event_effect_owed"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("event", "effect", "caller", name=op.f("pk_effect_acknowledged")),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON effect_acknowledged "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("effect_acknowledged")
    op.drop_table("effect_owed")
