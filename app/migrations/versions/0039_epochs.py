"""A database has an epoch: one that was restored, and with which somebody has dealt, begins another.

Revision: 0039, after 0038.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, without a row: every database begins with the first epoch."""
    op.create_table(
        "deployment_epoch",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replayed", sa.Integer(), nullable=True),
        sa.Column("by_hand", sa.Integer(), nullable=True),
        sa.Column("lost", sa.Text(), nullable=False),
        sa.Column("accepted_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("number > 1", name=op.f("ck_deployment_epoch_later")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deployment_epoch")),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("deployment_epoch")
