"""Decide again what the log says was decided, on what was known then, under the settings of that time.

The rules of that time are today's where their digest is the same. A row that other rules decided is decided by today's
as well, and counts as reproduced if they give the same.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.decision_log import NO_ID, rules_digest
from app.audit.log_reading import Period, decisions
from app.audit.segments import REF_BYTES, LoggedDecision, Shape, Wanted
from app.core.article import Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest, Participant
from app.core.errors import InvalidPeriodError
from app.core.evaluate import evaluate
from app.db.session import ReadSession
from app.ledger.identifiers import Vault, VaultError
from app.ledger.store import events_known, load_events, recording_times, whole_refs
from app.operations.decisions.judging import SEALED_FOR, policy_of
from app.operations.proof.close_hours import compare_hours
from app.register.records import ProcessingRecord, present
from app.register.store import load_processings

SUBJECT: Final = b"subject"
"""The locator of the subject, in a replay."""
_GONE: Final = "events that it rested on are not in the ledger any more"


class NotReproducibleError(Exception):
    """Something that a decision was made on is gone, or was never kept; the error's text says what."""


@dataclass(frozen=True, slots=True)
class KnownThen:
    """Events and shared mailboxes, by locators that only a replay uses.

    `recorded`: the order of each of the subject's events, and when it was recorded.
    """

    consents: Mapping[bytes, Sequence[ConsentEvent]]
    shared: frozenset[bytes]
    participants: tuple[Participant, ...] | None
    recorded: Sequence[tuple[int, datetime]]


async def facts_of_then(session: ReadSession, vault: Vault, page: Sequence[LoggedDecision]) -> list[KnownThen | str]:
    """Return what each decision of a page was made on, in their order; a text instead where that is gone."""
    looked_at = [_opened(vault, row) for row in page]
    others = await events_known(session, {each for item in looked_at if isinstance(item, dict) for each in _ids(item)})
    # The log has the first half of a reference, which is random: no two people share it.
    refs = await whole_refs(session, {row.person for row in page})
    events, times = await load_events(session, refs), await recording_times(session, refs)
    own = {ref[:REF_BYTES]: of_one for ref, of_one in events.items()}
    recorded = {ref[:REF_BYTES]: of_one for ref, of_one in times.items()}
    return [
        basis if isinstance(basis, str) else _of_row(row, basis, own, others, recorded.get(row.person, ()))
        for row, basis in zip(page, looked_at, strict=True)
    ]


def _of_row(
    row: LoggedDecision,
    basis: Mapping[str, Any] | None,
    own: Mapping[bytes, Sequence[ConsentEvent]],
    others: Mapping[UUID, Sequence[ConsentEvent]],
    recorded: Sequence[tuple[int, datetime]],
) -> KnownThen | str:
    facts = row.facts
    if basis is None:
        if facts.participants:
            return "the other parties were not kept"
        events = [event for event in own.get(row.person, ()) if event.order <= facts.known]
        if len(events) < facts.known:
            return _GONE
        return KnownThen({SUBJECT: events}, frozenset(), None if facts.participants is None else (), recorded)
    if not set(_ids(basis)) <= others.keys():
        return _GONE
    # The subject first, then the parties with an account here.
    locators = [SUBJECT if place == 0 else b"party %d" % place for place in range(len(basis["parties"]))]
    parties = list(zip(locators, basis["parties"], strict=True))
    consents = {at: () if last is None else others[UUID(last)] for at, (last, _) in parties}
    shared = frozenset(at for at, (_, is_shared) in parties if is_shared)
    here = [Participant(at, local=True) for at in (locators if basis["named"] else locators[1:])]
    elsewhere = [Participant(b"elsewhere %d" % number, local=False) for number in range(basis["elsewhere"])]
    return KnownThen(consents, shared, None if facts.participants is None else (*here, *elsewhere), recorded)


def _opened(vault: Vault, row: LoggedDecision) -> dict[str, Any] | str | None:
    """Return who was looked at, if the row says so (None: not); a text if that cannot be opened or is another row's."""
    if row.facts.relied is None:
        return None
    try:
        basis: dict[str, Any] = json.loads(vault.open_apart(SEALED_FOR, row.facts.relied))
    except (VaultError, ValueError):
        return "who was looked at cannot be opened: the master key is not held, or it was altered"
    if basis["row"] is not None and bytes.fromhex(basis["row"])[:REF_BYTES] != row.person:
        return "who was looked at is another row's"
    return basis


def _ids(basis: Mapping[str, Any]) -> Iterable[UUID]:
    yield from (UUID(last) for last, _ in basis["parties"] if last is not None)


async def replay_report(session: ReadSession, vault: Vault, since: datetime, until: datetime) -> dict[str, Any]:
    """Decide everything of a period again, compare the log with its statements, and return the outcome for JSON.

    Args:
        session: where to read; it holds the log still.
        vault: opens who was looked at besides the subjects.
        since: the first instant.
        until: the first instant after the period.

    """
    report = await replay_decisions(session, vault, since, until)
    hours = await compare_hours(session, since, until)
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "decisions": report.decisions,
        "reproduced": report.reproduced,
        "different": len(report.different),
        "differences": [each.json() for each in report.different],
        "not_reproducible": dict(report.left),
        "segments_that_agree": hours.same,
        "altered": len(hours.altered),
        "late": hours.late,
        "not_stated_yet": hours.waiting,
        "not_logged": hours.dropped,
    }


