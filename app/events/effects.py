"""What receivers still owe after a consent ended: to stop, and to erase what was derived; and their acknowledgements.

A row is made with the event (`app.events.outbox`), and outlives it, because a processing may have months to erase.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.db.session import ReadSession, WriteSession, record_of
from app.events.outbox import OutboxEvent, load_progress
from app.events.tables import effect_acknowledged, effect_owed

MEDIA_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
"""The media type of a body in structured content mode (CloudEvents HTTP protocol binding 1.0.2, section 3.2)."""


def cloud_event(
    event: OutboxEvent,
    source: str,
    *,
    names: Sequence[Mapping[str, str]] | None = None,
    receiver: UUID | None = None,
) -> dict[str, Any]:
    """Return an event in the JSON event format.

    Args:
        event: the event as written to the outbox.
        source: where it comes from: the public address of this deployment.
        names: `type` and `id` of every name of the person, the first one first, for receivers that asked for subjects;
            empty once the names were erased. None leaves the members out.
        receiver: the endpoint to which it is sent, an extension attribute. A signature is then valid for one receiver,
            which could otherwise pass the message on to another as if it came from here. None leaves it out.

    """
    data = dict(event.data)
    if names is not None:
        data["subject"] = names[0] if names else None
        if names[1:]:
            data["other_names"] = names[1:]
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source,
        "type": event.type,
        "time": event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **({"receiver": str(receiver)} if receiver is not None else {}),
        "data": data,
    }


EXAMPLE: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
    "source": "https://sceau.example.fr",
    "type": "fr.sceau.consent.granted",
    "time": "2026-03-09T09:30:00.000000Z",
    "datacontenttype": "application/json",
    "data": {"consent": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e10", "processing": "ads-mail", "state": "in_force"},
}


class Effect(StrEnum):
    """What the end of a consent requires of the receiver that analysed: GDPR art. 7(3) and 17(1)(b)."""

    STOPPED = "stopped"
    ERASED = "derived_data_erased"


@dataclass(frozen=True, slots=True)
class Owed:
    """One end of a consent: when derived data must be erased by, and when each effect was first acknowledged."""

    event: UUID
    processing: str
    due_at: datetime | None
    stopped_at: datetime | None
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class EffectCount:
    """A processing's ends of consents without an acknowledged stop, without an acknowledged erasure, and overdue."""

    processing: str
    not_stopped: int
    not_erased: int
    overdue: int


async def find_owed(session: WriteSession, event: UUID) -> Owed | None:
    """Return what is owed for an event, held by this transaction; None when nothing is."""
    row = (await session.execute(select(effect_owed).where(effect_owed.c.event == event).with_for_update())).first()
    return None if row is None else record_of(Owed, row)


async def acknowledge(  # noqa: PLR0917 - one statement of one receiver
    session: WriteSession, owed: Owed, effect: Effect, by: UUID, at: datetime, count: int | None
) -> None:
    """Keep a receiver's acknowledgement; the first of each kind settles it. The row must be held (`find_owed`)."""
    row = {"event": owed.event, "effect": effect.value, "caller": by, "at": at, "number": count}
    await session.execute(insert(effect_acknowledged).values(row).on_conflict_do_nothing())
    column = effect_owed.c.stopped_at if effect is Effect.STOPPED else effect_owed.c.erased_at
    first = update(effect_owed).where(effect_owed.c.event == owed.event, column.is_(None))
    await session.execute(first.values({column.name: at}))


_COUNT: Final = text("""
SELECT processing, count(*) FILTER (WHERE stopped_at IS NULL) AS not_stopped,
    count(*) FILTER (WHERE erased_at IS NULL) AS not_erased,
    count(*) FILTER (WHERE erased_at IS NULL AND due_at < :now) AS overdue
FROM effect_owed WHERE stopped_at IS NULL OR erased_at IS NULL GROUP BY processing ORDER BY processing
""")


async def count_effects(session: ReadSession, now: datetime) -> list[EffectCount]:
    """Return what is not acknowledged yet, by processing; it is read from a partial index of those rows."""
    rows = await session.execute(_COUNT, {"now": now})
    return [record_of(EffectCount, row) for row in rows]


# Counts of deliveries, present and past: for metrics and for the record of job runs.

MOST_COUNTED: Final = 10_000
"""The limit to which undispatched events are counted: the count is read at each scrape."""

_COUNT_EVENTS: Final = """
INSERT INTO webhook_count (endpoint, outcome, number)
SELECT id, :outcome, :number FROM webhook_endpoint WHERE id = :endpoint
ON CONFLICT (endpoint, outcome) DO UPDATE SET number = webhook_count.number + excluded.number
"""
_LOST: Final = "lost_"
"""The prefix of the outcome for deliveries that were dropped before they were delivered."""
_UNFINISHED: Final = """
SELECT endpoint, status, count(*) AS number FROM webhook_delivery WHERE status <> 'delivered' GROUP BY endpoint, status
"""
_UNDISPATCHED: Final = """
SELECT count(*) FROM (
    SELECT FROM outbox WHERE (xid, seq, id) > (CAST(:xid AS text)::xid8, :seq, :event) LIMIT :most
) AS waiting
"""


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Attempts so far by endpoint and outcome; deliveries that are pending or dead; events not dispatched yet.

    `attempts` only grows: by `delivered`, a status such as `500`, or a class of error such as `timeout`. So does
    `lost`: deliveries that were `pending` or `dead` when their events became too old to be kept.
    """

    attempts: Mapping[tuple[UUID, str], int] = field(default_factory=dict)
    unfinished: Mapping[tuple[UUID, str], int] = field(default_factory=dict)
    undispatched: int = 0
    lost: Mapping[tuple[UUID, str], int] = field(default_factory=dict)


async def count_attempt(session: WriteSession, endpoint: UUID, outcome: str) -> None:
    """Count one more attempt; the endpoint's row must be held, so that it is not removed meanwhile."""
    await session.execute(text(_COUNT_EVENTS), {"endpoint": endpoint, "outcome": outcome, "number": 1})


async def count_lost(session: WriteSession, lost: Mapping[tuple[UUID, str], int]) -> None:
    """Count deliveries that were dropped undelivered, by endpoint and status; the endpoints' rows must be held."""
    for (endpoint, status), number in lost.items():
        await session.execute(text(_COUNT_EVENTS), {"endpoint": endpoint, "outcome": _LOST + status, "number": number})


async def load_counts(session: ReadSession) -> DeliveryCounts:
    """Return all counts; the cost depends on what is not delivered yet, not on what was delivered."""
    counted = (await session.execute(text("SELECT endpoint, outcome, number FROM webhook_count"))).all()
    unfinished = await session.execute(text(_UNFINISHED))
    place = await load_progress(session, "dispatched")
    attempts: dict[tuple[UUID, str], int] = {}
    lost: dict[tuple[UUID, str], int] = {}
    for row in counted:
        of = lost if row.outcome.startswith(_LOST) else attempts
        of[row.endpoint, row.outcome.removeprefix(_LOST)] = row.number
    return DeliveryCounts(
        attempts,
        {(row.endpoint, row.status): row.number for row in unfinished},
        (await session.execute(text(_UNDISPATCHED), {**place.columns(), "most": MOST_COUNTED})).scalar_one(),
        lost,
    )
