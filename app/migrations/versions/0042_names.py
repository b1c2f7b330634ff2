"""Temporary: several names lead to one person.

Revision: 0042, after 0041.
"""

import importlib

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.drop_table("subject_alias")
    op.drop_table("shared_mailbox")
    op.execute("ALTER TABLE subject DROP COLUMN type")
    op.execute("ALTER TABLE subject ADD COLUMN shared boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE subject_locator ADD COLUMN name uuid NOT NULL")
    op.execute("ALTER TABLE subject_vault DROP CONSTRAINT pk_subject_vault")
    op.execute(
        "ALTER TABLE subject_vault ADD COLUMN name uuid NOT NULL, ADD COLUMN type text NOT NULL, ADD COLUMN basis text, ADD COLUMN stated_by uuid"
    )
    op.execute("ALTER TABLE subject_vault ADD CONSTRAINT pk_subject_vault PRIMARY KEY (subject_ref, name)")
    op.execute(
        "ALTER TABLE subject_vault ADD CONSTRAINT ck_subject_vault_basis CHECK (basis IN ('provider_account', 'user_proved')), ADD CONSTRAINT ck_subject_vault_stated CHECK ((basis IS NULL) = (stated_by IS NULL))"
    )
    op.execute("ALTER TABLE consent_link ADD COLUMN name uuid NOT NULL")
    retain = importlib.import_module("app.migrations.versions.0034_retention").RETAIN
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    a, b = retain.index("    PERFORM FROM subject_locator"), retain.index("    PERFORM FROM subject WHERE")
    retain = retain[:a] + retain[b:]
    a, b = retain.index("        -- What these say is compared"), retain.index("    SELECT count(*) FILTER")
    retain = (
        retain[:a]
        + """        -- That it is shared, or which names are one person's, is still to be known.
        OR EXISTS (SELECT FROM subject_locator AS live WHERE live.subject_ref = one.subject_ref AND live.ended_at IS NULL
            AND (EXISTS (SELECT FROM subject WHERE subject.subject_ref = one.subject_ref AND shared)
                OR EXISTS (SELECT FROM subject_vault AS name
                    WHERE name.subject_ref = one.subject_ref AND name.basis IS NOT NULL)));
"""
        + retain[b:]
    )
    op.execute(retain.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace("{path}", f"{schema}, pg_temp"))


def downgrade() -> None:
    """Not done."""
