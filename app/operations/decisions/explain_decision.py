"""Explain: what was, or would have been, the answer at an instant, on what had been recorded by then, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.consent import ConsentEvent
from app.core.decision import Decision, DecisionRequest
from app.core.evaluate import RuleTried, explain
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.db.session import WriteSession
from app.ledger.store import load_people
from app.operations.decisions.evaluate_requests import present, shared_among, subjects_needed
from app.register.store import load_processings


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, the rules tried in order, and the facts used; `events` are the subject's own, not other parties'.

    `subject_ref`: the subject's, None when nothing is recorded of it since the account was last closed.
    """

    decision: Decision
    at: datetime
    known_at: datetime
    rules: Sequence[RuleTried]
    processing: Processing | None
    events: Sequence[ConsentEvent]
    subject_ref: bytes | None


async def explain_decision(
    session: WriteSession,
    policy: PeriodPolicy,
    caller: Caller,
    request: DecisionRequest,
    *,
    at: datetime | None = None,
    known_at: datetime | None = None,
) -> Explanation:
    """Replay a decision from the ledger and the register, and record who looked at whose.

    Args:
        session: the transaction; what cannot be recorded is not told.
        policy: how this deployment counts periods, today.
        caller: who asks.
        request: the question, as it was or would be asked.
        at: the instant judged; None for the one that a live request would be judged at.
        known_at: only what had been recorded by this instant is used; None for everything known now.

    """
    records = await load_processings(session, [request.processing], known_at=known_at)
    record = records.get(request.processing)
    processing = record.facts if record is not None else None
    locators = subjects_needed(request, processing) | {request.subject}
    people = await load_people(session, locators, known_at=known_at)
    consents = {locator: person.events for locator, person in people.items()}
    ref = people[request.subject].ref if request.subject in people else None
    now = await session.now()
    judged = at or present(now, consents, record)
    decision, rules = explain(request, processing, consents, judged, policy, shared_among(people))
    concerned = [event for event in consents.get(request.subject, ()) if event.concerns(request.processing)]
    told = {"at": at.isoformat() if at else None, "known_at": known_at.isoformat() if known_at else None}
    target = Target(subject_ref=ref)
    if record is not None:  # else it is a word of the caller's own
        target = replace(target, thing=TargetKind.PROCESSING, id=request.processing)
    await record_act(session, ActKind.DECISION_EXPLAINED, caller.id, target, told)
    return Explanation(decision, judged, known_at or now, rules, processing, concerned, ref)
