"""Every note of the journal has an id in the database, and waits there until it is in the journal.

Revision: 0041, after 0040.
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the indexes by which the latest notes, and those that wait, are found."""
    op.create_table(
        "journal_note",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=True),
        sa.Column("put_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_note")),
    )
    op.create_index("ix_journal_note_number", "journal_note", ["number"])
    op.create_index("ix_journal_note_waiting", "journal_note", ["number"], postgresql_where=sa.text("line IS NOT NULL"))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("journal_note")
