"""Take note of what a receiver did after a consent ended: that it stopped, or that it erased what was derived."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.events.effects import Effect, Owed, acknowledge, find_owed, owe_one
from app.operations.webhooks.erasure_delays import erasure_delays


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
