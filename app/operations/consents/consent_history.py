"""The history of one consent: every ledger entry about its subject and processing, as recorded; or one entry alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.projection import CONSENTS
from app.db.session import WriteSession
from app.ledger.entries import LedgerEntry
from app.ledger.store import find_entry, load_entries


@dataclass(frozen=True, slots=True)
class ConsentHistory:
    """The processing that a consent is about, and the entries that concern it, in ledger order."""

    processing: str
    entries: Sequence[LedgerEntry]


async def consent_history(session: WriteSession, caller: Caller, identifier: UUID) -> ConsentHistory | None:
    """The entries about a consent's subject and processing, in ledger order; who looked at them is recorded.

    None when there is no such consent, or it is not the caller's to see.
    """
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in CONSENTS or entry.event.processing is None:
        return None
    processing = entry.event.processing
    if not caller.may_ask_about(processing):
        return None
    entries = await load_entries(session, entry.subject_ref)
    target = Target(TargetKind.CONSENT, str(identifier), entry.subject_ref)
    await record_act(session, ActKind.CONSENT_HISTORY_READ, caller.id, target, {"processing": processing})
    return ConsentHistory(processing, [each for each in entries if each.event.concerns(processing)])


async def read_event(session: WriteSession, caller: Caller, identifier: UUID) -> LedgerEntry | None:
    """The entry with that id; who looked at it is recorded.

    None when there is none, or it is not the caller's to see: one about every processing is seen by a caller that is
    limited to none.
    """
    entry = await find_entry(session, identifier)
    if entry is None:
        return None
    processing = entry.event.processing
    if not (caller.processings is None if processing is None else caller.may_ask_about(processing)):
        return None
    target = Target(TargetKind.CONSENT, str(identifier), entry.subject_ref)
    details = {"processing": processing} if processing is not None else {}
    await record_act(session, ActKind.CONSENT_HISTORY_READ, caller.id, target, details)
    return entry
