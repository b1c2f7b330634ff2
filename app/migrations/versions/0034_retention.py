"""How long proof is kept: a schedule that the owner signs, holds, and the function that destroys what is past it.

The function takes out whole ledgers, all that one person ever said, with their id and the openings of their entries in
the log, once everything in one is over for as long as the schedule says. The entries themselves stay, and so does every
proof. Until the schedule is signed nothing is ever taken out. The trigger on the ledger refuses every UPDATE and TRUNCATE
as before, and every DELETE but where a setting of the transaction says that the function runs: the owner, who could drop
the trigger, can set that too. The verifier names what is deleted so and is not stated in the log.

On a live service: the trigger is replaced under a lock that writers of the ledger wait for until the migration ends.
Going back puts the trigger back; what was destroyed stays so.

Revision: 0034, after 0033.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
PROPOSED = (
    (
        "consent",
        "proof of consent (GDPR art. 7(1)); five years for actions (Code civil art. 2224)",
        "everything that the person said is over",
        "P5Y",
    ),
    (
        "refusal",
        "proof that a refusal was respected (GDPR art. 5(2))",
        "the person, who only ever refused, did so last",
        "P3Y",
    ),
)
PERIOD = "period ~ '^P([0-9]+Y)?([0-9]+M)?$' AND timestamp '2001-01-01' + period::interval >= '2002-02-01'"
"""Thirteen months at least: a consent of the longest validity is over before what it was compared with is gone."""
STATEMENTS = "kind IN ('key', 'settings', 'decision_batch'{more})"

SIGNED = """
CREATE FUNCTION sceau_tell_retention() RETURNS trigger
LANGUAGE plpgsql SET search_path = {path} AS $$
BEGIN
    PERFORM sceau_record_act('retention.signed', 'command', jsonb_build_object(
        'kind', NEW.kind, 'period_before', OLD.period, 'period', NEW.period, 'signed', NEW.signed_at IS NOT NULL));
    RETURN NULL;
END
$$
"""

RETAIN = """
CREATE FUNCTION sceau_retain(after bytea, most integer,
    OUT last bytea, OUT consents bigint, OUT refusals bigint, OUT events bigint, OUT positions bigint[])
LANGUAGE plpgsql SET search_path = {path} AS $$
DECLARE
    present timestamptz := clock_timestamp();
BEGIN
    -- Who holds something back, or signs another schedule, waits for this to end, and this for them.
    PERFORM pg_advisory_xact_lock_shared(hashtext('sceau retention'));
    SELECT max(page.subject_ref) INTO last FROM (
        SELECT subject_ref FROM subject WHERE subject_ref > after ORDER BY subject_ref LIMIT most
    ) AS page;
    CREATE TEMPORARY TABLE IF NOT EXISTS retained (subject_ref bytea PRIMARY KEY, kind text, period interval)
        ON COMMIT DROP;
    INSERT INTO retained
    SELECT found.subject_ref, found.kind, rule.period::interval FROM (
        SELECT subject_ref, max(recorded_at) AS recorded_at,
            CASE WHEN bool_and(kind = 'refused') THEN 'refusal' ELSE 'consent' END AS kind
        FROM consent_event WHERE subject_ref > after AND subject_ref <= last GROUP BY subject_ref
    ) AS found JOIN retention_rule AS rule ON rule.kind = found.kind
    WHERE rule.signed_at IS NOT NULL AND found.recorded_at + rule.period::interval <= present;
    -- Held as writers hold them: nothing is said by these people meanwhile. What they said until then is looked at now.
    PERFORM FROM subject_locator WHERE subject_ref IN (SELECT subject_ref FROM retained)
        ORDER BY subject_ref, locator FOR UPDATE;
    PERFORM FROM subject WHERE subject_ref IN (SELECT subject_ref FROM retained) ORDER BY subject_ref FOR UPDATE;
    DELETE FROM retained AS one WHERE
        EXISTS (SELECT FROM consent WHERE consent.subject_ref = one.subject_ref
            AND greatest(coalesce(ended_at, expires_at), collected_at) + one.period > present)
        OR EXISTS (SELECT FROM consent_event AS event WHERE event.subject_ref = one.subject_ref
            AND (event.recorded_at + one.period > present
                -- What is not in the log yet would never be entered.
                OR NOT EXISTS (SELECT FROM proof_entry AS entry
                    WHERE entry.kind = 'consent_event' AND entry.id = event.id::text)))
        OR EXISTS (SELECT FROM retention_hold AS hold WHERE hold.released_at IS NULL
            AND (hold.until IS NULL OR hold.until > present)
            AND (hold.subject_ref IS NULL OR hold.subject_ref = one.subject_ref)
            -- What was said about every processing was said about that one.
            AND (hold.processing IS NULL OR EXISTS (SELECT FROM consent_event AS event
                WHERE event.subject_ref = one.subject_ref
                    AND (event.processing IS NULL OR event.processing = hold.processing))))
        -- Somebody who was a child then may be one yet, and consents with a parent only.
        OR EXISTS (SELECT FROM consent_event AS event WHERE event.subject_ref = one.subject_ref
            AND event.capacity->>'age_band' IN ('under_15', 'minor_15_plus')
            AND event.collected_at + interval '18 years' > present)
        OR EXISTS (SELECT FROM consent_link AS link
            WHERE link.subject_ref = one.subject_ref AND link.expires_at > present)
        -- What these say is compared with what others say.
        OR EXISTS (SELECT FROM subject_alias WHERE one.subject_ref IN (first_ref, second_ref))
        OR EXISTS (SELECT FROM shared_mailbox AS mailbox WHERE mailbox.ended_at IS NULL
            AND (mailbox.subject_ref = one.subject_ref OR mailbox.holders @> ARRAY[one.subject_ref]));
    SELECT count(*) FILTER (WHERE kind = 'consent'), count(*) FILTER (WHERE kind = 'refusal')
        INTO consents, refusals FROM retained;
    -- Processes that decide from memory read these people anew.
    INSERT INTO change (kind, ref) SELECT DISTINCT 1, locator FROM subject_locator JOIN retained USING (subject_ref)
        WHERE ended_at IS NULL ON CONFLICT DO NOTHING;
    PERFORM set_config('sceau.retaining', 'on', true);
    DELETE FROM renewal_flag USING retained WHERE renewal_flag.subject_ref = retained.subject_ref;
    DELETE FROM solicitation USING retained WHERE solicitation.subject_ref = retained.subject_ref;
    DELETE FROM consent_link USING retained WHERE consent_link.subject_ref = retained.subject_ref;
    DELETE FROM consent USING retained WHERE consent.subject_ref = retained.subject_ref;
    DELETE FROM subject_vault USING retained WHERE subject_vault.subject_ref = retained.subject_ref;
    DELETE FROM subject_locator USING retained WHERE subject_locator.subject_ref = retained.subject_ref;
    WITH gone AS (
        DELETE FROM consent_event USING retained WHERE consent_event.subject_ref = retained.subject_ref
        RETURNING id::text AS id
    ), entered AS (
        SELECT position FROM proof_entry WHERE kind = 'consent_event' AND id IN (SELECT id FROM gone)
    ), opened AS (
        DELETE FROM proof_opening WHERE position IN (SELECT position FROM entered)
    )
    SELECT (SELECT count(*) FROM gone), coalesce(array_agg(position ORDER BY position), '{}')
        INTO events, positions FROM entered;
    PERFORM set_config('sceau.retaining', 'off', true);
    DROP TABLE retained;
