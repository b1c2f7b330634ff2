"""Give each event its place by looking at its own subject's events only.

The planner took the index in the order of all events for the quickest way to a subject's last one: while a transaction
of many events was open, each new one passed over all of those before it. OFFSET 0 keeps it to the primary key.

Revision: 0009, after 0008.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION sceau_order_outbox() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last record;
BEGIN
    SELECT xid, seq INTO last FROM {own} ORDER BY xid DESC, seq DESC LIMIT 1;
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
OWN = "(SELECT xid, seq FROM outbox WHERE subject_ref = NEW.subject_ref OFFSET 0) AS own"
BEFORE = "outbox WHERE subject_ref = NEW.subject_ref"


def upgrade() -> None:
    """Replace the body of the function; the trigger stays."""
    op.execute(FUNCTION.format(own=OWN))


def downgrade() -> None:
    """The function as revision 0006 made it."""
    op.execute(FUNCTION.format(own=BEFORE))
