"""The epochs of a database: a new one begins when somebody has dealt with a restore."""

from sqlalchemy import CheckConstraint, Column, DateTime, Integer, Table, Text, Uuid

from app.db.schema import metadata

deployment_epoch = Table(
    "deployment_epoch",
    metadata,
    # The first one has no row: every database begins with it.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("began_at", DateTime(timezone=True), nullable=False),
    # How many notes of the journal were replayed, and how many could not be; null where none was replayed.
    Column("replayed", Integer),
    Column("by_hand", Integer),
    # What is lost, in the words of who answers for it.
    Column("lost", Text, nullable=False),
    # Null: on the operator's command line.
    Column("accepted_by", Uuid),
    CheckConstraint("number > 1", name="later"),
)
