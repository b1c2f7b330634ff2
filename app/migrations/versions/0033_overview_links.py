"""Links of the kind `overview`: a page about everything that is held about a person; they name no processing.

Code of before does not know the kind: of such a link its page is an error. Going back removes those links, which record
nothing.

Revision: 0033, after 0032.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

BEFORE = {
    "kind": "kind IN ('decide', 'withdraw', 'joint')",
    "some_processing": "cardinality(processings) >= 1",
}
SINCE = {
    "kind": "kind IN ('decide', 'withdraw', 'joint', 'overview')",
    "some_processing": "(cardinality(processings) = 0) = (kind = 'overview')",
}


def upgrade() -> None:
    """Allow the kind, and no processing in links of it."""
    _constrain(SINCE)


def downgrade() -> None:
    """Remove links of the kind, and the kind."""
    op.execute("DELETE FROM consent_link WHERE kind = 'overview'")
    _constrain(BEFORE)


def _constrain(conditions: dict[str, str]) -> None:
    for name, condition in conditions.items():
        op.drop_constraint(op.f(f"ck_consent_link_{name}"), "consent_link")
        op.create_check_constraint(op.f(f"ck_consent_link_{name}"), "consent_link", condition)
