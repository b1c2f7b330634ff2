"""A day of a task counts the deliveries that it dropped undelivered. A default that is a constant rewrites no row.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column."""
    op.add_column("job_run", sa.Column("lost", sa.BigInteger(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("job_run", "lost")