_PAGE: Final = 1_000
_COMPARED: Final = ("permitted", "reason", "rule", "law_version", "consent", "valid_until")
HEARD_WITHIN: Final = timedelta(seconds=15)
"""Longer than the longest lease and margin: by then every worker knows of what was recorded, or does not decide."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that comes out differently: its id, and for each column what the log says and what comes out."""

    id: UUID
    columns: Mapping[str, tuple[str, str]]

    def json(self) -> dict[str, Any]:
        """Return it as JSON for a file: by column, what the log says and what comes out now."""
        return {
            "id": str(self.id),
            "columns": {name: {"log": log, "now": now} for name, (log, now) in self.columns.items()},
        }


@dataclass(slots=True)
class ReplayReport:
    """What became of the decisions; `left` counts, by reason, those that cannot be decided again."""

    decisions: int = 0
    reproduced: int = 0
    different: list[Difference] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    def by_column(self) -> Counter[str]:
        """Return in how many decisions each column comes out differently."""
        return Counter(name for each in self.different for name in each.columns)


async def replay_decisions(
    session: ReadSession,
    vault: Vault,
    since: datetime,
    until: datetime,
    tell: Callable[[float, str], None] = lambda *_: None,
) -> ReplayReport:
    """Decide again everything that was logged between two instants.

    Args:
        session: where to read.
        vault: opens who was looked at besides the subjects.
        since: the first instant.
        until: the first instant after the period.
        tell: is called now and then with the share that is done, and the number of decisions in words.

    """
    report = ReplayReport()
    records = await load_processings(session)
    period = await Period.of(session, since, until)
    async for page in _pages(session, since, until):
        for row, knowledge in zip(page, await facts_of_then(session, vault, page), strict=True):
            report.decisions += 1
            try:
                _compare(report, row, _decided_again(row, records, knowledge))
            except NotReproducibleError as why:
                report.left[str(why)] += 1
        tell(period.share_after(page[-1].at), f"{report.decisions:,} decisions")
    return report


async def _pages(session: ReadSession, since: datetime, until: datetime) -> AsyncIterator[Sequence[LoggedDecision]]:
    """Yield the decisions, some at a time: facts are looked up for a page at once."""
    page: list[LoggedDecision] = []
    async for _, batch in decisions(session, Wanted(since, until)):
        for decision in batch:
            page.append(decision)
            if len(page) == _PAGE:
                yield page
                page = []
    if page:
        yield page


def _decided_again(
    row: LoggedDecision, records: Mapping[str, ProcessingRecord], knowledge: KnownThen | str
) -> dict[str, Any]:
    """Return what the columns of a row would be if it were decided again.

    Raises:
        NotReproducibleError: something that it was made on is gone.

    """
    if isinstance(knowledge, str):
        raise NotReproducibleError(knowledge)
    shape, at_row = row.facts.shape, row.at
    record = _as_known(records.get(shape.processing), shape)
    try:
        policy = policy_of(shape.policy)
    except (ValueError, InvalidPeriodError):
        raise NotReproducibleError("periods were counted in a way that these rules do not know") from None
    request = DecisionRequest(
        SUBJECT,
        "" if shape.processing == NO_ID else shape.processing,
        None if shape.elements is None else frozenset(map(Element, shape.elements)),
        shape.automated,
        Channel(shape.channel),
        shape.private,
        shape.territory,
        knowledge.participants,
    )
    facts = record.facts if record is not None else None
    at = present(at_row, knowledge.consents, record)
    decision = evaluate(request, facts, knowledge.consents, at, policy, knowledge.shared)
    version = facts.version_at(at) if facts is not None else None
    return {
        **{name: getattr(decision, name) for name in _COMPARED},
        "version": version.number if version is not None else None,
        "party_mode": version.party_mode.value if version is not None else None,
        "known": max((event.order for event in knowledge.consents[SUBJECT]), default=0),
        "participants": None if knowledge.participants is None else len(knowledge.participants),
        "heard in time": _heard_in_time(row, records, knowledge),
    }


def _as_known(record: ProcessingRecord | None, shape: Shape) -> ProcessingRecord | None:
    """Return the register's entry with the versions and changes that the decision knew."""
    if not shape.versions:
        return None
    if record is None or len(record.versions) < shape.versions or len(record.changes) < shape.changes:
        raise NotReproducibleError("the register lacks what was known then")
    return replace(record, versions=record.versions[: shape.versions], changes=record.changes[: shape.changes])


def _heard_in_time(row: LoggedDecision, records: Mapping[str, ProcessingRecord], knowledge: KnownThen) -> bool:
    """Return whether what a row knew of subject and register is what was recorded by then, within `HEARD_WITHIN`."""
    shape = row.facts.shape
    recorded = [(order <= row.facts.known, time) for order, time in knowledge.recorded]
    record = records.get(shape.processing)
    # In an outage exempt purposes are answered on the register as it was read before.
    if record is not None and record.facts.rests_on_consent:
        recorded += [(place < shape.versions, each.recorded_at) for place, each in enumerate(record.versions)]
        recorded += [(place < shape.changes, each.at) for place, each in enumerate(record.changes)]
    earliest, latest = row.at - HEARD_WITHIN, row.at + HEARD_WITHIN
    return all(time <= latest if was_known else time >= earliest for was_known, time in recorded)


def _compare(report: ReplayReport, row: LoggedDecision, again: Mapping[str, Any]) -> None:
    differs, columns = {}, {**row.facts.by_name(), "heard in time": True}
    for name, now in again.items():
        logged = columns[name]
        if logged != now:
            differs[name] = (str(logged), str(now))
    if not differs:
        report.reproduced += 1
    elif columns["rules"] != rules_digest() and "heard in time" not in differs:
        by = f"the rules {columns['rules']} of build {columns['build']}"
        report.left[f"decided by {by}, and otherwise by those of today"] += 1
    else:
        report.different.append(Difference(row.id, differs))
