"""The decision log, in partitions of a day, and the two functions that make and drop them.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MAKE = """
CREATE FUNCTION sceau_make_log_partition(day date) RETURNS void
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

DROP = """
CREATE FUNCTION sceau_drop_log_before(day date) RETURNS integer
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
    """Create the partitioned table and its functions; partitions come with the first process that logs."""
    op.create_table(
        "decision_log",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("correspondence_ref", sa.LargeBinary(), nullable=False),
        sa.Column("elements", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("territory", sa.Text(), nullable=False),
        sa.Column("permitted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("law_version", sa.Text(), nullable=True),
        sa.Column("consent", sa.Uuid(), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject_ref", "at", "id", name=op.f("pk_decision_log")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_decision_log_id", "decision_log", ["id"])
    for function in (MAKE, DROP):
        op.execute(function)
    op.execute("REVOKE ALL ON FUNCTION sceau_make_log_partition(date), sceau_drop_log_before(date) FROM PUBLIC")


def downgrade() -> None:
    """Drop the functions and the table with all of its partitions."""
    op.execute("DROP FUNCTION sceau_drop_log_before(date)")
    op.execute("DROP FUNCTION sceau_make_log_partition(date)")
    op.drop_table("decision_log")
