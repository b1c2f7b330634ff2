"""Where each link to the consent page lets people go back to.

The column is nullable and has no default: nothing is rewritten, and code of before writes links as it did.

Revision: 0026, after 0024.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("consent_link", sa.Column("return_to", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("consent_link", "return_to")
