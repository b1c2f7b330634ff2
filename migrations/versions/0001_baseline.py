"""The schema: every table with what its declaration cannot say.

Tables with their constraints and indexes are declared once, beside the stores that use them (`app/*/tables.py`), and are
made from there. What stands here is the rest: functions, triggers, rights on functions and the first rows.

Revision: 0001_baseline, the first. Until 0.2.0 is tagged this file is edited; afterwards it is left as it is, and each
change of the schema is a revision of its own (CONTRIBUTING.md).
"""

from hashlib import sha256
from typing import Final

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

from app.db.retention import PROPOSED, retention_rule
from app.db.schema import metadata

revision = "0001_baseline"
down_revision = None
branch_labels = None
depends_on = None

# --- background jobs -------------------------------------------------------------------------------------------------

PROCRASTINATE_SHA256: Final = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"
"""Of the schema that Procrastinate 3.10.0 brings: every database gets this one, whatever version is installed."""

# --- what nobody changes ---------------------------------------------------------------------------------------------

APPEND_ONLY: Final = (
    "administrative_act",
    "controller",
    "controller_version",
    "decision_drop",
    "effect_acknowledged",
    "gate_proposal",
    "gate_ruling",
    "invalidation_told",
    "presented_text",
    "processing",
    "processing_invalidation",
    "processing_status_change",
    "processing_version",
    "proof_anchor",
    "proof_checkpoint",
    "proof_entry",
    "proof_statement",
    "staff_acknowledgement",
    "staff_notice",
    "subject",
)
"""Rows are added to these tables and never changed, by the owner neither. `consent_event` has triggers of its own."""

REFUSE_CHANGE: Final = """
CREATE FUNCTION sceau_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""

# The function of retention alone deletes from the ledger, and says so by a setting of its transaction. The owner could
# set that too, as the owner could drop the trigger: the verifier names what is deleted and is not stated in the log.
LEDGER_TRIGGERS: Final = (
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON consent_event
    FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()
    """,
    """
    CREATE TRIGGER append_only_but_retention BEFORE DELETE ON consent_event FOR EACH STATEMENT
    WHEN (current_setting('sceau.retaining', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION sceau_refuse_change()
    """,
)

# --- the trail of administrative acts --------------------------------------------------------------------------------

# The id is of version 7, as `app.db.session` makes them: the bits that are set make a 7 of a 4.
RECORD_ACT: Final = """
CREATE FUNCTION sceau_record_act(done text, arrived text, told jsonb) RETURNS void
LANGUAGE sql SET search_path = {path} AS $$
INSERT INTO administrative_act (id, at, act, way, detail)
SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM present) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid, present, done, arrived, told
FROM clock_timestamp() AS present
$$
"""

# --- what the owner alone sets ---------------------------------------------------------------------------------------

FIRST_LIMITS: Final = "INSERT INTO owner_limit (log_floor_days, clock_tolerance) VALUES (30, '10 seconds')"

# The row can be changed and cannot be taken away: without it nothing would be dropped, and nothing recorded.
LIMIT_STAYS: Final = """
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON owner_limit
FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()
"""

TELL_LIMITS: Final = """
CREATE FUNCTION sceau_tell_limits() RETURNS trigger
LANGUAGE plpgsql SET search_path = {path} AS $$
BEGIN
    PERFORM sceau_record_act('owner_limits.changed', 'command', jsonb_build_object(
        'log_floor_days_before', OLD.log_floor_days, 'log_floor_days', NEW.log_floor_days,
        'clock_tolerance_before', OLD.clock_tolerance::text, 'clock_tolerance', NEW.clock_tolerance::text));
    RETURN NULL;
END
$$
"""
LIMITS_TOLD: Final = """
CREATE TRIGGER told AFTER UPDATE ON owner_limit FOR EACH ROW EXECUTE FUNCTION sceau_tell_limits()
"""

# --- nothing is recorded ahead of the database's clock ---------------------------------------------------------------

TIMED: Final = (
    "consent_event",
    "controller_version",
    "processing_invalidation",
    "processing_version",
    "staff_acknowledgement",
)
"""The tables that have `recorded_at`."""

