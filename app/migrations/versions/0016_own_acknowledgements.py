"""What a person acknowledged themselves stands beside what was recorded for them on paper, of one version too.

Paper was the first to be recorded for some who had access, and what they acknowledged later was lost. One small table
is locked for a moment; code of before writes to it as it did.

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLE = "staff_acknowledgement"
UNIQUE = f"uq_{TABLE}_member_notice"
INDEXES = {f"uq_{TABLE}_own": "way <> 'paper'", f"uq_{TABLE}_paper": "way = 'paper'"}


def upgrade() -> None:
    """One of each kind for a member and a version, in the place of one."""
    for name, kind in INDEXES.items():
        op.create_index(name, TABLE, ["member", "notice"], unique=True, postgresql_where=sa.text(kind))
    op.drop_constraint(UNIQUE, TABLE, type_="unique")


def downgrade() -> None:
    """One for a member and a version: the first, as code of before would have kept. The other is destroyed."""
    op.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER append_only")
    op.execute(
        "DELETE FROM staff_acknowledgement later USING staff_acknowledgement first WHERE first.member = later.member"
        " AND first.notice = later.notice AND (first.recorded_at, first.id) < (later.recorded_at, later.id)"
    )
    op.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER append_only")
    op.create_unique_constraint(UNIQUE, TABLE, ["member", "notice"])
    for name in INDEXES:
        op.drop_index(name, table_name=TABLE)
