"""Background work: Procrastinate's own tables, functions and types as of 3.10.0, and what each task's last runs did.

Revision: 0004, after 0003.

The library brings its schema; this migration takes it only if it is the one that it was written for, so that every
database gets the same. A newer one comes by a migration of its own, with the library's next version.
"""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA_SHA256 = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"

DROP_FUNCTIONS = """
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE format('DROP FUNCTION %s', routine);
    END LOOP;
END
$$
"""

TYPES = ("procrastinate_job_to_defer_v1", "procrastinate_job_event_type", "procrastinate_job_status")


def upgrade() -> None:
    """Create the library's schema and the table of runs; nothing of ours is touched."""
    schema = SchemaManager.get_schema()
    if sha256(schema.encode()).hexdigest() != SCHEMA_SHA256:
        message = "procrastinate brings another schema than that of 3.10.0: install the version of requirements.txt"
        raise RuntimeError(message)
    # `%` stands in the functions: without no_parameters the driver would take it for a placeholder.
    op.get_bind().exec_driver_sql(schema, execution_options={"no_parameters": True})
    op.create_table(
        "job_run",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("last_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_took_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_flagged", sa.BigInteger(), nullable=False),
        sa.Column("backlog", sa.BigInteger(), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("task", "day", name=op.f("pk_job_run")),
    )


def downgrade() -> None:
    """Drop both, with the jobs that wait: whoever upgrades again starts with none."""
    op.drop_table("job_run")
    bind = op.get_bind()
    # Jobs go last and with CASCADE: one of the functions returns a row of theirs. No table of ours refers to them.
    for table in ("procrastinate_events", "procrastinate_periodic_defers"):
        op.drop_table(table)
    bind.exec_driver_sql("DROP TABLE procrastinate_jobs CASCADE")
    op.drop_table("procrastinate_workers")
    bind.exec_driver_sql(DROP_FUNCTIONS, execution_options={"no_parameters": True})
    for name in TYPES:
        op.execute(f"DROP TYPE {name}")
