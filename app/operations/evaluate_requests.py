"""Decide: read the facts that some requests need, in three statements whatever their number, and judge each."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.core.consent import ConsentEvent
from app.core.decision import Decision, Request
from app.core.evaluate import evaluate
from app.core.period import PeriodPolicy
from app.core.processing import PartyMode, Processing
from app.db.session import ReadSession
from app.ledger.store import load_events
from app.register.store import load_processings


async def evaluate_requests(session: ReadSession, policy: PeriodPolicy, requests: Sequence[Request]) -> list[Decision]:
    """Answer requests in their order, each as if it had been asked alone, at the present instant.

    The clock is read after the facts, and never behind what was recorded: an instant at which a withdrawal that is
    in the ledger has not happened yet is never judged.
    """
    records = await load_processings(session, {request.processing for request in requests})
    register = {identifier: record.facts for identifier, record in records.items()}
    refs = set[bytes]().union(*(subjects_needed(request, register.get(request.processing)) for request in requests))
    consents = await load_events(session, refs) if refs else {}
    at = present(await session.now(), consents)
    return [evaluate(request, register.get(request.processing), consents, at, policy) for request in requests]


def subjects_needed(request: Request, processing: Processing | None) -> set[bytes]:
    """Whose consents a request can depend on: nobody's under III, the participants' only in a mode that asks."""
    if processing is None or not processing.rests_on_consent:
        return set()
    needed = {request.subject}
    if any(version.party_mode is not PartyMode.USER_ONLY for version in processing.versions):
        needed |= {participant.ref for participant in request.participants or () if participant.local}
    return needed


def present(now: datetime, consents: Mapping[bytes, Sequence[ConsentEvent]]) -> datetime:
    """The instant to judge a live request at: now, or the latest event recorded if a clock was set back."""
    return max((now, *(event.collected_at for events in consents.values() for event in events)))
