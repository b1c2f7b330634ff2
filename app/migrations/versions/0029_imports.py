"""Which imports there were, and which of their rows were recorded.

Two new tables: code of before does not know them.

Revision: 0029, after 0028.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "import_source",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("made_by", sa.Uuid, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("grants", sa.BigInteger, nullable=False),
        sa.Column("approved_by", sa.Uuid),
        sa.Column("approved_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_import_source"),
    )
    op.create_table(
        "import_row",
        sa.Column("row_hash", sa.LargeBinary, nullable=False),
        sa.Column("content_hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("row_hash", name="pk_import_row"),
    )


def downgrade() -> None:
    """Remove them: what was imported stays, and would be recorded again if it were sent again."""
    op.drop_table("import_row")
    op.drop_table("import_source")
