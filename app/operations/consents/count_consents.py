"""Count every consent by processing and state, and those in force by the month in which they lapse."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from app.audit.figures import Figure, keep_figure, one_at_a_time
from app.core.article import PARIS
from app.core.consent import ConsentEvent, EventKind, State
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.core.state import consent_expiry, consent_state
from app.db.session import WriteSession
from app.ledger.store import ConsentGroup, count_groups, doubted_histories
from app.register.store import load_processings

NAME: Final = "consents"

Key = tuple[str, State, str]
"""Processing, state, and for what is in force the month of its expiry in Paris (`2027-03`); else ""."""

_ENDED: Final = {
    EventKind.CLOSED: State.CLOSED,
    EventKind.WITHDRAWN: State.WITHDRAWN,
    EventKind.REFUSED: State.REPLACED,
    EventKind.GRANTED: State.REPLACED,
}


async def count_consents(session: WriteSession, policy: PeriodPolicy) -> int | None:
    """Count, and keep the numbers; how many there are, None when another process counts already.

    One pass over the projection in its own transaction, which sees all of it as of one moment
    (`Database.write(at_once=True)`). States are the core's
    (`app.core.state`), told once for each group of consents that stand and lapse together.
    """
    if not await one_at_a_time(session, NAME):
        return None
    now = await session.now()
    register = {identifier: record.facts for identifier, record in (await load_processings(session)).items()}
    counted: Counter[Key] = Counter()
    for group in await count_groups(session, now):
        counted[_key_of_group(group, register[group.processing], now, policy)] += group.number
    async for events in doubted_histories(session):
        counted.update(_keys(events, register, now, policy))
    numbers = [
        {"processing": processing, "state": state.value, "month": month, "number": number}
        for (processing, state, month), number in sorted(counted.items())
    ]
    await keep_figure(session, NAME, Figure(now, await session.now() - now, None, numbers))
    return counted.total()


def _key_of_group(group: ConsentGroup, processing: Processing, now: datetime, policy: PeriodPolicy) -> Key:
    if group.ended_by is not None:
        return processing.id, _ENDED[group.ended_by], ""
    return _key(group.example(), [], processing, now, policy)


def _keys(
    events: Iterable[ConsentEvent], register: Mapping[str, Processing], now: datetime, policy: PeriodPolicy
) -> list[Key]:
    every = list(events)
    return [
        _key(event, every, register[event.processing or ""], now, policy)
        for event in every
        if event.kind in {EventKind.GRANTED, EventKind.REFUSED}
    ]


def _key(
    consent: ConsentEvent, events: list[ConsentEvent], processing: Processing, now: datetime, policy: PeriodPolicy
) -> Key:
    at = max([now, *(event.collected_at for event in events or [consent])])
    known = events or [consent]
    state = consent_state(consent, known, processing, at, policy)
    if state is not State.IN_FORCE:
        return processing.id, state, ""
    lapses = consent_expiry(consent, known, processing, at, policy)
    return processing.id, state, f"{lapses.astimezone(PARIS):%Y-%m}"
