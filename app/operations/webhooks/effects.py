"""What receivers owe once a consent ended: how soon, and their word that it was done."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.db.session import ReadSession, WriteSession
from app.events.effects import Effect, Owed, acknowledge, find_owed, owe_one
from app.operations.decisions.evaluate_requests import present
from app.register.store import load_processings


async def erasure_delays(session: ReadSession) -> dict[str, str | None]:
    """ISO 8601 durations by processing; None where the register does not say."""
    now = await session.now()
    delays: dict[str, str | None] = {}
    for identifier, record in (await load_processings(session)).items():
        current = record.facts.version_at(present(now, {}, record)) or record.facts.versions[0]
        delay = current.derived_data_erased_within
        delays[identifier] = None if delay is None else str(delay)
    return delays


@dataclass(frozen=True, slots=True)
class AcknowledgedEffect:
    """What was owed before, and when this was taken note of."""

    owed: Owed
    effect: Effect
    at: datetime

    @property
    def outstanding(self) -> list[Effect]:
        """What nobody said to have done yet."""
        done = {
            Effect.STOPPED: self.owed.stopped_at is not None or self.effect is Effect.STOPPED,
            Effect.ERASED: self.owed.erased_at is not None or self.effect is Effect.ERASED,
        }
        return [effect for effect in Effect if not done[effect]]


async def acknowledge_effect(
    session: WriteSession, caller: Caller, event: UUID, effect: Effect, count: int | None
) -> AcknowledgedEffect:
    """Keep who did what after which event. Saying it again changes nothing: the first time counts.

    Raises:
        NotFoundError: the event ended no consent, is not kept any more, or is about what the caller may not name.

    """
    owed = await find_owed(session, event)
    if owed is None:
        await owe_one(session, event, await erasure_delays(session))
        owed = await find_owed(session, event)
    if owed is None or not caller.may_ask_about(owed.processing):
        raise NotFoundError("No event of that id ended a consent, or it is not kept any more.", field="event")
    now = await session.now()
    await acknowledge(session, owed, effect, caller.id, now, count)
    return AcknowledgedEffect(owed, effect, now)
