"""Accounts that are one person's, as the operator states it, and how often a person was asked to renew a consent.

Two new tables; nothing of today's rows changes, and code of before works beside them: a withdrawal that it records does
not follow to the person's other names, and links that it makes are not counted. Going back forgets both.

Revision: 0023, after 0022.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "subject_alias",
        sa.Column("first_ref", sa.LargeBinary(), nullable=False),
        sa.Column("second_ref", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("stated_at", INSTANT, nullable=False),
        sa.Column("stated_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint("basis IN ('provider_account', 'user_proved')", name=op.f("ck_subject_alias_basis")),
        sa.CheckConstraint("first_ref < second_ref", name=op.f("ck_subject_alias_ordered")),
        *(
            sa.ForeignKeyConstraint(
                [column],
                ["subject.subject_ref"],
                name=op.f(f"fk_subject_alias_{column}_subject"),
                ondelete="RESTRICT",
            )
            for column in ("first_ref", "second_ref")
        ),
        sa.PrimaryKeyConstraint("first_ref", "second_ref", name=op.f("pk_subject_alias")),
    )
    op.create_index("ix_subject_alias_second_ref", "subject_alias", ["second_ref"])
    op.create_table(
        "solicitation",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("consent", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("asked", sa.SmallInteger(), nullable=False),
        sa.Column("last_asked_at", INSTANT, nullable=False),
        sa.CheckConstraint("asked >= 1", name=op.f("ck_solicitation_asked")),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_solicitation_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("subject_ref", "consent", "version", name=op.f("pk_solicitation")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("solicitation")
    op.drop_table("subject_alias")
