"""Routes that import what another system recorded, and that approve such an import."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, NoReturn
from uuid import UUID

import structlog
from fastapi import Depends, Path, Response
from pydantic import ValidationError

from app.api.consents.import_models import (
    ApprovalBody,
    ImportAnswer,
    ImportName,
    ImportRow,
    ImportsBody,
    ImportView,
    NewImport,
)
from app.api.http.idempotency import Write, WriteDep
from app.api.http.problems import InvalidRequestError, failed, fields_of, response_to
from app.api.http.routing import problems, strict_router
from app.api.http.security import AskAgain, Needs, asked_again
from app.api.http.services import DatabaseDep, DeploymentDep, RegisterApprovalDep
from app.auth.callers import Caller, Scope
from app.auth.store import kept_as_they_are
from app.core.consent import EventKind
from app.core.register import ImportNotApprovedError
from app.db.session import PartRefusedError, WriteSession
from app.ledger.imports import ImportSource, list_sources
from app.operations.consents.grant import Collected
from app.operations.consents.import_rows import (
    Import,
    ImportedRow,
    Verdict,
    approve_import,
    import_rows,
    propose_import,
)
from app.operations.consents.withdrawal import Withdrawal
from app.operations.service.deployment import Deployment

router = strict_router("consents")
log = structlog.get_logger("sceau")

_NEEDS: Final = Needs(Scope.CONSENTS_IMPORT)
Importer = Annotated[Caller, Depends(_NEEDS)]
Again = Annotated[AskAgain, Depends(asked_again(_NEEDS))]
Approver = Annotated[Caller, Depends(Needs(Scope.REGISTER_APPROVE))]
_AT_A_STRETCH: Final = 25


class _DryRunError(Exception):
    """Ends the transaction of a dry run, with what became of the rows in it."""

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
        (422, "This is no list of up to 500 rows; what is wrong with a row is told there."),
    ),
)
async def post_import(  # noqa: PLR0917 - dependencies
    body: NewImport,
    caller: Importer,
    again: Again,
    deployment: DeploymentDep,
    approval: RegisterApprovalDep,
    write: WriteDep,
) -> Response:
    """Record up to 500 decisions of another system, each at its own date and for itself.

    A row is recorded once, by the import's name and its `source_id`: send the same rows again after a 503 or a broken
    connection. A grant whose proof is not complete, or whose text this register did not hold yet, is recorded with
    `proof: unknown` and never permits; a form signed on paper and named by `document_sha256` may be older. A dry run is
    the same, and then undone.
    """
    caller.require(Scope.CONSENTS_IMPORT)
    whole = Import(body.name, body.grants_expected, body.until, approval, body.notify, dry_run=body.dry_run)
    importing = _Importing(write, deployment, caller.id, again, whole)
    return await importing.answer(body.rows)


@router.get("/v1/imports", summary="List imports", response_model=ImportsBody, responses=problems())
async def get_imports(
    caller: Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))], database: DatabaseDep
) -> ImportsBody:
    """Every import, the latest begun first: what it has recorded, and who approved it."""
    caller.require_processing(None)
    async with database.read() as session:
        return ImportsBody(items=[_view(each) for each in await list_sources(session)])


@router.post(
    "/v1/imports/{name}/approvals",
    status_code=201,
    summary="Approve an import",
    response_model=ImportView,
    responses=problems(
        (403, "The caller is a program, or began the import itself."),
        (404, "No such import."),
        (409, "The import is not what was looked at."),
        (422, "Some fields are not as they should be."),
    ),
)
async def post_import_approval(
    name: Annotated[ImportName, Path()], body: ApprovalBody, caller: Approver, write: WriteDep
) -> Response:
    """Approve an import of grants, where a second person approves (`SCEAU_REGISTER_APPROVAL=two`).

    For persons: never for who began it, nor for whoever may be the same human being, by who made the two callers. The
    reason is kept. What is approved is named: 409 `import-changed` where the import expects more grants now, or ends at
    another instant.
    """

    async def approve(session: WriteSession) -> ImportView:
        return _view(await approve_import(session, caller, name, (body.grants_expected, body.until), body.reason))

    caller.require_processing(None)
    return await write.perform(caller, 201, approve)


def _view(source: ImportSource) -> ImportView:
    return ImportView(**asdict(source))


@dataclass(frozen=True, slots=True)
class _Importing:
    """The rows of one request."""

    write: Write
    deployment: Deployment
    caller: UUID
    ask: AskAgain
    whole: Import

    async def answer(self, items: Sequence[object]) -> Response:
        """Record what can be, and tell what became of each row."""
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
            # Recorded by itself: what is to be approved must be there.
            async with self._begun() as (session, caller):
                await propose_import(session, caller, self.whole.source, self.whole.grants_expected, self.whole.until)
            raise
        told = {**refused, **dict(zip(wanted, verdicts, strict=True))}
        return Response(_told(items, told, dry_run=self.whole.dry_run), media_type="application/json")

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[tuple[WriteSession, Caller]]:
        """A transaction, and the caller, who stays as it is until that ends.

        It is kept first: whoever revokes it waits for this transaction, or has been waited for here.
        """
        found = self.ask.lookup()
        lead = (kept_as_they_are([self.caller]), found)
        async with self.write.writer.write(None, lead, restores=True) as session:
            yield session, self.ask.admit(found.read(session.lead[found]), self.caller)

    async def _record(self, rows: Sequence[ImportedRow]) -> list[Verdict]:
        """Record rows in one transaction; one by one where the database refuses one of them for what it says."""
        try:
            return await self._together(rows)
        except PartRefusedError as error:
            if len(rows) == 1:
                log.warning("a row of an import failed", cause=type(error.__cause__).__name__)
                return [Verdict(refused=error)]
            return [verdict for row in rows for verdict in await self._record([row])]

    async def _together(self, rows: Sequence[ImportedRow]) -> list[Verdict]:
        try:
            async with self.write.writer.turns, self._begun() as (session, caller):
                async with session.attempt():
                    verdicts = await import_rows(session, self.deployment, caller, self.whole, rows)
                return _undo(verdicts) if self.whole.dry_run else verdicts
        except _DryRunError as ended:
            return list(ended.verdicts)


def _undo(verdicts: Sequence[Verdict]) -> NoReturn:
    raise _DryRunError(verdicts)


def _row(row: ImportRow) -> ImportedRow:
    evidence = row.evidence.model_dump(mode="json", exclude_none=True) if row.evidence is not None else {}
    capacity = row.capacity.model_dump(mode="json", exclude_none=True) if row.capacity is not None else None
    said: Collected | Withdrawal
    if row.decision == "withdrawn":
        method = evidence.get("method")
        said = Withdrawal(row.subject.name(), row.processing, row.at, method, capacity=capacity)
    else:
        said = Collected(
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
    return ImportedRow(row.source_id, row.model_dump_json(exclude={"source_id"}), said)


def _told(items: Sequence[object], verdicts: Mapping[int, Verdict], *, dry_run: bool) -> str:
    rows = [_answer(item, verdicts[number], dry_run=dry_run) for number, item in enumerate(items)]
    counts = {word: sum(1 for row in rows if row["result"] == word) for word in ("recorded", "unchanged", "refused")}
    return json.dumps({**counts, "rows": rows}, ensure_ascii=False, separators=(",", ":"))


def _answer(item: object, verdict: Verdict, *, dry_run: bool) -> dict[str, Any]:
    source_id = item.get("source_id") if isinstance(item, dict) else None
    told: dict[str, Any] = {"source_id": source_id} if isinstance(source_id, str) else {}
    if verdict.refused is not None:
        response = response_to(verdict.refused) or failed()
        return {**told, "result": "refused", "problem": json.loads(bytes(response.body))}
    if verdict.unchanged:
        return {**told, "result": "unchanged"}
    told["result"] = "recorded"
    if verdict.id is not None and not dry_run:
        told["id"] = str(verdict.id)
    if verdict.state is not None:
        told["state"] = verdict.state.value
    if verdict.proven is not None:
        told["proof"] = "stated" if verdict.proven else "unknown"
    return told
