"""Routes that import what another system recorded, and that approve such an import."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

import structlog
from fastapi import Depends, Response
from pydantic import (
    BaseModel,
    Field,
    SkipValidation,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from app.api.consents.routes import Authenticated, Capacity, Language, Method, Sha256, Territory, Token, Version
from app.api.http.problems import InvalidRequestError, Problem, failed, fields_of, response_to
from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep, RegisterApprovalDep, Write, WriteDep, as_caller
from app.api.http.wire import Instant, ProcessingId, RecordView, SubjectBody, WireModel, at_fault, examples
from app.auth.callers import Caller, Scope
from app.core.article import Element
from app.core.consent import DefaultState, EventKind, PositiveAct, State
from app.core.register import ImportNotApprovedError
from app.db.session import PartRefusedError, WriteSession
from app.ledger.imports import list_sources
from app.operations.consents.import_rows import (
    Import,
    ImportedRow,
    Verdict,
    import_rows,
    propose_import,
)
from app.operations.consents.recorder import Collected, Withdrawal
from app.operations.service.deployment import Deployment

MOST: int = 500
"""How many rows one request may hold."""
ImportName = Annotated[
    StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="What the import is called")
]

_UNTIL = "2026-06-01T00:00:00Z"
_ROW: dict[str, Any] = {
    "source_id": "crm-4711",
    "subject": {"type": "user", "id": "paul@example.fr"},
    "processing": "ads-mail",
    "decision": "granted",
    "at": "2026-03-10T09:00:00Z",
    "evidence": {"method": "paper", "positive_act": "signed", "language": "fr"},
}


class ImportedEvidence(WireModel):
    """What the older system kept of how it was collected; what it did not keep is left out, and proves nothing."""

    method: Method | None = None
    positive_act: PositiveAct | None = None
    default_state: DefaultState | None = None
    separate_from_terms: StrictBool | None = None
    conditional: StrictBool | None = None
    language: Language | None = None
    notice_version: Version | Token | None = None
    presented_text_sha256: Sha256 | None = None
    document_sha256: Sha256 | None = None
    authentication: Authenticated | None = None


class ImportRow(WireModel):
    """One decision that another system recorded."""

    model_config = examples(_ROW)

    source_id: Annotated[StrictStr, Field(min_length=1, max_length=200)] = Field(
        description="What the older system calls it: a row is recorded once; kept as a keyed hash only"
    )
    subject: SubjectBody
    processing: ProcessingId | None = Field(default=None, description="Left out: a withdrawal from every processing")
    decision: Literal["granted", "refused", "withdrawn"]
    at: Instant = Field(description="When the person decided")
    version: Version | None = None
    elements: Annotated[list[Element], Field(min_length=1, max_length=16)] | None = None
    territory: Territory = "FR"
    evidence: ImportedEvidence | None = None
    capacity: Capacity | None = None
    joint_form: StrictBool = Field(
        default=False, description="Whether several people signed the form that `document_sha256` names"
    )

    @model_validator(mode="after")
    def _specific(self) -> Self:
        if self.processing is None and self.decision != "withdrawn":
            raise at_fault("processing", "a grant or a refusal is of one processing")
        return self


class NewImport(WireModel):
    """Rows of one import."""

    model_config = examples(
        {"import": "crm-2026", "until": _UNTIL, "grants_expected": 1, "dry_run": True, "rows": [_ROW]}
    )

    name: ImportName = Field(alias="import")
    rows: Annotated[list[SkipValidation[ImportRow]], Field(max_length=MOST)] = Field(
        description="Each is checked and answered for itself"
    )
    dry_run: StrictBool = Field(default=False, description="Judge the rows, and record nothing")
    notify: StrictBool = Field(
        default=False, description="Tell receivers of each decision, as of a live one, and not only of an end"
    )
    grants_expected: Annotated[StrictInt, Field(ge=0, le=10_000_000_000)] = Field(
        default=0,
        description="How many grants the whole import holds: where two persons decide, another approves so many",
    )
    until: Instant | None = Field(
        default=None,
        description="Until when the older system decided; an import of grants must have it, the same each time. A "
        "grant after that instant, or after a no that was recorded here, is `unknown`",
    )


class RowAnswer(BaseModel):
    """What became of a row."""

    source_id: str | None = None
    result: Literal["recorded", "unchanged", "refused"]
    id: UUID | None = Field(default=None, description="The entry of the ledger; of a dry run, none")
    state: State | None = Field(default=None, description="The state of the consent at the moment of recording")
    proof: Literal["stated", "unknown"] | None = Field(
        default=None,
        description="Of a grant: `stated` as the file claims it; one that is `unknown` is recorded, and never permits",
    )
    problem: Problem | None = None


class ImportAnswer(BaseModel):
    """What became of each row, in their order, and how many of each there were."""

    recorded: int
    unchanged: int
    refused: int
    rows: list[RowAnswer]


class ImportView(RecordView):
    """One import, and what it has recorded so far."""

    name: str
    made_by: UUID
    begun_at: datetime
    rows: int
    grants: int
    expected: int = Field(description="How many grants its caller says that there are")
    until: datetime | None = Field(default=None, description="Until when the older system decided")


class ImportsBody(BaseModel):
    """The imports there were, the latest begun first."""

    items: list[ImportView]


router = strict_router("consents")
log = structlog.get_logger("sceau")

Importer = Annotated[Caller, Depends(Needs(Scope.CONSENTS_IMPORT))]
_AT_A_STRETCH: Final = 25


class _DryRunError(Exception):
    """Rolls back the transaction of a dry run, and carries the verdicts on its rows."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self.verdicts = verdicts
        super().__init__()


