"""Who a subject is: a random subject_ref behind a locator, instead of a pseudonym that anybody with the key can make.

Until now `subject_ref` was a keyed hash of the id, in append-only keys: the key could never rotate, an erased person was
found again by the same id, and the next holder of an address inherited its history. Every account now gets a random
subject_ref; what it had becomes its locator, in a row that a closure ends and an erasure deletes. A ledger that holds
closures is split at them. Of persons who were erased no row is made: nothing leads to their past any more.

This rewrites every table that holds a subject_ref, the decision log included, with the service stopped: about a minute
for each million consents. Nothing had been released when it was written, so there is no live way.

Going back gives every account that has a row its locator as subject_ref again, and joins the accounts of one id; who was
erased, or is found by an id that is not ASCII, stays under the random one and is not found by the code of before.

Revision: 0021, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

HELD_BY = ("subject", "outbox", "webhook_delivery")
RANDOM = "sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))"
GUARDED = ("subject", "consent_event", "administrative_act")

# A closure of the account (not of one processing) ends an account; `erased` stands right after the closure of its own.
ACCOUNTS = f"""
CREATE TEMP TABLE closing ON COMMIT DROP AS
    SELECT subject_ref, seq, collected_at, recorded_at FROM consent_event WHERE kind = 'closed' AND processing IS NULL;
CREATE INDEX ON closing (subject_ref);
ANALYZE closing;
CREATE TEMP TABLE placed ON COMMIT DROP AS
    SELECT e.subject_ref AS old, e.seq, e.id, e.kind, greatest(0, (
        SELECT count(*) FROM closing AS c
        WHERE c.subject_ref = e.subject_ref AND (c.collected_at, c.seq) < (e.collected_at, e.seq)
    ) - CASE WHEN e.kind = 'erased' THEN 1 ELSE 0 END)::int AS number FROM consent_event AS e;
CREATE INDEX ON placed (id);
CREATE INDEX ON placed (old, seq);
ANALYZE placed;
CREATE TEMP TABLE account ON COMMIT DROP AS
    SELECT s.subject_ref AS old, s.type, s.created_at, n.number, {RANDOM} AS ref,
        (SELECT recorded_at FROM closing AS c WHERE c.subject_ref = s.subject_ref
            ORDER BY c.collected_at, c.seq OFFSET n.number LIMIT 1) AS ended_at,
        n.number <= coalesce((SELECT max(number) FROM placed AS p WHERE p.old = s.subject_ref AND kind = 'erased'), -1)
            AS erased
    FROM subject AS s, LATERAL generate_series(0, CASE
        WHEN EXISTS (SELECT FROM closing AS c WHERE c.subject_ref = s.subject_ref)
        THEN (SELECT max(number) FROM placed AS p WHERE p.old = s.subject_ref) ELSE 0 END) AS n (number);
CREATE UNIQUE INDEX ON account (old, number);
ALTER TABLE account ADD COLUMN began_at timestamptz;
UPDATE account AS a SET began_at = before.ended_at FROM account AS before
    WHERE before.old = a.old AND before.number = a.number - 1;
ANALYZE account;
"""  # noqa: S608
PLACED = "EXISTS (SELECT FROM closing AS c WHERE c.subject_ref = placed.old)"
AT = (
    "(a.began_at IS NULL OR {at} >= a.began_at) AND (a.ended_at IS NULL OR {at} < a.ended_at OR a.number = last.number)"
)
LAST = "(SELECT old, max(number) AS number FROM account GROUP BY old) AS last"
BY_TIME = "UPDATE {table} AS t SET subject_ref = a.ref FROM account AS a JOIN {last} USING (old) WHERE t.subject_ref = a.old AND {at}"
MOVE = (
    "INSERT INTO subject (subject_ref, type, created_at) SELECT ref, type, coalesce(began_at, created_at) FROM account",
    (
        "UPDATE consent_event AS t SET subject_ref = a.ref FROM placed AS p JOIN account AS a USING (old, number)"
        " WHERE t.subject_ref = p.old AND t.seq = p.seq"
    ),
    "UPDATE consent AS t SET subject_ref = a.ref FROM placed AS p JOIN account AS a USING (old, number) WHERE t.id = p.id",
    (
        "UPDATE renewal_flag AS t SET subject_ref = a.ref FROM placed AS p JOIN account AS a USING (old, number)"
        " WHERE t.consent = p.id"
    ),
    (
        "UPDATE webhook_attempt AS t SET subject_ref = a.ref FROM outbox AS o JOIN placed AS p"
        " ON p.id = (o.data->>'consent')::uuid JOIN account AS a USING (old, number) WHERE t.event = o.id"
    ),
    (
        "UPDATE webhook_delivery AS t SET subject_ref = a.ref FROM outbox AS o JOIN placed AS p"
        " ON p.id = (o.data->>'consent')::uuid JOIN account AS a USING (old, number) WHERE t.event = o.id"
    ),
    (
        "UPDATE outbox AS t SET subject_ref = a.ref FROM placed AS p JOIN account AS a USING (old, number)"
        " WHERE p.id = (t.data->>'consent')::uuid"
    ),
    BY_TIME.format(table="consent_link", last=LAST, at=AT.format(at="t.created_at")),
    BY_TIME.format(table="decision_log", last=LAST, at=AT.format(at="t.at")),
    f"UPDATE decision_log SET subject_ref = {RANDOM} WHERE subject_ref NOT IN (SELECT ref FROM account)",  # noqa: S608
    BY_TIME.format(table="administrative_act", last=LAST, at=AT.format(at="t.at")),
    "UPDATE administrative_act SET subject_ref = NULL WHERE subject_ref NOT IN (SELECT ref FROM account)",
    (
        f"UPDATE subject_vault AS t SET subject_ref = a.ref, sealed_for = a.old FROM account AS a JOIN {LAST} USING (old, number)"  # noqa: S608
        " WHERE t.subject_ref = a.old"
    ),
    (
        "INSERT INTO subject_locator (locator, subject_ref, made_by, began_at, ended_at)"
        " SELECT old, ref, 'casefold', coalesce(began_at, created_at), ended_at FROM account WHERE NOT erased"
    ),
    "DELETE FROM subject WHERE subject_ref IN (SELECT old FROM account)",
)

# One row for each account that an id leads to, in their order, with how far its events are moved on.
ACCOUNTS_BACK = """
CREATE TEMP TABLE account ON COMMIT DROP AS
    SELECT located.*, (sum(held.last - held.first + 1) OVER (PARTITION BY locator ORDER BY ended_at NULLS LAST, began_at)
        - held.last)::int AS moved_on
    FROM (SELECT DISTINCT ON (subject_ref) subject_ref AS ref, locator, began_at, ended_at FROM subject_locator
            ORDER BY subject_ref, began_at) AS located,
        LATERAL (SELECT coalesce(min(seq), 1) AS first, coalesce(max(seq), 0) AS last FROM consent_event AS e
            WHERE e.subject_ref = located.ref) AS held;
