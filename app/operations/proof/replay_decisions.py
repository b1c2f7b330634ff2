"""Decide again what the log says was decided, on what was known then, under the settings of then.

The rules of then are those of today where their digest is the same. A row that other rules decided is decided by
today's as well, and counts as reproduced if that gives the same.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.basis import rules_digest
from app.audit.rows import NO_ID
from app.audit.store import LogRow, read_log
from app.core.article import Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import Decision, DecisionRequest, Participant
from app.core.errors import InvalidPeriodError
from app.core.evaluate import evaluate
from app.db.session import ReadSession
from app.ledger.store import events_known, load_events
from app.ledger.vault import Vault, VaultError
from app.operations.decisions.basis import SEALED_FOR, policy_of
from app.operations.decisions.evaluate_requests import present
from app.operations.proof.batch_decisions import KIND, rows_between
from app.proof import store
from app.register.records import ProcessingRecord
from app.register.store import load_processings

_PAGE: Final = 1_000
_COMPARED: Final = ("permitted", "reason", "rule", "law_version", "consent", "valid_until")
_LATE: Final = timedelta(days=1)
"""How long after its minute a batch may have been stated."""
_SUBJECT: Final = b"subject"


class NotReproducibleError(Exception):
    """Something that a decision was made on is not there any more, or was never kept; its text says what."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that comes out otherwise: its id, and for each column what the log says and what comes out."""

    id: UUID
    columns: Mapping[str, tuple[str, str]]


@dataclass(slots=True)
class ReplayReport:
    """What became of the decisions: `left` counts by reason those that cannot be decided again.

    `batches`: how many agree with the log. `altered`: what the others say, and what is there. `dropped`: how many
    decisions were not logged, as the batches say.
    """

    decisions: int = 0
    reproduced: int = 0
    different: list[Difference] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    dropped: int = 0
    altered: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was known of everybody whom a row names: events and holders by locators of this replay's own."""

    consents: Mapping[bytes, Sequence[ConsentEvent]]
    holders: Mapping[bytes, Sequence[Sequence[ConsentEvent]]]
    participants: tuple[Participant, ...] | None


async def replay_decisions(
    session: ReadSession, vault: Vault, since: datetime, until: datetime, tell: Callable[[int], None] = lambda _: None
) -> ReplayReport:
    """Decide again everything that was logged between two instants, and compare the batches of these minutes.

    Args:
        session: where to read.
        vault: opens who was looked at besides the subjects.
        since: the first instant.
        until: the first instant that is not meant any more.
        tell: is called with the number of decisions behind, now and then.

    """
    report = ReplayReport()
    records = await load_processings(session)
    async for page in _pages(session, since, until):
        facts = await _facts(session, vault, page)
        for row in page:
            report.decisions += 1
            try:
                _compare(report, row, _decided_again(row, records, facts[row.id]))
            except NotReproducibleError as why:
                report.left[str(why)] += 1
        tell(report.decisions)
    await _compare_batches(session, since, until, report)
    return report


async def _pages(session: ReadSession, since: datetime, until: datetime) -> AsyncIterator[Sequence[LogRow]]:
    after = None
    while page := await read_log(session, since, until, after=after, limit=_PAGE):
        yield page
        after = page[-1].id


async def _facts(session: ReadSession, vault: Vault, page: Sequence[LogRow]) -> dict[UUID, _Known | str]:
    """What was known of the people of each row; a text where that is not there any more."""
    looked_at = {row.id: _opened(vault, row.relied) for row in page}
    ids = {each for told in looked_at.values() if isinstance(told, dict) for each in _ids(told)}
    others = await events_known(session, ids)
    own = await load_events(session, {bytes(row.subject_ref) for row in page if row.known and row.relied is None})
    facts: dict[UUID, _Known | str] = {}
    for row in page:
        told = looked_at[row.id]
        if isinstance(told, str):
            facts[row.id] = told
        elif told is None:
            events = [event for event in own.get(bytes(row.subject_ref), ()) if event.order <= (row.known or 0)]
            facts[row.id] = _Known({_SUBJECT: events}, {}, None if row.participants is None else ())
        else:
            facts[row.id] = _among(told, others, has_participants=row.participants is not None)
    return facts


def _opened(vault: Vault, relied: bytes | None) -> dict[str, Any] | str | None:
    if relied is None:
        return None
    try:
        told: dict[str, Any] = json.loads(vault.open_apart(SEALED_FOR, bytes(relied)))
    except (VaultError, ValueError):
        return "who was looked at cannot be opened: the master key is not held, or it was altered"
    return told


