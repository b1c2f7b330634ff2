"""A caller known by tokens is found by a keyed reference of its identity, so that no subject of a token is asked for.

The rows concerned are those of callers known by tokens, which no code made before this revision.

Revision: 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

IDENTITY = (
    "(issuer IS NULL) = (token_subject IS NULL) AND (issuer IS NULL) = (identity_ref IS NULL)"
    " AND (token_client IS NULL OR issuer IS NOT NULL)"
)
BEFORE = "(issuer IS NULL) = (token_subject IS NULL) AND (token_client IS NULL OR issuer IS NOT NULL)"


def upgrade() -> None:
    """Add a column, and let it be what is unique."""
    op.add_column("caller", sa.Column("identity_ref", sa.LargeBinary(), nullable=True))
    op.drop_index("uq_caller_identity", table_name="caller")
    op.drop_constraint(op.f("ck_caller_identity"), "caller", type_="check")
    op.create_check_constraint(op.f("ck_caller_identity"), "caller", IDENTITY)
    op.create_check_constraint(op.f("ck_caller_identity_length"), "caller", "octet_length(identity_ref) = 32")
    op.create_index(
        "uq_caller_identity", "caller", ["identity_ref"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )


def downgrade() -> None:
    """Go back to the names themselves."""
    op.drop_index("uq_caller_identity", table_name="caller")
    op.drop_constraint(op.f("ck_caller_identity_length"), "caller", type_="check")
    op.drop_constraint(op.f("ck_caller_identity"), "caller", type_="check")
    op.create_check_constraint(op.f("ck_caller_identity"), "caller", BEFORE)
    op.create_index(
        "uq_caller_identity",
        "caller",
        ["issuer", "token_subject"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.drop_column("caller", "identity_ref")
