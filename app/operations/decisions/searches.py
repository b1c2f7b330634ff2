"""AuthZEN searches: whom a processing may analyse for, and which processings may analyse."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.consent import EventKind
from app.core.decision import Decision, DecisionRequest, Reason
from app.db.session import ReadSession, WriteSession
from app.ledger.projection import ScannedConsent, scan_consents
from app.ledger.vault import load_names
from app.operations.decisions.evaluate_requests import affordable, evaluate_requests
from app.operations.service.deployment import Deployment
from app.register.store import list_ids

_ACTIONS_BATCH: Final = 100
_ACTIONS_SCANNED_AT_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class ActionsPage:
    """Processings that would be permitted, by id, and the id after which the next page begins; None at the end."""

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
    """The next processings that would be permitted now, by id; `among` these only, None for all.

    A page looks at a bounded number of processings, so it may hold fewer results than wanted and not be the last.
    """
    found: list[str] = []
    most = affordable(question, _ACTIONS_SCANNED_AT_MOST)
    scanned, size = 0, min(_ACTIONS_BATCH, most)
    while scanned < most:
        names = await list_ids(session, among, after=after, limit=size)
        questions = [replace(question, processing=name) for name in names]
        evaluated = await evaluate_requests(session, deployment.policy, questions)
        for name, decision in zip(names, evaluated.decisions, strict=True):
            if len(found) == limit:
                return ActionsPage(found, after)
            if decision.permitted:
                found.append(name)
            after = name
        if len(names) < size:
            return ActionsPage(found, None)
        scanned += len(names)
    return ActionsPage(found, after)


# Search for the subjects that a question would be permitted about (AuthZEN 8.4): the rules asked, one by one.
# Candidates come from the projection, decisions from the ledger by `evaluate_requests`, exactly as for a question. A
# page looks at a bounded number of consents, so it may hold fewer results than wanted, or none, and still not be the
# last.

_SCANNED_AT_MOST: Final = 2_000
_BATCH: Final = 500
_NOBODY: Final = bytes(32)
"""The locator of no subject: no id is known that has it, and it leads to no consent."""


@dataclass(frozen=True, slots=True)
class SubjectsPage:
    """Ids of subjects that would be permitted, and the consent after which the next page begins; None at the end.

    `everyone` is the permit that any subject gets, whoever it is: then none is listed.
    """

    ids: Sequence[str]
    next_after: UUID | None
    everyone: Decision | None = None


@dataclass(frozen=True, slots=True)
class SubjectQuery:
    """A question about nobody yet, and the type of the subjects that are searched."""

    question: DecisionRequest
    kind: str


async def search_subjects(
    session: ReadSession, deployment: Deployment, query: SubjectQuery, *, after: UUID | None, limit: int
) -> SubjectsPage:
    """The next subjects that would be permitted now, in the order of the consents that they rest on.

    A person who has several names of the type is found by the first. Subjects whose id is not kept any more (erased)
    are left out, like all whose account was closed. Ids that were found are handed out only once `record_search` is
    committed.
    """
    asked = await evaluate_requests(session, deployment.policy, [replace(query.question, subject=_NOBODY)])
    about_nobody = asked.decisions[0]
    if about_nobody.reason is not Reason.NO_CONSENT:  # rule 11, the first that looks at consents: those before decided
        return SubjectsPage((), None, about_nobody if about_nobody.permitted else None)
    found: list[str] = []
    most = affordable(query.question, _SCANNED_AT_MOST)
    scanned, size = 0, min(_BATCH, 2 * limit + 1, most)
    while scanned < most:
        rows = await scan_consents(session, query.question.processing, after=after, limit=size)
        ids = await _permitted(session, deployment, query, rows, asked.at)
        for row in rows:
            if len(found) == limit:
                return SubjectsPage(found, after)
            if row.id in ids:
                found.append(ids[row.id])
            after = row.id
        if len(rows) < size:
            return SubjectsPage(found, None)
        scanned, size = scanned + len(rows), min(_BATCH, most)
    return SubjectsPage(found, after)


async def record_search(session: WriteSession, caller: Caller, query: SubjectQuery, page: SubjectsPage) -> None:
    """Record who was handed ids, and how many: each page, for each shows more."""
    listed = Target(TargetKind.PROCESSING, query.question.processing)
    await record_act(session, ActKind.SUBJECTS_SEARCHED, caller.id, listed, {"found": len(page.ids)})


async def _permitted(
    session: ReadSession, deployment: Deployment, query: SubjectQuery, rows: Sequence[ScannedConsent], now: datetime
) -> dict[UUID, str]:
    """The ids of the subjects that would be permitted, each under the one consent that the permit rests on."""
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
    """Whether a permit could rest on this consent: what ended or lapsed for good is not worth a reading.

    The stored expiry is the latest that there can be; the rules may find an earlier one.
    """
    granted = row.decision is EventKind.GRANTED and row.ended_by is None
    return granted and row.expires_at is not None and row.expires_at > now
