"""What was known of the people whom a row of the decision log names, when it was decided."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.store import LogRow
from app.core.consent import ConsentEvent
from app.core.decision import Participant
from app.db.session import ReadSession
from app.ledger.store import events_known, load_events, recording_times
from app.ledger.vault import Vault, VaultError
from app.operations.decisions.judging import SEALED_FOR

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
