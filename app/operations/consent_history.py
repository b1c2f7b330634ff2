"""The history of one consent: every ledger entry about its subject and processing, as recorded."""

from uuid import UUID

from app.db.session import ReadSession
from app.ledger.entries import LedgerEntry
from app.ledger.store import find_entry, load_entries


async def consent_history(session: ReadSession, identifier: UUID) -> list[LedgerEntry] | None:
    """The entries about a consent's subject and processing, in ledger order; None when there is no such consent."""
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.processing is None:
        return None
    entries = await load_entries(session, entry.subject_ref)
    return [each for each in entries if each.event.concerns(entry.event.processing)]
