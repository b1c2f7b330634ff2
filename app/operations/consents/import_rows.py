"""Record rows of another system: at their own dates, each once, with such proof as exists.

`record` records each row as it does a single decision; only the ledgers are opened many at a time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from app.auth.callers import Caller
from app.core.consent import EventKind, State
from app.core.errors import DomainError
from app.core.register import (
    Gated,
    ImportNotApprovedError,
    ImportOfAnotherError,
    ImportUntilError,
    RegisterApproval,
    RowChangedError,
)
from app.db.session import PartRefusedError, WriteSession
from app.ledger.imports import (
    ImportSource,
    RowHashes,
    add_counts,
    hold_source,
    keep_rows,
    known_rows,
)
from app.operations.consents.ledgers import OpenLedgers, open_ledgers
from app.operations.consents.recorder import Collected, ConsentView, Withdrawal, named_in, record
from app.operations.consents.statements import record_import
from app.operations.service.deployment import Deployment
from app.operations.service.gate import how_many_decide, propose
from app.register.gate import load_approved

_AT_A_STRETCH: Final = 10


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """One row: its id in the older system, what it says as one text, and the decision in it."""

    source_id: str
    content: str
    decision: Collected | Withdrawal


@dataclass(frozen=True, slots=True)
class Import:
    """What the caller says of the whole: its name, how many grants it will hold, and whether receivers are notified.

    `dry_run`: it is undone, and so needs no approval. `until`: the instant until which the older system decided.
    """

    source: str
    grants_expected: int
    until: datetime | None
    approval: RegisterApproval
    notify: bool
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a row: the entry's id and the consent's state; or `unchanged`, recorded before; or why refused.

    `proven`: for a grant, whether its proof was complete; a grant without complete proof never permits. `ref`: the
    subject_ref of the person whose ledger has the entry.
    """

    id: UUID | None = None
    state: State | None = None
    proven: bool | None = None
    unchanged: bool = False
    refused: Exception | None = None
    ref: bytes = b""


async def propose_import(session: WriteSession, caller: Caller, import_: Import, rows: Sequence[ImportedRow]) -> None:
    """Begin an import without a row, and propose it to a second person: how many grants, decided until when.

    The number is what the caller expects, or what the import has with these rows if that is more.

    Raises:
        PersonsOnlyError, NoSecondPersonError: it could never be approved.
        ImportOfAnotherError: another caller began the import of this name.
        ProposalPendingError: it waits already, with other numbers.

    """
    source = await hold_source(session, import_.source, caller.id, import_.grants_expected, import_.until)
    if source.made_by != caller.id:
        raise ImportOfAnotherError(field="import")
    grants = source.grants + sum(map(_is_grant, rows))
    approvable = _approvable(replace(source, expected=max(source.expected, grants)))
    await propose(session, caller, Gated.IMPORT, import_.source, approvable)


def _approvable(source: ImportSource) -> dict[str, Any]:
    """Return what is approved of an import: how many grants, and until when the older system decided."""
    until = source.until.astimezone(UTC).isoformat() if source.until is not None else None
    return {"grants": source.expected, "until": until}


