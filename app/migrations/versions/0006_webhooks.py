"""Webhooks: endpoints, signing keys, deliveries and attempts; and the order of the outbox.

The trigger gives each event its place (docs/decisions/0010-order-of-events.md). New columns of the outbox have
constant defaults, so no row is rewritten, and code that does not know them goes on writing.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

from app.db.types import TransactionId

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

ORDER = """
CREATE FUNCTION sceau_order_outbox() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last record;
BEGIN
    SELECT xid, seq INTO last FROM outbox WHERE subject_ref = NEW.subject_ref ORDER BY xid DESC, seq DESC LIMIT 1;
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
TRIGGER = """
CREATE TRIGGER outbox_order BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION sceau_order_outbox()
"""


def upgrade() -> None:
    """Give the outbox its order, and create the tables."""
    op.add_column("outbox", sa.Column("seq", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("outbox", sa.Column("written_at", INSTANT, server_default=sa.text("now()"), nullable=False))
    op.execute(ORDER)
    op.execute(TRIGGER)
    op.create_table(
        "event_progress",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("xid", TransactionId(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("event", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_progress")),
    )
    _endpoints()
    _deliveries()


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("processings", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("include_subject", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("status_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_webhook_endpoint_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
    )
    op.create_table(
        "webhook_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("retires_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_key")),
    )
    op.create_table(
        "webhook_secret",
        sa.Column("endpoint", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("retires_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint"],
            ["webhook_endpoint.id"],
            name=op.f("fk_webhook_secret_endpoint_webhook_endpoint"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint", "id", name=op.f("pk_webhook_secret")),
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("endpoint", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Uuid(), nullable=False),
        sa.Column("xid", TransactionId(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("queued_at", INSTANT, nullable=False),
        sa.Column("next_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'dead')", name=op.f("ck_webhook_delivery_status")),
        sa.ForeignKeyConstraint(
            ["endpoint"],
            ["webhook_endpoint.id"],
            name=op.f("fk_webhook_delivery_endpoint_webhook_endpoint"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subject_ref", "event"],
            ["outbox.subject_ref", "outbox.id"],
            name=op.f("fk_webhook_delivery_subject_ref_event_outbox"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subject_ref", "endpoint", "event", name=op.f("pk_webhook_delivery")),
    )
    due, pending = sa.text("next_at IS NOT NULL"), sa.text("status <> 'delivered'")
    delivery = "webhook_delivery"
    op.create_index("ix_webhook_delivery_endpoint_event", delivery, ["endpoint", "event"])
    op.create_index("ix_webhook_delivery_due", delivery, ["endpoint", "next_at"], postgresql_where=due)
    op.create_index("ix_webhook_delivery_open", delivery, ["endpoint", "status", "event"], postgresql_where=pending)
    op.create_table(
        "webhook_attempt",
        sa.Column("subject_ref", sa.LargeBinary(), nullable=False),
        sa.Column("endpoint", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("answer", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_ref", "endpoint", "event"],
            ["webhook_delivery.subject_ref", "webhook_delivery.endpoint", "webhook_delivery.event"],
            name=op.f("fk_webhook_attempt_subject_ref_endpoint_event_webhook_delivery"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subject_ref", "endpoint", "event", "number", name=op.f("pk_webhook_attempt")),
    )
    op.create_table(
        "webhook_count",
        sa.Column("endpoint", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint"],
            ["webhook_endpoint.id"],
            name=op.f("fk_webhook_count_endpoint_webhook_endpoint"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint", "outcome", name=op.f("pk_webhook_count")),
    )


def downgrade() -> None:
    """Drop the tables; the outbox keeps its rows, and loses their order within a transaction."""
    for table in (
        "webhook_count",
        "webhook_attempt",
        "webhook_delivery",
        "webhook_secret",
        "webhook_key",
        "webhook_endpoint",
    ):
        op.drop_table(table)
    op.drop_table("event_progress")
    op.execute("DROP TRIGGER outbox_order ON outbox")
    op.execute("DROP FUNCTION sceau_order_outbox()")
    op.drop_column("outbox", "written_at")
    op.drop_column("outbox", "seq")