END
$$
"""


def upgrade() -> None:
    """Make the tables with the proposed schedule, and the functions."""
    _make_tables()
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    for function in (SIGNED, RETAIN):
        op.execute(function.replace("{path}", f"{schema}, pg_temp"))
    op.execute("REVOKE ALL ON FUNCTION sceau_tell_retention(), sceau_retain(bytea, integer) FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER told AFTER UPDATE ON retention_rule FOR EACH ROW EXECUTE FUNCTION sceau_tell_retention()"
    )
    op.execute("DROP TRIGGER append_only ON consent_event")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON consent_event FOR EACH STATEMENT "
        "EXECUTE FUNCTION sceau_refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER append_only_but_retention BEFORE DELETE ON consent_event FOR EACH STATEMENT "
        "WHEN (current_setting('sceau.retaining', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION sceau_refuse_change()"
    )
    _statements(", 'retention_run'")


def downgrade() -> None:
    """Put the trigger back, and drop the rest; runs that were stated stay entered in the log, without their bodies."""
    op.execute("ALTER TABLE proof_statement DISABLE TRIGGER append_only")
    op.execute("DELETE FROM proof_statement WHERE kind = 'retention_run'")
    op.execute("ALTER TABLE proof_statement ENABLE TRIGGER append_only")
    _statements("")
    op.execute("DROP TRIGGER append_only_but_retention ON consent_event")
    op.execute("DROP TRIGGER append_only ON consent_event")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_event FOR EACH STATEMENT "
        "EXECUTE FUNCTION sceau_refuse_change()"
    )
    op.execute("DROP FUNCTION sceau_retain(bytea, integer)")
    op.drop_table("retention_hold")
    op.drop_table("retention_rule")
    op.execute("DROP FUNCTION sceau_tell_retention()")


def _make_tables() -> None:
    op.create_table(
        "retention_rule",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("starts_when", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("afterwards", sa.Text(), nullable=False),
        sa.Column("signed_at", INSTANT),
        sa.Column("signed_by", sa.Text()),
        sa.CheckConstraint("kind IN ('consent', 'refusal')", name=op.f("ck_retention_rule_kind")),
        sa.CheckConstraint(PERIOD, name=op.f("ck_retention_rule_period")),
        sa.CheckConstraint("(signed_at IS NULL) = (signed_by IS NULL)", name=op.f("ck_retention_rule_signed")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_retention_rule")),
    )
    rules = sa.table("retention_rule", *map(sa.column, ("kind", "basis", "starts_when", "period", "afterwards")))
    then = "the ledger, the id of the person, and the salts of the entries in the log are destroyed"
    op.bulk_insert(
        rules,
        [
            dict(zip(("kind", "basis", "starts_when", "period"), each, strict=True), afterwards=then)
            for each in PROPOSED
        ],
    )
    op.create_table(
        "retention_hold",
        sa.Column("id", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")),
        sa.Column("processing", sa.Text()),
        sa.Column("subject_ref", sa.LargeBinary()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", INSTANT),
        sa.Column("made_at", INSTANT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("released_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_hold")),
        sa.ForeignKeyConstraint(
            ["processing"], ["processing.id"], name=op.f("fk_retention_hold_processing_processing"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["subject.subject_ref"],
            name=op.f("fk_retention_hold_subject_ref_subject"),
            ondelete="RESTRICT",
        ),
    )


def _statements(more: str) -> None:
    op.drop_constraint(op.f("ck_proof_statement_kind"), "proof_statement")
    op.create_check_constraint(op.f("ck_proof_statement_kind"), "proof_statement", STATEMENTS.replace("{more}", more))
