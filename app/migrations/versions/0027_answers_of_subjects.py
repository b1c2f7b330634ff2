"""Whom each kept answer to an Idempotency-Key is about, so that an erasure forgets it.

The column is nullable and has no default: nothing is rewritten, and code of before keeps answers as it did. Those are
forgotten after a day, as all are.

Revision: 0027, after 0026.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index: the table holds a day's answers."""
    op.add_column("idempotency", sa.Column("subject_refs", ARRAY(sa.LargeBinary()), nullable=True))
    op.create_index("ix_idempotency_subject_refs", "idempotency", ["subject_refs"], postgresql_using="gin")


def downgrade() -> None:
    """Remove both."""
    op.drop_index("ix_idempotency_subject_refs", "idempotency")
    op.drop_column("idempotency", "subject_refs")
