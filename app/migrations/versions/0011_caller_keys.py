"""Callers may be persons, hold several keys, and be known by access tokens; when a credential was last used.

Keys move from `caller` to `caller_key`. Code of the revision before goes on with the keys that it knows: they stay in
`caller` as long as they are good without end, and a key that it makes is copied by a trigger. A key made, rotated or
limited by newer code is unknown to it: it refuses what it cannot judge.

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
FUNCTION = """
CREATE FUNCTION sceau_keep_caller_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO caller_key (id, caller, key_sha256, created_at, created_by)
        VALUES (gen_random_uuid(), NEW.id, NEW.key_sha256, NEW.created_at, NEW.created_by);
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER caller_key_of_older_code AFTER INSERT ON caller
FOR EACH ROW WHEN (NEW.key_sha256 IS NOT NULL) EXECUTE FUNCTION sceau_keep_caller_key()
"""
MOVE = """
INSERT INTO caller_key (id, caller, key_sha256, created_at, created_by)
SELECT gen_random_uuid(), id, key_sha256, created_at, created_by FROM caller
"""
# A caller without a key that is good without end gets one that nobody has: the hash of random bytes.
MOVE_BACK = """
UPDATE caller SET key_sha256 = coalesce(
    (SELECT k.key_sha256 FROM caller_key AS k
     WHERE k.caller = caller.id AND k.revoked_at IS NULL AND k.expires_at IS NULL ORDER BY k.created_at DESC LIMIT 1),
    sha256(uuid_send(gen_random_uuid())))
WHERE key_sha256 IS NULL
"""


def upgrade() -> None:
    """Add columns with defaults, make two tables, and copy one row for each caller: there are few."""
    op.add_column("caller", sa.Column("kind", sa.Text(), server_default=sa.text("'machine'"), nullable=False))
    op.add_column("caller", sa.Column("issuer", sa.Text(), nullable=True))
    op.add_column("caller", sa.Column("token_subject", sa.Text(), nullable=True))
    op.add_column("caller", sa.Column("token_client", sa.Text(), nullable=True))
    op.alter_column("caller", "key_sha256", nullable=True)
    op.create_check_constraint(op.f("ck_caller_kind"), "caller", "kind IN ('machine', 'person')")
    op.create_check_constraint(
        op.f("ck_caller_identity"),
        "caller",
        "(issuer IS NULL) = (token_subject IS NULL) AND (token_client IS NULL OR issuer IS NOT NULL)",
    )
    op.create_index(
        "uq_caller_identity",
        "caller",
        ["issuer", "token_subject"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    create_tables()
    op.add_column("dashboard_session", sa.Column("credential", sa.Uuid(), nullable=True))
    op.add_column("dashboard_session", sa.Column("ends_at", INSTANT, nullable=True))
    op.execute(MOVE)
    op.execute(FUNCTION)
    op.execute(TRIGGER)


def create_tables() -> None:
    """The tables as app/auth/tables.py declares them."""
    op.create_table(
        "caller_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("octet_length(key_sha256) = 32", name=op.f("ck_caller_key_key_length")),
        sa.ForeignKeyConstraint(
            ["caller"], ["caller.id"], name=op.f("fk_caller_key_caller_caller"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller_key")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_caller_key_key_sha256")),
    )
    op.create_index(op.f("ix_caller_key_caller"), "caller_key", ["caller"])
    op.create_table(
        "credential_use",
        sa.Column("credential", sa.Uuid(), nullable=False),
        sa.Column("used_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_credential_use")),
    )


def downgrade() -> None:
    """Give each caller one key back: its newest that is good without end. Callers known by tokens are locked out."""
    op.execute("DROP TRIGGER caller_key_of_older_code ON caller")
    op.execute("DROP FUNCTION sceau_keep_caller_key()")
    op.execute(MOVE_BACK)
    op.drop_column("dashboard_session", "ends_at")
    op.drop_column("dashboard_session", "credential")
    op.drop_table("credential_use")
    op.drop_table("caller_key")
    op.drop_index("uq_caller_identity", table_name="caller")
    op.drop_constraint(op.f("ck_caller_identity"), "caller", type_="check")
    op.drop_constraint(op.f("ck_caller_kind"), "caller", type_="check")
    op.alter_column("caller", "key_sha256", nullable=False)
    for column in ("token_client", "token_subject", "issuer", "kind"):
        op.drop_column("caller", column)
