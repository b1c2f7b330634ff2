"""Notes for the journal are committed with what they are about, and wait here until they are in it.

Revision: 0041, after 0040.
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "journal_outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("put_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_outbox")),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("journal_outbox")
