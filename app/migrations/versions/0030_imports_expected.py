"""How many grants an import is to hold: an approval is for so many, and no more.

Revision: 0030, after 0029.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; imports of before were approved for none."""
    op.add_column("import_source", sa.Column("expected", sa.BigInteger, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("import_source", "expected")