@router.post(
    "/v1/imports",
    summary="Import older decisions",
    response_model=ImportAnswer,
    responses=problems(
        (403, "The caller is a program: an import of grants is proposed by a person, where two approve."),
        (409, "Another person must approve the grants first."),
        (422, "This is no list of up to 500 rows; the answer says what is wrong with each row."),
    ),
)
async def post_import(
    body: NewImport,
    caller: Importer,
    deployment: DeploymentDep,
    approval: RegisterApprovalDep,
    write: WriteDep,
) -> Response:
    """Record up to 500 decisions of another system, each at its own date and for itself.

    A row is recorded once, by the import's name and its `source_id`: send the same rows again after a broken connection
    or a 503, then fewer at a time if hundreds are about one person. A grant whose proof is not complete, or whose text
    this register did not hold yet, is recorded with `proof: unknown` and never permits; a form signed on paper and
    named by `document_sha256` may be older. A dry run is the same, and then undone.
    """
    import_ = Import(body.name, body.grants_expected, body.until, approval, body.notify, dry_run=body.dry_run)
    return await _Importing(write, deployment, caller, import_).answer(body.rows)


@router.get("/v1/imports", summary="List imports", response_model=ImportsBody)
async def get_imports(caller: Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))], database: DatabaseDep) -> Response:
    """Every import, the latest begun first, with what it has recorded. `GET /v1/proposals` says who approved it."""
    caller.require_processing(None)
    async with database.read() as session:
        body = ImportsBody(items=[ImportView.of(each) for each in await list_sources(session)])
    return Response(body.model_dump_json(), media_type="application/json")  # with what there is not, as null


@dataclass(frozen=True, slots=True)
class _Importing:
    """The rows of one request."""

    write: Write
    deployment: Deployment
    caller: Caller
    import_: Import

    async def answer(self, items: Sequence[object]) -> Response:
        """Record the rows that can be recorded, and answer with the result of each row."""
        refused: dict[int, Verdict] = {}
        wanted: dict[int, ImportedRow] = {}
        for number, item in enumerate(items):
            try:
                wanted[number] = _row(ImportRow.model_validate(item))
            except ValidationError as error:
                refused[number] = Verdict(refused=InvalidRequestError(fields_of(error)))
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        try:
            verdicts = await self._record(list(wanted.values()))
        except ImportNotApprovedError:
            # The proposal gets a separate transaction, so that it is kept although this request fails.
            async with self._begun() as session:
                await propose_import(session, self.caller, self.import_, list(wanted.values()))
            raise
        by_number = {**refused, **dict(zip(wanted, verdicts, strict=True))}
        rows = [_answer(item, by_number[number], dry_run=self.import_.dry_run) for number, item in enumerate(items)]
        counts = dict.fromkeys(("recorded", "unchanged", "refused"), 0) | Counter(row["result"] for row in rows)
        content = json.dumps({**counts, "rows": rows}, ensure_ascii=False, separators=(",", ":"))
        return Response(content, media_type="application/json")

    def _begun(self) -> AbstractAsyncContextManager[WriteSession]:
        return as_caller(self.write.request, self.write.writer, self.caller, restores=True)

    async def _record(self, rows: Sequence[ImportedRow]) -> list[Verdict]:
        """Record rows in one transaction; if the database refuses a row for its content, record them one by one."""
        try:
            return await self._together(rows)
        except PartRefusedError as error:
            if len(rows) == 1:
                log.warning("a row of an import failed", cause=type(error.__cause__).__name__)
                return [Verdict(refused=error)]
            return [verdict for row in rows for verdict in await self._record([row])]

    async def _together(self, rows: Sequence[ImportedRow]) -> list[Verdict]:
        try:
            async with self.write.writer.turns, self._begun() as session:
                async with session.attempt():
                    verdicts = await import_rows(session, self.deployment, self.caller, self.import_, rows)
                if self.import_.dry_run:
                    raise _DryRunError(verdicts)  # noqa: TRY301 - the transaction's end undoes it
                return verdicts
        except _DryRunError as ended:
            return list(ended.verdicts)


def _row(row: ImportRow) -> ImportedRow:
    evidence = row.evidence.model_dump(mode="json", exclude_none=True) if row.evidence is not None else {}
    capacity = row.capacity.model_dump(mode="json", exclude_none=True) if row.capacity is not None else None
    decision: Collected | Withdrawal
    if row.decision == "withdrawn":
        method = evidence.get("method")
        decision = Withdrawal(row.subject.name(), row.processing, row.at, method, capacity=capacity)
    else:
        decision = Collected(
            subject=row.subject.name(),
            processing=row.processing or "",
            kind=EventKind(row.decision),
            evidence=evidence,
            capacity=capacity,
            version=row.version,
            elements=frozenset(row.elements) if row.elements is not None else None,
            collected_at=row.at,
            territory=row.territory,
            joint_form=row.joint_form,
        )
    return ImportedRow(row.source_id, row.model_dump_json(exclude={"source_id"}), decision)


def _answer(item: object, verdict: Verdict, *, dry_run: bool) -> dict[str, Any]:
    source_id = item.get("source_id") if isinstance(item, dict) else None
    members: dict[str, Any] = {"source_id": source_id} if isinstance(source_id, str) else {}
    if verdict.refused is not None:
        response = response_to(verdict.refused) or failed()
        return {**members, "result": "refused", "problem": json.loads(bytes(response.body))}
    if verdict.unchanged:
        return {**members, "result": "unchanged"}
    members["result"] = "recorded"
    if verdict.id is not None and not dry_run:
        members["id"] = str(verdict.id)
    if verdict.state is not None:
        members["state"] = verdict.state.value
    if verdict.proven is not None:
        members["proof"] = "stated" if verdict.proven else "unknown"
    return members
