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

from app.audit.decision_log import COLUMNS, NO_ID, rules_digest
from app.audit.store import LogRow, count_dropped, leaves_between, next_logged, read_log
from app.audit.trail import ActKind, TrailQuery, search_trail
from app.core.article import Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest, Participant
from app.core.errors import InvalidPeriodError
from app.core.evaluate import evaluate
from app.db.session import ReadSession, WriteSession
from app.ledger.store import events_known, load_events, recording_times
from app.ledger.vault import Vault, VaultError
from app.operations.decisions.evaluate_requests import present
from app.operations.decisions.judging import SEALED_FOR, policy_of
from app.proof import store
from app.proof.tree import root_of
from app.register.records import ProcessingRecord
from app.register.store import load_processings

KIND: Final = "decision_batch"
_SETTLED: Final = timedelta(minutes=2)
"""What is logged is written a fifth of a second later, or once the database is back: this task waits for that too."""
_MINUTE: Final = timedelta(minutes=1)


async def batch_next(session: WriteSession) -> bool:
    """State the next batch: of a minute, or of a stretch in which nothing was logged. Whether there was one."""
    if not await store.take_turn(session, store.BATCHING):
        return False
    # The database's own clock, as the log has it, whatever a test's says.
    settled = (await session.instant() - _SETTLED).replace(second=0, microsecond=0)
    last = await store.latest_statement(session, KIND)
    since = datetime.fromisoformat(last["until"]) if last is not None else settled - _MINUTE
    if since >= settled:
        return False
    first = await next_logged(session, since, settled)
    until = settled if first is None else max(since, first.replace(second=0, microsecond=0))
    if until == since:
        until = since + _MINUTE
    now = await session.now()
    told = {"since": _text(since), "until": _text(until), **await rows_between(session, since, until)}
    dropped = await count_dropped(session, since, until)
    await store.add_statement(session, session.new_id(now), KIND, now, {**told, "dropped": dropped})
    return True


async def rows_between(session: ReadSession, since: datetime, until: datetime) -> Mapping[str, Any]:
    """How many rows of the log there are between two instants, and the root of the tree over them."""
    leaves = await leaves_between(session, since, until, COLUMNS)
    return {"count": len(leaves), "root": root_of(leaves).hex()}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


_PAGE_BATCHED: Final = 1_000


@dataclass(slots=True)
class BatchReport:
    """What became of the batches that speak of a time.

    `same`: how many agree with the log. `altered`: what is wrong with the others. `retired`: how many are of days that
    were dropped, as the audit trail says. `dropped`: how many decisions were not logged. `since`, `until`: what they
    cover; None where there is none.
    """

    same: int = 0
    altered: list[str] = field(default_factory=list)
    retired: int = 0
    dropped: int = 0
    since: datetime | None = None
    until: datetime | None = None


async def compare_batches(session: ReadSession, since: datetime, until: datetime) -> BatchReport:
    """Compare every batch that speaks of some time between two instants."""
    report = BatchReport()
    if gone := await store.count_statements_gone(session):
        report.altered.append(f"{gone} statements that the log has were taken out of the database")
    days = await _days_dropped(session)
    for identifier, batch in await store.statements_about(session, KIND, since, until):
        begins, ends = datetime.fromisoformat(batch["since"]), datetime.fromisoformat(batch["until"])
        if report.until is not None and begins != report.until:
            report.altered.append(f"{report.until.isoformat()}: no batch until {batch['since']}, or two of one time")
        report.since, report.until = report.since or begins, ends
        report.dropped += batch["dropped"]
        await _compare_batches(session, report, identifier, batch, retired=begins.date().isoformat() in days)
    return report


async def _compare_batches(
    session: ReadSession, report: BatchReport, identifier: UUID, batch: Mapping[str, Any], *, retired: bool
) -> None:
    begins, ends = datetime.fromisoformat(batch["since"]), datetime.fromisoformat(batch["until"])
    there = await rows_between(session, begins, ends)
    if await store.agrees_with_its_entry(session, identifier) is False:
        report.altered.append(f"{batch['since']}: the batch is not what the log committed to")
    elif there == {"count": batch["count"], "root": batch["root"]}:
        report.same += 1
    elif retired and there["count"] == 0:
        report.retired += 1
    elif there["count"] != batch["count"]:
        report.altered.append(
            f"{batch['since']}: {batch['count']} decisions were logged, and {there['count']} are there"
        )
    else:
        report.altered.append(f"{batch['since']}: a decision was altered")


async def _days_dropped(session: ReadSession) -> set[str]:
    """The days of the log that were dropped, as the trail has it."""
    days: set[str] = set()
    query, before = TrailQuery(acts=[ActKind.DECISION_LOG_DROPPED]), None
    while page := await search_trail(session, query, before=before, limit=_PAGE_BATCHED):
        days |= {str(each.detail.get("day")) for each in page}
        before = page[-1].id
    return days


