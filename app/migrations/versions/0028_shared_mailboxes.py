"""Which mailboxes several people share: every one of them must consent.

A new table: code of before does not know it, and answers as it did.

Revision: 0028, after 0027.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and its indexes."""
    op.create_table(
        "shared_mailbox",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("subject_ref", sa.LargeBinary, nullable=False),
        sa.Column("holders", ARRAY(sa.LargeBinary), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stated_by", sa.Uuid, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_shared_mailbox"),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name="fk_shared_mailbox_subject_ref_subject",
            ondelete="RESTRICT",
        ),
    )
    live = sa.text("ended_at IS NULL")
    op.create_index("uq_shared_mailbox_live", "shared_mailbox", ["subject_ref"], unique=True, postgresql_where=live)
    op.create_index("ix_shared_mailbox_subject_ref", "shared_mailbox", ["subject_ref"])
    op.create_index("ix_shared_mailbox_holders", "shared_mailbox", ["holders"], postgresql_using="gin")


def downgrade() -> None:
    """Remove it: shared mailboxes are taken for one person's, so suspend what rests on consent first."""
    op.drop_table("shared_mailbox")