REFUSE_AHEAD: Final = """
CREATE FUNCTION sceau_refuse_ahead() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
DECLARE
    tolerance interval;
    just_before timestamptz := NEW.recorded_at - interval '1 microsecond';
BEGIN
    SELECT clock_tolerance INTO STRICT tolerance FROM owner_limit;
    IF NEW.recorded_at <= clock_timestamp() + tolerance THEN
        RETURN NEW;
    END IF;
    -- A withdrawal is recorded whatever happens to the clock, and just after the entries of the subject, which it must
    -- outrank. They passed this check themselves.
    IF TG_TABLE_NAME = 'consent_event' THEN
        IF EXISTS (SELECT FROM consent_event WHERE subject_ref = NEW.subject_ref AND recorded_at >= just_before) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'recorded_at of % lies ahead of the clock of the database', TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
END
$$
"""

# --- the order of events ---------------------------------------------------------------------------------------------

# Each event comes after those of the same subject (docs/decisions/0010-order-of-events.md). OFFSET 0 keeps the planner to
# the primary key: by the index in the order of all events, each new one would pass over those of the whole transaction.
ORDER_OUTBOX: Final = """
CREATE FUNCTION sceau_order_outbox() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last record;
BEGIN
    SELECT xid, seq INTO last FROM (SELECT xid, seq FROM outbox WHERE subject_ref = NEW.subject_ref OFFSET 0) AS own
        ORDER BY xid DESC, seq DESC LIMIT 1;
    IF FOUND THEN
        NEW.xid := greatest(NEW.xid, last.xid);
        NEW.seq := last.seq + 1;
    ELSE
        NEW.seq := 1;
    END IF;
    RETURN NEW;
END
$$
"""
OUTBOX_ORDERED: Final = """
CREATE TRIGGER outbox_order BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION sceau_order_outbox()
"""

# --- the days of the decision log ------------------------------------------------------------------------------------

# A day's table is made apart and attached, which whoever writes does not notice; CREATE TABLE … PARTITION OF would lock
# the whole log. Whether it is there is asked of pg_class: the catalogue cache behind to_regclass may remember from before
# the lock that it was not.
MAKE_LOG_PARTITION: Final = """
CREATE FUNCTION sceau_make_log_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    name text := 'decision_segment_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day < today - 1 OR day > today + 7 THEN
        RAISE EXCEPTION 'a partition of the decision log is for yesterday up to next week';
    END IF;
    IF EXISTS (SELECT FROM pg_class AS made JOIN pg_class AS whole USING (relnamespace)
            WHERE made.relname = name AND whole.oid = 'decision_segment'::regclass) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sceau log partition'));
    IF NOT EXISTS (SELECT FROM pg_class AS made JOIN pg_class AS whole USING (relnamespace)
            WHERE made.relname = name AND whole.oid = 'decision_segment'::regclass) THEN
        -- Data stand apart from what is searched, however short they are.
        EXECUTE format('CREATE TABLE %I (LIKE decision_segment INCLUDING ALL EXCLUDING INDEXES)'
            ' WITH (toast_tuple_target = 256)', name);
        EXECUTE format('ALTER TABLE decision_segment ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            day, day + 1);
    END IF;
END
$$
"""

# What a day's decisions were is kept in numbers.
COUNT_LOG_DAY: Final = """
CREATE FUNCTION sceau_count_log_day(part regclass, OUT number bigint)
LANGUAGE plpgsql SET search_path = {path} AS $$
BEGIN
    EXECUTE format('SELECT coalesce(sum(rows), 0) FROM %s', part) INTO number;
    EXECUTE format(
        'INSERT INTO decision_count (day, processing, permitted, reason, number)'
        ' SELECT date_trunc(''day'', from_at, ''Europe/Paris''), told ->> 0, (told ->> 1)::boolean, told ->> 2,'
        ' sum((told ->> 3)::bigint) FROM %s, jsonb_array_elements(counts) AS told GROUP BY 1, 2, 3, 4'
        ' ON CONFLICT (day, processing, permitted, reason)'
        ' DO UPDATE SET number = decision_count.number + excluded.number', part);
END
$$
"""

