"""Explanations: why a decision was, or would have been, what it is; for a data-protection officer and a regulator."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Depends
from pydantic import BaseModel, Field

from app.api.decisions.models import Action, DecisionContext, ExplanationRequest, Resource, Subject
from app.api.decisions.reading import question_of, read_members
from app.api.http.problems import FieldError, InvalidRequestError, MalformedError
from app.api.http.security import Needs, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep
from app.auth.callers import Caller, Scope
from app.core.consent import EventKind
from app.core.processing import PartyMode
from app.db.session import as_columns
from app.operations.decisions.judging import answer, has_not_begun, leaves_unsaid
from app.operations.decisions.searches import Explanation, explain_decision

router = strict_router("audit")

Auditor = Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))]


class RuleBody(BaseModel):
    """One rule of the table in docs/law.md, in the order in which it was tried."""

    rule: str
    asks: str
    matched: bool


class ProcessingFacts(BaseModel):
    """What the register held of the processing at the instant judged."""

    id: str
    purpose: str
    version: int
    status: str
    party_mode: PartyMode
    elements: list[str]


class EventFacts(BaseModel):
    """One of the subject's consent events that were looked at."""

    id: str
    kind: EventKind
    version: int | None = None
    elements: list[str] | None = None
    collected_at: datetime
    expires_at: datetime | None = None


class FactsBody(BaseModel):
    """The facts used. Other parties' consents are used too, but not shown."""

    subject_ref: str | None = Field(
        default=None, description="The subject's pseudonym (hex); absent when nothing is recorded of it"
    )
    processing: ProcessingFacts | None = None
    events: list[EventFacts]


class ExplanationBody(BaseModel):
    """The decision, every rule tried, and the facts used."""

    decision: bool
    context: DecisionContext
    at: datetime
    known_at: datetime
    rules: list[RuleBody]
    facts: FactsBody


@router.post("/v1/explanations", summary="Explain a decision, now or as of an instant")
async def post_explanation(
    body: Annotated[dict[str, Any], Body()], caller: Auditor, database: DatabaseDep, deployment: DeploymentDep
) -> ExplanationBody:
    """Replay a question from the register and the ledger: what the answer was, or would have been, and why.

    `at` is the instant judged, `known_at` the instant by which the facts used had been recorded. With both set to the
    time of an old decision, this gives that decision again. Members that are not known are refused (400), but in
    properties and `context`, which AuthZEN leaves open. The audit trail records who asked about whom.
    """
    _refuse_unknown(body)
    try:
        request = read_members(ExplanationRequest, body)
    except MalformedError as error:
        raise InvalidRequestError(error.fields) from None
    caller.require_processing(request.action.name)
    question = question_of(request, deployment.pseudonyms.locator).as_request()
    async with database.write() as session:
        explanation = await explain_decision(
            session, deployment.policy, caller, question, at=request.at, known_at=request.known_at
        )
    members: dict[str, Any] = answer(
        explanation.decision,
        None,
        unsaid=leaves_unsaid(question, explanation.decision, explanation.processing, explanation.at),
        not_begun=has_not_begun(explanation.decision, explanation.processing, explanation.at),
    )
    return ExplanationBody(
        **members,
        at=explanation.at,
        known_at=explanation.known_at,
        rules=[RuleBody(rule=rule.number, asks=rule.asks, matched=rule.matched) for rule in explanation.rules],
        facts=FactsBody(
            subject_ref=explanation.subject_ref.hex() if explanation.subject_ref is not None else None,
            processing=_processing(explanation),
            events=[EventFacts(**{**as_columns(event), "id": str(event.id)}) for event in explanation.events],
        ),
    )


def _refuse_unknown(body: dict[str, Any]) -> None:
    """Refuse members that an explanation does not know, where AuthZEN does not leave objects open for them.

    `as_of` would be ignored, and an explanation of now taken for one of then. Properties and `context` are open, as for
    a decision, but for the instants: those stand beside `context`.

    Raises:
        MalformedError: there are some; it names each.

    """
    unknown = [*body.keys() - set(ExplanationRequest.__struct_fields__)]
    for name, model in (("subject", Subject), ("action", Action), ("resource", Resource)):
        unknown += [f"{name}.{each}" for each in _members(body, name) - {*model.__struct_fields__, "properties"}]
    misplaced = [f"context.{each}" for each in ("at", "known_at") if each in _members(body, "context")]
    faults = [FieldError(field=each, message="is not a member of an explanation") for each in sorted(unknown)]
    faults += [FieldError(field=each, message="stands beside context, not in it") for each in misplaced]
    if faults:
        raise MalformedError("Members that are not known are refused here.", faults)


def _members(body: dict[str, Any], name: str) -> set[str]:
    member = body.get(name)
    return set(member) if isinstance(member, dict) else set()


def _processing(explanation: Explanation) -> ProcessingFacts | None:
    processing = explanation.processing
    if processing is None:
        return None
    version = processing.version_at(explanation.at)
    if version is None:
        return None
    return ProcessingFacts(
        id=processing.id,
        purpose=processing.purpose,
        version=version.number,
        status=processing.status_at(explanation.at),
        party_mode=version.party_mode,
        elements=sorted(version.elements),
    )
