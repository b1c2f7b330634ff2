"""The tables of signing keys: one for each thing that is signed, so that no key ever signs two kinds of message."""

from sqlalchemy import Column, DateTime, LargeBinary, Table, Text, Uuid

from app.db.schema import metadata


def _key_table(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("public_key", LargeBinary, nullable=False),
        Column("master_key_id", Text, nullable=False),
        Column("wrapped_key", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("retires_at", DateTime(timezone=True)),
    )


webhook_key = _key_table("webhook_key")
decision_key = _key_table("decision_key")
proof_key = _key_table("proof_key")
receipt_key = _key_table("receipt_key")