# DROP TABLE of a partition locks the whole log: a day goes only if that lock comes at once, else with a later run.
DROP_LOG_BEFORE: Final = """
CREATE FUNCTION sceau_drop_log_before(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} SET lock_timeout = '100ms' AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    floor_days integer;
    old record;
    number bigint;
    by_owner boolean := pg_has_role(session_user, current_user, 'MEMBER');
    dropped integer := 0;
BEGIN
    IF day >= today THEN
        RAISE EXCEPTION 'the decision log of today is not dropped';
    END IF;
    SELECT log_floor_days INTO STRICT floor_days FROM owner_limit;
    IF day > today - floor_days THEN
        RAISE EXCEPTION 'the decision log of the last % days is not dropped', floor_days
            USING HINT = 'The owner of the database sets how many: sceau log limits set.';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('sceau log partition')) THEN
        RETURN 0;
    END IF;
    FOR old IN SELECT c.oid::regclass AS part, right(relname, 8) AS named
        FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
        WHERE inhparent = 'decision_segment'::regclass AND right(relname, 8) < to_char(day, 'YYYYMMDD') ORDER BY relname
    LOOP
        EXECUTE format('LOCK TABLE %s', old.part);
        number := sceau_count_log_day(old.part);
        EXECUTE format('DROP TABLE %s', old.part);
        PERFORM sceau_record_act('decision_log.dropped', CASE WHEN by_owner THEN 'command' ELSE 'service' END,
            jsonb_build_object('day', to_char(to_date(old.named, 'YYYYMMDD'), 'YYYY-MM-DD'), 'rows', number,
                'role', CASE WHEN by_owner THEN 'owner' ELSE 'application' END));
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$
"""

# The service may not delete from the log. What it merges has as many decisions with each answer as what goes had.
MERGE_SEGMENTS: Final = """
CREATE FUNCTION sceau_merge_segments(id uuid, day date, from_at timestamptz, to_at timestamptz, rows integer,
    counts jsonb, directory bytea, data bytea, sha256 bytea, gone uuid[], merged boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
#variable_conflict use_column
DECLARE
    before jsonb;
    number bigint;
    removed integer;
BEGIN
    WITH old AS (
        DELETE FROM decision_segment AS small
        WHERE small.day = $2 AND small.id = ANY($10) AND NOT small.merged
            AND date_trunc('hour', small.from_at, 'UTC') = date_trunc('hour', $3, 'UTC')
        RETURNING small.rows, small.counts
    ), answers AS (
        SELECT told ->> 0 AS processing, (told ->> 1)::boolean AS permitted, told ->> 2 AS reason,
            sum((told ->> 3)::bigint) AS number
        FROM old, jsonb_array_elements(old.counts) AS told GROUP BY 1, 2, 3
    )
    SELECT (SELECT sum(old.rows) FROM old), (SELECT count(*) FROM old),
        (SELECT jsonb_agg(jsonb_build_array(a.processing, a.permitted, a.reason, a.number)
            ORDER BY a.processing COLLATE "C", a.permitted, a.reason COLLATE "C") FROM answers AS a)
    INTO number, removed, before;
    IF removed <> cardinality($10) OR number IS DISTINCT FROM $5 OR before IS DISTINCT FROM $6
        OR EXISTS (SELECT FROM jsonb_array_elements($6) AS told WHERE (told ->> 3)::bigint < 1) THEN
        RAISE EXCEPTION 'a merged segment has the decisions of those that it replaces';
    END IF;
    INSERT INTO decision_segment (id, day, from_at, to_at, rows, merged, counts, directory, data, sha256)
    VALUES ($1, $2, $3, $4, $5, $11, $6, $7, $8, $9);
END
$$
"""

# --- how long proof is kept ------------------------------------------------------------------------------------------

