"""AuthZEN searches: the subjects that a processing may analyse for, and the processings that may analyse."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.decision import Decision, DecisionRequest, Reason
from app.core.evaluate import RuleTried, explain
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.db.session import ReadSession, WriteSession
from app.ledger.identifiers import load_names
from app.ledger.projection import ScannedConsent, scan_consents
from app.ledger.store import load_people
from app.operations.decisions.from_database import (
    affordable,
    evaluate_requests,
    shared_among,
    subjects_needed,
)
from app.operations.service.deployment import Deployment
from app.register.records import present
from app.register.store import list_ids, load_processings

_ACTIONS_BATCH: Final = 100
_ACTIONS_SCANNED_AT_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class ActionsPage:
    """The ids of processings that would be permitted, and the one after which the next page begins; None at the end."""

    names: Sequence[str]
    next_after: str | None


async def search_actions(
    session: ReadSession,
    deployment: Deployment,
    question: DecisionRequest,
    among: Collection[str] | None,
    *,
    after: str,
    limit: int,
) -> ActionsPage:
    """Return the next processings that would be permitted now, by id; `among` these only, None for all.

    A page looks at a bounded number of processings, so one that holds fewer results than wanted need not be the last.
    """
    permitted: list[str] = []
    most = affordable(question, _ACTIONS_SCANNED_AT_MOST)
    scanned, size = 0, min(_ACTIONS_BATCH, most)
    while scanned < most:
        names = await list_ids(session, among, after=after, limit=size)
        questions = [replace(question, processing=name) for name in names]
        evaluated = await evaluate_requests(session, deployment.policy, questions)
        for name, decision in zip(names, evaluated.decisions, strict=True):
            if len(permitted) == limit:
                return ActionsPage(permitted, after)
            if decision.permitted:
                permitted.append(name)
            after = name
        if len(names) < size:
            return ActionsPage(permitted, None)
        scanned += len(names)
    return ActionsPage(permitted, after)


# Search for the subjects that a question would be permitted about (AuthZEN 8.4), by putting each to the rules.
# Candidates come from the projection, decisions from the ledger by `evaluate_requests`, exactly as for a question. A
# page looks at a bounded number of consents, so it may hold fewer results than wanted, or none, and still not be the
# last.

_SCANNED_AT_MOST: Final = 2_000
_BATCH: Final = 500
_NOBODY: Final = bytes(32)
"""The locator of no subject: no known id has it, and it leads to no consent."""


@dataclass(frozen=True, slots=True)
class SubjectsPage:
    """Ids of subjects that would be permitted, and the consent after which the next page begins; None at the end.

    `everyone` is the permit that every subject gets; then none is listed.
    """

    ids: Sequence[str]
    next_after: UUID | None
    everyone: Decision | None = None


@dataclass(frozen=True, slots=True)
class SubjectQuery:
    """A question without a subject yet, and the type of the subjects that are searched."""

    question: DecisionRequest
    kind: str


async def search_subjects(
    session: ReadSession, deployment: Deployment, query: SubjectQuery, *, after: UUID | None, limit: int
) -> SubjectsPage:
    """Return the next subjects that would be permitted now, in the order of the consents that they rest on.

    A person with several names of the type is returned by the first. Subjects whose id is no longer kept (erased) are
    left out, and so are those whose account was closed. The ids may be handed out only once `record_search` is
    committed.
    """
    evaluated = await evaluate_requests(session, deployment.policy, [replace(query.question, subject=_NOBODY)])
    about_nobody = evaluated.decisions[0]
    if about_nobody.reason is not Reason.NO_CONSENT:  # rule 11 is the first to look at consents: an earlier one decided
        return SubjectsPage((), None, about_nobody if about_nobody.permitted else None)
    permitted: list[str] = []
    most = affordable(query.question, _SCANNED_AT_MOST)
    scanned, size = 0, min(_BATCH, 2 * limit + 1, most)
    while scanned < most:
        rows = await scan_consents(session, query.question.processing, after=after, limit=size)
        ids = await _permitted(session, deployment, query, rows, evaluated.at)
        for row in rows:
            if len(permitted) == limit:
                return SubjectsPage(permitted, after)
            if row.id in ids:
                permitted.append(ids[row.id])
            after = row.id
        if len(rows) < size:
            return SubjectsPage(permitted, None)
        scanned, size = scanned + len(rows), min(_BATCH, most)
    return SubjectsPage(permitted, after)


async def record_search(session: WriteSession, caller: Caller, query: SubjectQuery, page: SubjectsPage) -> None:
    """Record which caller was handed ids, and how many: once for each page, since each shows more."""
    listed = Target(TargetKind.PROCESSING, query.question.processing)
    await record_act(session, ActKind.SUBJECTS_SEARCHED, caller.id, listed, {"found": len(page.ids)})


async def _permitted(
    session: ReadSession, deployment: Deployment, query: SubjectQuery, rows: Sequence[ScannedConsent], now: datetime
) -> dict[UUID, str]:
    """Return the ids of the subjects that would be permitted, each under the one consent that its permit rests on."""
    candidates = [row for row in rows if row.locator and _may_stand(row, now)]
    if not candidates:
        return {}
    questions = [replace(query.question, subject=row.locator) for row in candidates]
    evaluated = await evaluate_requests(session, deployment.policy, questions)
    relied_on = {
        row.id: row.subject_ref
        for row, decision in zip(candidates, evaluated.decisions, strict=True)
        if decision.permitted and decision.consent == row.id
    }
    kept = await load_names(session, set(relied_on.values()))
    of_type = {
        ref: name
        for ref, names in kept.items()
        if (name := next((each for each in names if each.type == query.kind), None)) is not None
    }
    return {consent: deployment.vault.open(of_type[ref].sealed) for consent, ref in relied_on.items() if ref in of_type}


def _may_stand(row: ScannedConsent, now: datetime) -> bool:
    """Return whether a permit could rest on this consent: one that ended or lapsed for good is not worth a read.

    The stored expiry is the latest that is possible; the rules may find an earlier one.
    """
    granted = row.decision is EventKind.GRANTED and row.ended_by is None
    return granted and row.expires_at is not None and row.expires_at > now


# Explain what the answer was, or would have been, at an instant, on what had been recorded by then, and why.


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
    """Replay a decision from the ledger and the register, and record who looked at whose decision.

    Args:
        session: the transaction; the explanation is not shown unless the look can be recorded.
        policy: how this deployment counts periods, today.
        caller: the caller that asks.
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
    detail = {"at": at.isoformat() if at else None, "known_at": known_at.isoformat() if known_at else None}
    target = Target(subject_ref=ref)
    if record is not None:  # else it is only a word that the caller sent
        target = replace(target, thing=TargetKind.PROCESSING, id=request.processing)
    await record_act(session, ActKind.DECISION_EXPLAINED, caller.id, target, detail)
    return Explanation(decision, judged, min(known_at or now, now), rules, processing, concerned, ref)
