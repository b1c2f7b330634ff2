"""Replicas: which processes hold facts in memory, and how far each has applied changes.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

from app.db.types import Snapshot

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "replica",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("beat", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("applied", Snapshot(), nullable=True),
        sa.Column("lease_ms", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replica")),
    )


def downgrade() -> None:
    """Drop the table: replicas then read the primary for every decision."""
    op.drop_table("replica")
