"""Two processes that start at once both make the day's partition of the decision log: the second one finds it made.

The function looked with `to_regclass` before and after its lock. What the first look did not find the session's catalog
cache remembered, so the second look did not find what another process had made meanwhile.

Revision: 0038, after 0037.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION sceau_make_log_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {path} AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    name text := 'decision_log_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day < today - 1 OR day > today + 7 THEN
        RAISE EXCEPTION 'a partition of the decision log is for yesterday up to next week';
    END IF;
    IF {is_there} THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sceau log partition'));
    IF NOT {is_there} THEN
        EXECUTE format('CREATE TABLE %I (LIKE decision_log INCLUDING ALL EXCLUDING INDEXES)', name);
        EXECUTE format('ALTER TABLE decision_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END
$$
"""

# A query of the catalog's table sees what is committed; the cache behind to_regclass may not.
NOW = (
    "EXISTS (SELECT FROM pg_class AS made JOIN pg_class AS whole USING (relnamespace) "
    "WHERE made.relname = name AND whole.oid = 'decision_log'::regclass)"
)
BEFORE = "(to_regclass(name) IS NOT NULL)"


def _replace(is_there: str) -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(FUNCTION.format(path=f"{schema}, pg_temp", is_there=is_there))


def upgrade() -> None:
    """Look into the table of the catalog."""
    _replace(NOW)


def downgrade() -> None:
    """Look with `to_regclass` again."""
    _replace(BEFORE)
