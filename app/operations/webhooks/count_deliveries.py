"""Count deliveries, for metrics and for the record of job runs."""

from app.db.database import Database
from app.events.counts import DeliveryCounts, load_counts


async def count_deliveries(database: Database) -> DeliveryCounts:
    """Attempts by endpoint and outcome, what is pending or dead, and what is not dispatched yet."""
    async with database.read() as session:
        return await load_counts(session)
