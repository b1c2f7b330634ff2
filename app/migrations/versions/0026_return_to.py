"""Where each link to the consent page lets people go back to, and the two links of a joint consent.

The columns are nullable and have no default: nothing is rewritten, and code of before writes links as it did. It does not
know the kind `joint`: of such a link its page is an error. Going back removes those links; what was decided by them stays.

Revision: 0026, after 0025.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

SIDES = "given_by IN ('self', 'holder_of_parental_responsibility')"
JOINT = "(kind = 'joint') = (given_by IS NOT NULL)"


def upgrade() -> None:
    """Add the columns, and the kind."""
    op.add_column("consent_link", sa.Column("return_to", sa.Text(), nullable=True))
    op.add_column("consent_link", sa.Column("given_by", sa.Text(), nullable=True))
    _kinds("'decide', 'withdraw', 'joint'")
    op.create_check_constraint(op.f("ck_consent_link_given_by"), "consent_link", SIDES)
    op.create_check_constraint(op.f("ck_consent_link_joint_has_a_side"), "consent_link", JOINT)


def downgrade() -> None:
    """Remove joint links, the kind, and the columns."""
    op.execute("DELETE FROM consent_link WHERE kind = 'joint'")
    op.drop_constraint(op.f("ck_consent_link_joint_has_a_side"), "consent_link")
    op.drop_constraint(op.f("ck_consent_link_given_by"), "consent_link")
    _kinds("'decide', 'withdraw'")
    op.drop_column("consent_link", "given_by")
    op.drop_column("consent_link", "return_to")


def _kinds(words: str) -> None:
    op.drop_constraint(op.f("ck_consent_link_kind"), "consent_link")
    op.create_check_constraint(op.f("ck_consent_link_kind"), "consent_link", f"kind IN ({words})")
