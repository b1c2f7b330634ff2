"""What the owner of the database alone sets: how long the decision log is kept at least, and how clocks may differ.

Days of the log younger than the floor are not dropped, by whoever holds the service's role; each day that is dropped
leaves an entry in the trail. Nothing is recorded ahead of the database's clock. The functions that run with the owner's
rights look for tables in the schema first and among temporary tables last: a temporary table of the caller's could
otherwise stand for one of theirs.

On a live service: triggers are made under a lock that writers of the four tables wait for until the migration ends.
Code of before that has a retention shorter than the floor cannot turn its log over: see docs/operating.md.

Revision: 0025, after 0024.
"""

from pathlib import Path
from runpy import run_path

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TIMED = ("consent_event", "processing_version", "processing_proposal", "controller_version", "staff_acknowledgement")

RECORD = """
CREATE FUNCTION sceau_record_act(done text, arrived text, told jsonb) RETURNS void
LANGUAGE sql SET search_path = {path} AS $$
INSERT INTO administrative_act (id, at, act, way, detail)
SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM present) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid, present, done, arrived, told
FROM clock_timestamp() AS present
$$
"""
"""An entry of the trail, with an id of version 7 as `app.db.identifiers` makes them: set bits make 4 into 7."""

CHANGED = """
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

AHEAD = """
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

DROP = """
CREATE OR REPLACE FUNCTION sceau_drop_log_before(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} SET lock_timeout = '100ms' AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    floor_days integer;
    old record;
    is_exact boolean;
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
            USING HINT = 'The owner of the database sets how many: sceau limits set.';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('sceau log partition')) THEN
        RETURN 0;
    END IF;
    FOR old IN SELECT c.oid::regclass AS part, right(relname, 8) AS named, greatest(reltuples, 0)::bigint AS guessed
        FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
        WHERE inhparent = 'decision_log'::regclass AND right(relname, 8) < to_char(day, 'YYYYMMDD') ORDER BY relname
    LOOP
        -- To count a very large day would take longer than a statement of the service may.
        is_exact := pg_relation_size(old.part) < 256 * 1024 * 1024;
        number := old.guessed;
        IF is_exact THEN
            EXECUTE format('SELECT count(*) FROM %s', old.part) INTO number;
        END IF;
        EXECUTE format('DROP TABLE %s', old.part);
        PERFORM sceau_record_act('decision_log.dropped', CASE WHEN by_owner THEN 'command' ELSE 'service' END,
            jsonb_build_object('day', to_char(to_date(old.named, 'YYYYMMDD'), 'YYYY-MM-DD'), 'rows', number,
                'is_exact', is_exact, 'role', CASE WHEN by_owner THEN 'owner' ELSE 'application' END));
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$
"""


def _path() -> str:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    return f"{schema}, pg_temp"


def upgrade() -> None:
    """Make the table with its one row, the functions and the triggers."""
    path = _path()
    op.create_table(
        "owner_limit",
        sa.Column("is_here", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("log_floor_days", sa.Integer(), nullable=False),
        sa.Column("clock_tolerance", sa.Interval(), nullable=False),
        sa.CheckConstraint("is_here", name=op.f("ck_owner_limit_one_row")),
        sa.CheckConstraint("log_floor_days BETWEEN 1 AND 36500", name=op.f("ck_owner_limit_log_floor_days")),
        sa.CheckConstraint("clock_tolerance >= '0'::interval", name=op.f("ck_owner_limit_clock_tolerance")),
        sa.PrimaryKeyConstraint("is_here", name=op.f("pk_owner_limit")),
    )
    op.execute("INSERT INTO owner_limit (log_floor_days, clock_tolerance) VALUES (30, '10 seconds')")
    op.execute(
        "CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON owner_limit "
        "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
    )
    for function in (RECORD, CHANGED, AHEAD, DROP):
        op.execute(function.replace("{path}", path))
    op.execute(f"ALTER FUNCTION sceau_make_log_partition(date) SET search_path = {path}")
    op.execute(
        "REVOKE ALL ON FUNCTION sceau_record_act(text, text, jsonb), sceau_tell_limits(), sceau_refuse_ahead() FROM PUBLIC"
    )
    op.execute("CREATE TRIGGER told AFTER UPDATE ON owner_limit FOR EACH ROW EXECUTE FUNCTION sceau_tell_limits()")
    for table in TIMED:
        op.execute(
            f"CREATE TRIGGER not_ahead BEFORE INSERT ON {table} FOR EACH ROW "
            "WHEN (NEW.recorded_at > clock_timestamp()) EXECUTE FUNCTION sceau_refuse_ahead()"
        )


def downgrade() -> None:
    """Put the function of 0018 back, and drop the rest."""
    for table in TIMED:
        op.execute(f"DROP TRIGGER not_ahead ON {table}")
    op.execute(run_path(str(Path(__file__).with_name("0018_log_turnover.py")))["DROP"])
    op.execute("ALTER FUNCTION sceau_make_log_partition(date) SET search_path FROM CURRENT")
    op.drop_table("owner_limit")
    op.execute("DROP FUNCTION sceau_refuse_ahead()")
    op.execute("DROP FUNCTION sceau_tell_limits()")
    op.execute("DROP FUNCTION sceau_record_act(text, text, jsonb)")
