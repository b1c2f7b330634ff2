"""The history of one consent: every ledger entry about its subject and processing, as recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.projection import CONSENTS
from app.db.session import ReadSession
from app.ledger.entries import LedgerEntry
from app.ledger.store import find_entry, load_entries


@dataclass(frozen=True, slots=True)
class ConsentHistory:
    """The processing that a consent is about, and the entries that concern it, in ledger order."""

    processing: str
    entries: Sequence[LedgerEntry]


async def consent_history(session: ReadSession, identifier: UUID) -> ConsentHistory | None:
    """The entries about a consent's subject and processing, in ledger order; None when there is no such consent."""
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in CONSENTS or entry.event.processing is None:
        return None
    entries = await load_entries(session, entry.subject_ref)
    concerned = [each for each in entries if each.event.concerns(entry.event.processing)]
    return ConsentHistory(entry.event.processing, concerned)