# Proposed, and without effect until the owner signs them.
FIRST_RULES: Final = [
    {
        "kind": kind,
        "basis": basis,
        "starts_when": starts_when,
        "period": period,
        "afterwards": "the ledger, the id of the person, and the salts of the entries in the log are destroyed",
    }
    for kind, starts_when in (
        ("consent", "everything that the person said is over"),
        ("refusal", "the person, who only ever refused, did so last"),
    )
    for period, basis in (PROPOSED[kind],)
]

TELL_RETENTION: Final = """
CREATE FUNCTION sceau_tell_retention() RETURNS trigger
LANGUAGE plpgsql SET search_path = {path} AS $$
BEGIN
    PERFORM sceau_record_act('retention.signed', 'command', jsonb_build_object(
        'kind', NEW.kind, 'period_before', OLD.period, 'period', NEW.period, 'signed', NEW.signed_at IS NOT NULL));
    RETURN NULL;
END
$$
"""
RETENTION_TOLD: Final = """
CREATE TRIGGER told AFTER UPDATE ON retention_rule FOR EACH ROW EXECUTE FUNCTION sceau_tell_retention()
"""

# Takes out whole ledgers, all that one person ever said, with their id and the openings of their entries in the log, once
# everything in one is over for as long as the signed schedule says. The entries stay, and so does every proof.
RETAIN: Final = """
CREATE FUNCTION sceau_retain(after bytea, most integer,
    OUT last bytea, OUT consents bigint, OUT refusals bigint, OUT events bigint, OUT positions bigint[])
LANGUAGE plpgsql SET search_path = {path} AS $$
DECLARE
    present timestamptz := clock_timestamp();
BEGIN
    -- Who holds something back, or signs another schedule, waits for this to end, and this for them.
    PERFORM pg_advisory_xact_lock_shared(hashtext('sceau retention'));
    SELECT page.subject_ref INTO last FROM (
        SELECT subject_ref FROM subject WHERE subject_ref > after ORDER BY subject_ref LIMIT most
    ) AS page ORDER BY page.subject_ref DESC LIMIT 1;
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
        -- Which names are one person's, and that several people share a mailbox, was stated and is still to be known.
        OR (EXISTS (SELECT FROM subject_locator AS live
                WHERE live.subject_ref = one.subject_ref AND live.ended_at IS NULL)
            AND (EXISTS (SELECT FROM subject WHERE subject.subject_ref = one.subject_ref AND subject.shared)
                OR EXISTS (SELECT FROM subject_vault AS name
                    WHERE name.subject_ref = one.subject_ref AND name.basis IS NOT NULL)));
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
    DELETE FROM document USING retained WHERE document.subject_ref = retained.subject_ref;
    DELETE FROM import_row USING retained WHERE import_row.subject_ref = retained.subject_ref;
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

# --- what the proof log enters ---------------------------------------------------------------------------------------

QUEUED: Final = {
    "administrative_act": ("administrative_act", "id::text"),
    "anchor": ("proof_anchor", "id::text"),
    "consent_event": ("consent_event", "id::text"),
    "controller_version": ("controller_version", "controller || '/' || number"),
    "gate_proposal": ("gate_proposal", "id::text"),
    "gate_ruling": ("gate_ruling", "proposal::text"),
    "invalidation": ("processing_invalidation", "processing || '/' || number"),
    "presented_text": ("presented_text", "encode(sha256, 'hex')"),
    "register_version": ("processing_version", "processing || '/' || number"),
    "restore": ("deployment_epoch", "number::text"),
    "staff_acknowledgement": ("staff_acknowledgement", "id::text"),
    "staff_notice": ("staff_notice", "number::text"),
    "statement": ("proof_statement", "id::text"),
    "status_change": ("processing_status_change", "processing || '/' || extract(epoch FROM at)"),
}
"""Kinds of entries: the table that each is of, and SQL of what names a row of it (`app.proof.sources`)."""

QUEUE: Final = """
CREATE FUNCTION sceau_queue_{kind}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
BEGIN
    INSERT INTO proof_queue (kind, id) SELECT '{kind}', {id} FROM added;
    RETURN NULL;
