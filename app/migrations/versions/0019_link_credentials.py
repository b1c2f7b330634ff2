"""Which key each link to the consent page was made with, so that a key that is revoked asks nobody any more.

The column is nullable and has no default: nothing is rewritten, and code of before writes links as it did.

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("consent_link", sa.Column("credential", sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("consent_link", "credential")