SUBJECT: Final = b"subject"
"""The locator of the subject, in a replay."""


class NotReproducibleError(Exception):
    """Something that a decision was made on is not there any more, or was never kept; its text says what."""


@dataclass(frozen=True, slots=True)
class KnownThen:
    """By locators of a replay's own: events, and which are shared mailboxes.

    `recorded`: order and time of the subject's events.
    """

    consents: Mapping[bytes, Sequence[ConsentEvent]]
    shared: frozenset[bytes]
    participants: tuple[Participant, ...] | None
    recorded: Sequence[tuple[int, datetime]]

    def heard_in_time(self, known: int, at: datetime, within: timedelta) -> bool:
        """Whether what was known of the subject is what was recorded by then, but for the last seconds."""
        return all(time <= at + within if order <= known else time >= at - within for order, time in self.recorded)


async def facts_of_then(session: ReadSession, vault: Vault, page: Sequence[LogRow]) -> list[KnownThen | str]:
    """What was known for each of some rows, in their order; a text where that is not there any more."""
    looked_at = [_opened(vault, row) for row in page]
    others = await events_known(session, {each for told in looked_at if isinstance(told, dict) for each in _ids(told)})
    refs = {bytes(row.subject_ref) for row in page}
    own, recorded = await load_events(session, refs), await recording_times(session, refs)
    return [
        told if isinstance(told, str) else _of_row(row, told, own, others, recorded.get(bytes(row.subject_ref), ()))
        for row, told in zip(page, looked_at, strict=True)
    ]


def _of_row(
    row: LogRow,
    told: Mapping[str, Any] | None,
    own: Mapping[bytes, Sequence[ConsentEvent]],
    others: Mapping[UUID, Sequence[ConsentEvent]],
    recorded: Sequence[tuple[int, datetime]],
) -> KnownThen | str:
    if told is not None:
        if not set(_ids(told)) <= others.keys():
            return "events that it rested on are not in the ledger any more"
        return _among(told, others, recorded, has_participants=row.participants is not None)
    if row.participants:
        return "the other parties were not kept"
    events = [event for event in own.get(bytes(row.subject_ref), ()) if event.order <= (row.known or 0)]
    if len(events) < (row.known or 0):
        return "events that it rested on are not in the ledger any more"
    return KnownThen({SUBJECT: events}, frozenset(), None if row.participants is None else (), recorded)


def _opened(vault: Vault, row: LogRow) -> dict[str, Any] | str | None:
    """Who was looked at, of a row that says so, if it is this row's own."""
    if row.relied is None:
        return None
    try:
        told: dict[str, Any] = json.loads(vault.open_apart(SEALED_FOR, bytes(row.relied)))
    except (VaultError, ValueError):
        return "who was looked at cannot be opened: the master key is not held, or it was altered"
    if told["row"] not in {None, bytes(row.subject_ref).hex()}:
        return "who was looked at is another row's"
    return told


def _ids(told: Mapping[str, Any]) -> Iterable[UUID]:
    yield from (UUID(last) for last, _ in told["parties"] if last is not None)


def _among(
    told: Mapping[str, Any],
    known: Mapping[UUID, Sequence[ConsentEvent]],
    recorded: Sequence[tuple[int, datetime]],
    *,
    has_participants: bool,
) -> KnownThen:
    """What was known of several people: the subject first, then the parties with an account here."""
    locators = [SUBJECT if place == 0 else b"party %d" % place for place in range(len(told["parties"]))]

    def events(last: str | None) -> Sequence[ConsentEvent]:
        return () if last is None else known.get(UUID(last), ())

    consents = {at: events(own) for at, (own, _) in zip(locators, told["parties"], strict=True)}
    shared = frozenset(at for at, (_, is_shared) in zip(locators, told["parties"], strict=True) if is_shared)
    here = [Participant(at, local=True) for at in (locators if told["named"] else locators[1:])]
    elsewhere = [Participant(b"elsewhere %d" % number, local=False) for number in range(told["elsewhere"])]
    return KnownThen(consents, shared, (*here, *elsewhere) if has_participants else None, recorded)


async def replay_report(session: ReadSession, vault: Vault, since: datetime, until: datetime) -> dict[str, Any]:
    """Decide everything of a period again, compare the log with its batches, and say what came of it, as JSON has it.

    Args:
        session: where to read.
        vault: opens who was looked at besides the subjects.
        since: the first instant.
        until: the first instant that is not meant any more.

    """
    report = await replay_decisions(session, vault, since, until)
    batches = await compare_batches(session, since, until)
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "decisions": report.decisions,
        "reproduced": report.reproduced,
        "different": len(report.different),
        "different_ids": [str(each.id) for each in report.different],
        "not_reproducible": dict(report.left),
        "batches_that_agree": batches.same,
        "altered": len(batches.altered),
        "not_logged": batches.dropped,
    }