CREATE UNIQUE INDEX ON account (ref);
ANALYZE account;
"""
OF_TABLE = "UPDATE {table} AS t SET subject_ref = a.locator{more} FROM account AS a WHERE t.subject_ref = a.ref"
MOVE_BACK = (
    (
        "INSERT INTO subject (subject_ref, type, created_at) SELECT a.locator, min(s.type), min(s.created_at)"
        " FROM account AS a JOIN subject AS s ON s.subject_ref = a.ref GROUP BY a.locator"
    ),
    OF_TABLE.format(table="consent_event", more=", seq = t.seq + a.moved_on"),
    OF_TABLE.format(table="consent_link", more=", ledger_order = t.ledger_order + a.moved_on"),
    *(
        OF_TABLE.format(table=table, more="")
        for table in (
            *("consent", "renewal_flag", "webhook_attempt", "webhook_delivery", "outbox"),
            *("decision_log", "administrative_act"),
        )
    ),
    # Of several accounts of one id the last one's sealed id is kept.
    (
        "DELETE FROM subject_vault AS t USING account AS a, account AS later WHERE t.subject_ref = a.ref"
        " AND later.locator = a.locator AND later.began_at > a.began_at"
        " AND EXISTS (SELECT FROM subject_vault AS kept WHERE kept.subject_ref = later.ref)"
    ),
    OF_TABLE.format(table="subject_vault", more=""),
    "DELETE FROM subject_locator",
    "DELETE FROM subject WHERE subject_ref IN (SELECT ref FROM account)",
)


def upgrade() -> None:
    """Make the table of locators, and give every account a random subject_ref."""
    op.create_table(
        "subject_locator",
        sa.Column("locator", sa.LargeBinary(), nullable=False),
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(locator) = 32", name=op.f("ck_subject_locator_locator_length")),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_subject_locator_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("locator", "subject_ref", name=op.f("pk_subject_locator")),
    )
    live = sa.text("ended_at IS NULL")
    op.create_index("uq_subject_locator_live", "subject_locator", ["locator"], unique=True, postgresql_where=live)
    op.create_index("ix_subject_locator_subject_ref", "subject_locator", ["subject_ref"])
    op.add_column("subject_vault", sa.Column("sealed_for", sa.LargeBinary(), nullable=True))
    _move(ACCOUNTS, MOVE)
    op.alter_column("subject_vault", "sealed_for", nullable=False)


def downgrade() -> None:
    """Make the locators subject_refs again."""
    _move(ACCOUNTS_BACK, MOVE_BACK)
    op.drop_column("subject_vault", "sealed_for")
    op.drop_table("subject_locator")


def _move(accounts: str, statements: tuple[str, ...]) -> None:
    """Rewrite subject_refs, with the guards of append-only tables and the foreign keys put aside meanwhile."""
    tables = [*GUARDED, "consent", "consent_link", "subject_vault", "outbox", "webhook_delivery"]
    op.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    for statement in filter(str.strip, accounts.split(";\n")):
        op.execute(statement)
    held = ", ".join(f"'{table}'::regclass" for table in HELD_BY)
    keys = op.get_bind().execute(
        sa.text(
            "SELECT conrelid::regclass::text AS on_table, conname AS name, pg_get_constraintdef(oid) AS definition"  # noqa: S608
            f" FROM pg_constraint WHERE contype = 'f' AND confrelid IN ({held})"
        )
    )
    aside = keys.all()
    for key in aside:
        op.execute(f"ALTER TABLE {key.on_table} DROP CONSTRAINT {key.name}")
    for table in GUARDED:
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    for statement in statements:
        op.execute(statement)
    for table in GUARDED:
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")
    op.execute("DROP TABLE IF EXISTS closing, placed, account")
    for key in aside:
        op.execute(f"ALTER TABLE {key.on_table} ADD CONSTRAINT {key.name} {key.definition}")
