"""Decide again what the log says was decided, on what was known then, under the settings of then.

The rules of then are those of today where their digest is the same. A row that other rules decided is decided by
today's as well, and counts as reproduced if that gives the same.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.decision_log import NO_ID, rules_digest
from app.audit.store import LogRow, next_logged, read_log
from app.core.article import Channel, Element
from app.core.decision import DecisionRequest
from app.core.errors import InvalidPeriodError
from app.core.evaluate import evaluate
from app.db.session import ReadSession
from app.ledger.vault import Vault
from app.operations.decisions.evaluate_requests import present
from app.operations.decisions.judging import policy_of
from app.operations.proof.facts_of_then import SUBJECT, KnownThen, NotReproducibleError, facts_of_then
from app.register.records import ProcessingRecord
from app.register.store import load_processings

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
