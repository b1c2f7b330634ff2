"""Who can be reached with questions about data protection, as everyone is told.

A stranger sees only what every page that asks shows anyway: no processing, and nothing of exempt ones, of proposals, or
of what is planned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.consent_text import Who
from app.core.processing import Status
from app.db.session import ReadSession
from app.register.records import version_shown, who_is
from app.register.store import load_controllers, load_processings

KEPT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Reachable:
    """A controller, and the contacts for data protection of what it answers for."""

    who: Who
    contacts: tuple[str, ...]


class ReachableOnes:
    """Who can be reached, remembered for a minute: anyone may ask, and the register may be large."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._kept: tuple[Reachable, ...] = ()
        self._until = 0.0

    def at(self, now: float) -> Sequence[Reachable] | None:
        """Return what is remembered; None once it is to be read again (`now`: an epoch time)."""
        return self._kept if now < self._until else None

    def keep(self, reachable: Sequence[Reachable], now: float) -> None:
        """Remember what was read at an instant."""
        self._kept, self._until = tuple(reachable), now + KEPT_SECONDS


async def whom_to_reach(session: ReadSession) -> list[Reachable]:
    """Return the controllers of each processing ever asked about, as named today, each once, in order of ids."""
    now = await session.now()
    contacts: dict[str, list[str]] = {}
    for record in (await load_processings(session)).values():
        begun = record.facts.status_at(now) is not Status.PROPOSED and record.facts.version_at(now) is not None
        if not record.facts.rests_on_consent or not begun:
            continue
        version = version_shown(record, now)
        for controller in version.controllers:
            contacts.setdefault(controller, []).extend([version.contact] if version.contact is not None else [])
    controllers = await load_controllers(session, contacts)
    return [Reachable(who_is(record), tuple(dict.fromkeys(contacts[each]))) for each, record in controllers.items()]