END
$$
"""

# --- both directions -------------------------------------------------------------------------------------------------

OWN_FUNCTIONS: Final = (
    "sceau_make_log_partition(date), sceau_drop_log_before(date), sceau_record_act(text, text, jsonb), "
    "sceau_tell_limits(), sceau_refuse_ahead(), sceau_tell_retention(), sceau_retain(bytea, integer), "
    "sceau_count_log_day(regclass), sceau_merge_segments(uuid, date, timestamptz, timestamptz, integer, jsonb, bytea, "
    "bytea, bytea, uuid[], boolean)"
)
"""Nobody but their owner calls these: triggers do without the right, and `app.db.migrate` grants the service's own."""

DROP_FUNCTIONS: Final = """
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname ~ '^(sceau|procrastinate)_'
    LOOP
        EXECUTE format('DROP FUNCTION %s', routine);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Make everything in an empty schema."""
    _make_procrastinate()
    metadata.create_all(op.get_bind())
    # Blocks are compressed already, and are read by their place.
    _send("ALTER TABLE decision_segment ALTER COLUMN data SET STORAGE EXTERNAL")
    for function in (REFUSE_CHANGE, RECORD_ACT, TELL_LIMITS, REFUSE_AHEAD, ORDER_OUTBOX):
        _make(function)
    for function in (MAKE_LOG_PARTITION, COUNT_LOG_DAY, DROP_LOG_BEFORE, MERGE_SEGMENTS, TELL_RETENTION, RETAIN):
        _make(function)
    _send(f"REVOKE ALL ON FUNCTION {OWN_FUNCTIONS} FROM PUBLIC")
    for table in APPEND_ONLY:
        _send(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
        )
    for table in TIMED:
        _send(
            f"CREATE TRIGGER not_ahead BEFORE INSERT ON {table} FOR EACH ROW "
            "WHEN (NEW.recorded_at > clock_timestamp()) EXECUTE FUNCTION sceau_refuse_ahead()"
        )
    for trigger in (*LEDGER_TRIGGERS, LIMIT_STAYS, LIMITS_TOLD, RETENTION_TOLD, OUTBOX_ORDERED):
        _send(trigger)
    for kind, (table, identifier) in QUEUED.items():
        _make(QUEUE.replace("{kind}", kind).replace("{id}", identifier))
        _send(f"REVOKE ALL ON FUNCTION sceau_queue_{kind}() FROM PUBLIC")
        _send(
            f"CREATE TRIGGER queue_for_proof AFTER INSERT ON {table} REFERENCING NEW TABLE AS added "
            f"FOR EACH STATEMENT EXECUTE FUNCTION sceau_queue_{kind}()"
        )
    _send(FIRST_LIMITS)
    op.bulk_insert(retention_rule, FIRST_RULES)


def downgrade() -> None:
    """Drop everything that was made, with what is in it."""
    # Jobs go with CASCADE: functions of the library return rows of theirs. No table of ours refers to them.
    for table in ("events", "periodic_defers", "jobs", "workers"):
        _send(f"DROP TABLE procrastinate_{table} CASCADE")
    metadata.drop_all(op.get_bind())
    _send(DROP_FUNCTIONS)
    for name in ("job_to_defer_v1", "job_event_type", "job_status"):
        _send(f"DROP TYPE procrastinate_{name}")


def _make_procrastinate() -> None:
    """Make the library's tables, functions and types, if it brings those that this revision was written for."""
    schema = SchemaManager.get_schema()
    if sha256(schema.encode()).hexdigest() != PROCRASTINATE_SHA256:
        message = "procrastinate brings another schema than that of 3.10.0: install the version of requirements.txt"
        raise RuntimeError(message)
    _send(schema)


def _make(function: str) -> None:
    """Make a function that looks for tables in this schema first and among temporary tables last.

    What runs with the owner's rights would otherwise take a temporary table of its caller for one of the owner's.
    """
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    _send(function.replace("{path}", f"{schema}, pg_temp"))


def _send(statement: str) -> None:
    """Send SQL as it stands: in functions `%` and `:` are no placeholders of the driver's."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