_PAGE: Final = 1_000
_WINDOW: Final = timedelta(minutes=1)
_COMPARED: Final = ("permitted", "reason", "rule", "law_version", "consent", "valid_until")
HEARD_WITHIN: Final = timedelta(seconds=15)
"""More than the longest lease and margin: by then every worker knows of what was recorded, or does not decide."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that comes out otherwise: its id, and for each column what the log says and what comes out."""

    id: UUID
    columns: Mapping[str, tuple[str, str]]


@dataclass(slots=True)
class ReplayReport:
    """What became of the decisions: `left` counts by reason those that cannot be decided again."""

    decisions: int = 0
    reproduced: int = 0
    different: list[Difference] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


async def replay_decisions(
    session: ReadSession, vault: Vault, since: datetime, until: datetime, tell: Callable[[int], None] = lambda _: None
) -> ReplayReport:
    """Decide again everything that was logged between two instants.

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
        for row, known in zip(page, await facts_of_then(session, vault, page), strict=True):
            report.decisions += 1
            try:
                _compare(report, row, _decided_again(row, records, known))
            except NotReproducibleError as why:
                report.left[str(why)] += 1
        tell(report.decisions)
    return report


async def _pages(session: ReadSession, since: datetime, until: datetime) -> AsyncIterator[Sequence[LogRow]]:
    """The rows, a minute at a time, so that no query sorts more than that."""
    while (begins := await next_logged(session, since, until)) is not None:
        since = min(begins + _WINDOW, until)
        after = None
        while page := await read_log(session, begins, since, after=after, limit=_PAGE):
            yield page
            after = (page[-1].at, page[-1].id, bytes(page[-1].subject_ref))


def _decided_again(row: LogRow, records: Mapping[str, ProcessingRecord], known: KnownThen | str) -> dict[str, Any]:
    """What the columns of a row would be if it were decided again.

    Raises:
        NotReproducibleError: something that it was made on is not there.

    """
    if isinstance(known, str):
        raise NotReproducibleError(known)
    record, at_row = _as_known(records.get(row.processing), row), row.at.astimezone(UTC)
    try:
        policy = policy_of(row.policy)
    except (ValueError, InvalidPeriodError):
        raise NotReproducibleError("periods were counted in a way that these rules do not know") from None
    request = DecisionRequest(
        SUBJECT,
        "" if row.processing == NO_ID else row.processing,
        None if row.elements is None else frozenset(map(Element, row.elements)),
        row.automated,
        Channel(row.channel),
        row.private,
        row.territory,
        known.participants,
    )
    facts = record.facts if record is not None else None
    at = present(at_row, known.consents, record)
    decision = evaluate(request, facts, known.consents, at, policy, known.shared)
    version = facts.version_at(at) if facts is not None else None
    heard = known.heard_in_time(row.known, at_row, HEARD_WITHIN) and _register_in_time(records, row, at_row)
    return {
        **{name: getattr(decision, name) for name in _COMPARED},
        "version": version.number if version is not None else None,
        "party_mode": version.party_mode.value if version is not None else None,
        "known": max((event.order for event in known.consents[SUBJECT]), default=0),
        "participants": None if known.participants is None else len(known.participants),
        "heard in time": heard,
    }


def _as_known(record: ProcessingRecord | None, row: LogRow) -> ProcessingRecord | None:
    """The register's entry as far as it was known."""
    if not row.versions:
        return None
    if record is None or len(record.versions) < row.versions or len(record.changes) < row.changes:
        raise NotReproducibleError("the register lacks what was known then")
    return replace(record, versions=record.versions[: row.versions], changes=record.changes[: row.changes])


def _register_in_time(records: Mapping[str, ProcessingRecord], row: LogRow, at: datetime) -> bool:
    """Whether the register's entry was known as it was recorded by then, but for the last seconds."""
    record = records.get(row.processing)
    if record is None or not record.facts.rests_on_consent:
        return True  # in an outage exempt purposes are answered on the register as it was read before
    times = [each.recorded_at for each in record.versions], [each.at for each in record.changes]
    known = (row.versions, row.changes)
    return all(
        all(each <= at + HEARD_WITHIN for each in of_one[:number])
        and all(each >= at - HEARD_WITHIN for each in of_one[number:])
        for of_one, number in zip(times, known, strict=True)
    )


def _compare(report: ReplayReport, row: LogRow, again: Mapping[str, Any]) -> None:
    differs = {}
    for name, now in again.items():
        logged = True if name == "heard in time" else getattr(row, name)
        if (logged.astimezone(UTC) if isinstance(logged, datetime) else logged) != now:
            differs[name] = (str(logged), str(now))
    if not differs:
        report.reproduced += 1
    elif row.rules != rules_digest() and "heard in time" not in differs:
        report.left[f"decided by the rules {row.rules} of build {row.build}, and otherwise by those of today"] += 1
    else:
        report.different.append(Difference(row.id, differs))