def _ids(told: Mapping[str, Any]) -> Iterable[UUID]:
    for own, holders in told["parties"]:
        yield from (UUID(each) for each in (own, *(holders or ())) if each is not None)


def _among(told: Mapping[str, Any], known: Mapping[UUID, Sequence[ConsentEvent]], *, has_participants: bool) -> _Known:
    """What was known of several people: the subject first, then the parties with an account here."""
    locators = [_SUBJECT if place == 0 else b"party %d" % place for place in range(len(told["parties"]))]

    def events(last: str | None) -> Sequence[ConsentEvent]:
        return () if last is None else known.get(UUID(last), ())

    consents = {at: events(own) for at, (own, _) in zip(locators, told["parties"], strict=True)}
    holders = {
        at: tuple(map(events, each))
        for at, (_, each) in zip(locators, told["parties"], strict=True)
        if each is not None
    }
    here = [Participant(at, local=True) for at in (locators if told["named"] else locators[1:])]
    elsewhere = [Participant(b"elsewhere %d" % number, local=False) for number in range(told["elsewhere"])]
    return _Known(consents, holders, (*here, *elsewhere) if has_participants else None)


def _decided_again(row: LogRow, records: Mapping[str, ProcessingRecord], known: _Known | str) -> Decision:
    """The decision of a row, made again.

    Raises:
        NotReproducibleError: something that it was made on is not there.

    """
    if row.rules is None:
        raise NotReproducibleError("logged before rows told what they were decided on")
    if isinstance(known, str):
        raise NotReproducibleError(known)
    if row.relied is None and len(known.consents[_SUBJECT]) < row.known:
        raise NotReproducibleError("events that it rested on are not in the ledger any more")
    if row.relied is None and row.participants:
        raise NotReproducibleError("the other parties were not kept")
    record = _as_known(records.get(row.processing), row)
    try:
        policy = policy_of(row.policy)
    except (ValueError, InvalidPeriodError):
        raise NotReproducibleError("periods were counted in a way that these rules do not know") from None
    request = DecisionRequest(
        _SUBJECT,
        "" if row.processing == NO_ID else row.processing,
        None if row.elements is None else frozenset(map(Element, row.elements)),
        row.automated,
        Channel(row.channel),
        row.private,
        row.territory,
        known.participants,
    )
    at = present(row.at.astimezone(UTC), known.consents, record, known.holders)
    return evaluate(request, record.facts if record else None, known.consents, at, policy, known.holders)


def _as_known(record: ProcessingRecord | None, row: LogRow) -> ProcessingRecord | None:
    """The register's entry as far as it was known."""
    if not row.versions:
        return None
    if record is None or len(record.versions) < row.versions or len(record.status_changes) < row.changes:
        raise NotReproducibleError("the register lacks what was known then")
    return replace(
        record, versions=record.versions[: row.versions], status_changes=record.status_changes[: row.changes]
    )


def _compare(report: ReplayReport, row: LogRow, decided: Decision) -> None:
    differs = {}
    for name in _COMPARED:
        logged, now = getattr(row, name), getattr(decided, name)
        if (logged.astimezone(UTC) if isinstance(logged, datetime) else logged) != now:
            differs[name] = (str(logged), str(now))
    if not differs:
        report.reproduced += 1
    elif row.rules != rules_digest():
        report.left[f"decided by the rules {row.rules} of build {row.build}, and otherwise by those of today"] += 1
    else:
        report.different.append(Difference(row.id, differs))


async def _compare_batches(session: ReadSession, since: datetime, until: datetime, report: ReplayReport) -> None:
    """Compare what was stated of the log, minute by minute, with what is there."""
    for batch in await store.statements(session, KIND, since, until + _LATE):
        begins, ends = datetime.fromisoformat(batch["since"]), datetime.fromisoformat(batch["until"])
        if begins < since or ends > until:
            continue
        report.dropped += batch["dropped"]
        there = (await rows_between(session, begins, ends)).told()
        if there == {"count": batch["count"], "root": batch["root"]}:
            report.batches += 1
        elif there["count"] != batch["count"]:
            report.altered.append(
                f"{batch['since']}: {batch['count']} decisions were logged, and {there['count']} are there"
            )
        else:
            report.altered.append(f"{batch['since']}: a decision was altered")
