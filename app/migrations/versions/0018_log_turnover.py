"""Turn the days of the decision log over without holding up who writes to it.

`CREATE TABLE … PARTITION OF` and `DROP TABLE` of a partition lock the whole log against everybody. A day's table is now
made apart and attached, which writers do not notice; a day is dropped only if that lock comes at once, else later.

Revision: 0018, after 0017.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

MAKE = """
CREATE OR REPLACE FUNCTION sceau_make_log_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    name text := 'decision_log_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day < today - 1 OR day > today + 7 THEN
        RAISE EXCEPTION 'a partition of the decision log is for yesterday up to next week';
    END IF;
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sceau log partition'));
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE decision_log INCLUDING ALL EXCLUDING INDEXES)', name);
        EXECUTE format('ALTER TABLE decision_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END
$$
"""

DROP = """
CREATE OR REPLACE FUNCTION sceau_drop_log_before(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '100ms' AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    old record;
    dropped integer := 0;
BEGIN
    IF day >= today THEN
        RAISE EXCEPTION 'the decision log of today is not dropped';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('sceau log partition')) THEN
        RETURN 0;
    END IF;
    FOR old IN SELECT inhrelid::regclass AS part FROM pg_inherits WHERE inhparent = 'decision_log'::regclass
        AND right(inhrelid::regclass::text, 8) < to_char(day, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %s', old.part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$
"""

MAKE_BEFORE = """
CREATE OR REPLACE FUNCTION sceau_make_log_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    name text := 'decision_log_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day < today - 1 OR day > today + 7 THEN
        RAISE EXCEPTION 'a partition of the decision log is for yesterday up to next week';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sceau log partition'));
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF decision_log FOR VALUES FROM (%L) TO (%L)', name,
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END
$$
"""

DROP_BEFORE = """
CREATE OR REPLACE FUNCTION sceau_drop_log_before(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    old record;
    dropped integer := 0;
BEGIN
    IF day >= today THEN
        RAISE EXCEPTION 'the decision log of today is not dropped';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sceau log partition'));
    FOR old IN SELECT inhrelid::regclass AS part FROM pg_inherits WHERE inhparent = 'decision_log'::regclass
        AND right(inhrelid::regclass::text, 8) < to_char(day, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %s', old.part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$
"""


def upgrade() -> None:
    """Put the functions' bodies in the place of those before; who may call them stays."""
    op.execute(MAKE)
    op.execute(DROP)


def downgrade() -> None:
    """Put those of 0003 back."""
    op.execute(MAKE_BEFORE)
    op.execute(DROP_BEFORE)