async def import_rows(
    session: WriteSession, deployment: Deployment, caller: Caller, import_: Import, rows: Sequence[ImportedRow]
) -> list[Verdict]:
    """Record rows of one import, each independently: a refused row leaves the others.

    `source` and `source_id` identify a row: one that was recorded before is unchanged, or refused if its content
    differs.

    Raises:
        ImportNotApprovedError: a second person must approve the grants first; nothing was recorded.
        ImportOfAnotherError: another caller began the import of this name.
        ImportUntilError: `until` lies in the future, or differs from the one that this import began with.

    """
    source = await hold_source(session, import_.source, caller.id, import_.grants_expected, import_.until)
    if source.made_by != caller.id:
        raise ImportOfAnotherError(field="import")
    if import_.until is not None and import_.until > await session.now():
        raise ImportUntilError("The older system has stopped deciding: this time lies in the future.", field="until")
    if (import_.until or source.until) != source.until:
        raise ImportUntilError(field="until")
    hashed, name = deployment.pseudonyms.opaque, import_.source
    hashes = [
        RowHashes(hashed("import-row", f"{name}\n{row.source_id}"), hashed("import-content", f"{name}\n{row.content}"))
        for row in rows
    ]
    known = await known_rows(session, [each.row for each in hashes])
    verdicts: dict[int, Verdict] = {}
    first: dict[bytes, int] = {}
    for place, item in enumerate(hashes):
        if item.row in known:
            verdicts[place] = _repeated(known[item.row], item)
        else:
            first.setdefault(item.row, place)
    left = list(first.values())
    wanted = replace(import_, until=source.until)
    recorded = await _record(session, deployment, caller, wanted, [rows[place] for place in left])
    verdicts.update(zip(left, recorded, strict=True))
    for place, item in enumerate(hashes):
        if place not in verdicts:  # it stands twice in this request: the first one's verdict holds for both
            before = verdicts[first[item.row]]
            verdicts[place] = before if before.refused is not None else _repeated(hashes[first[item.row]].content, item)
    done = [place for place in left if verdicts[place].refused is None]
    keep_rows(session, [(hashes[place], verdicts[place].ref) for place in done])
    grants = sum(1 for place in done if _is_grant(rows[place]))
    await add_counts(session, import_.source, rows=len(done), grants=grants)
    await _require_approval(session, import_, source, source.grants + grants)
    if done:
        await record_import(session, caller)
    if known:
        await session.repeat()  # the first time of these may have narrowed without being confirmed or noted
    return [verdicts[place] for place in range(len(rows))]


def _repeated(content: bytes, row: RowHashes) -> Verdict:
    """Return the verdict on a row that was recorded before with this content."""
    return Verdict(unchanged=True) if content == row.content else Verdict(refused=RowChangedError(field="source_id"))


async def _require_approval(session: WriteSession, import_: Import, source: ImportSource, grants: int) -> None:
    """Refuse grants unless a second person approved at least as many of them, decided until the same instant."""
    wanted = max(import_.grants_expected, grants)
    if not wanted or import_.dry_run or await how_many_decide(session, import_.approval) is RegisterApproval.ONE:
        return
    until = _approvable(source)["until"]
    approved = await load_approved(session, Gated.IMPORT, source.name)
    if not any(each.wanted["until"] == until and wanted <= each.wanted["grants"] for each in approved):
        raise ImportNotApprovedError


def _is_grant(row: ImportedRow) -> bool:
    return isinstance(row.decision, Collected) and row.decision.kind is EventKind.GRANTED


async def _record(
    session: WriteSession, deployment: Deployment, caller: Caller, import_: Import, rows: Sequence[ImportedRow]
) -> list[Verdict]:
    """Record each row for itself, in their order."""
    refusals = [_refusal(deployment, caller, row) for row in rows]
    allowed = [row for row, refused in zip(rows, refusals, strict=True) if refused is None]
    processings = {row.decision.processing for row in allowed if row.decision.processing is not None}
    named = named_in(row.decision for row in allowed)
    opened = await open_ledgers(session, deployment, named, processings, documents=named)
    verdicts = []
    for number, (row, refused) in enumerate(zip(rows, refusals, strict=True)):
        is_refused = refused is not None
        verdicts.append(Verdict(refused=refused) if is_refused else await _record_row(opened, caller, import_, row))
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)  # decisions of this process are answered meanwhile
    return verdicts


def _refusal(deployment: Deployment, caller: Caller, row: ImportedRow) -> DomainError | None:
    """Return why a row is refused before any look-up: the caller may not name its processing, or the id is bad."""
    try:
        caller.require_processing(row.decision.processing)
        deployment.pseudonyms.ids.normalise(row.decision.subject.type, row.decision.subject.id)
    except DomainError as error:
        return error
    return None


async def _record_row(opened: OpenLedgers, caller: Caller, import_: Import, row: ImportedRow) -> Verdict:
    decision = replace(row.decision, historic=True, quiet=not import_.notify)
    if isinstance(decision, Collected):
        if decision.kind is EventKind.GRANTED and import_.until is None:
            return Verdict(refused=ImportUntilError(field="until"))
        decision = replace(decision, until=import_.until)
    try:
        recorded = await record(caller, decision, opened)
    except (DomainError, PartRefusedError) as error:
        return Verdict(refused=error)
    event = recorded.entry.event
    if not isinstance(recorded.done, ConsentView):
        return Verdict(event.id, ref=recorded.entry.subject_ref)
    proven = event.collection.text_known if event.kind is EventKind.GRANTED else None
    return Verdict(event.id, recorded.done.state, proven, ref=recorded.entry.subject_ref)
