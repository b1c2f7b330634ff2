"""List what the sweep flagged, each with the state of its consent now."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.consent import State
from app.core.period import PeriodPolicy
from app.core.renewal import FlagKind
from app.db.session import ReadSession
from app.ledger.flags import FlagRecord, list_flags
from app.operations.consents.search_consents import view_consents
from app.register.store import load_processings


@dataclass(frozen=True, slots=True)
class ListedRenewal:
    """A flag, and the state that a decision would see its consent in now."""

    flag: FlagRecord
    state: State


@dataclass(frozen=True, slots=True)
class RenewalPage:
    """Some flags, and where the next page begins; None when there is none."""

    items: Sequence[ListedRenewal]
    next_after: UUID | None


async def list_renewals(
    session: ReadSession,
    policy: PeriodPolicy,
    *,
    processings: Collection[str] | None,
    kinds: Collection[FlagKind],
    after: UUID | None,
    limit: int,
) -> RenewalPage:
    """The next flags on those processings (None: every one), of those kinds, oldest first."""
    named = sorted(await load_processings(session)) if processings is None else sorted(processings)
    flags = await list_flags(session, named, sorted(kinds), after=after, limit=limit + 1)
    shown = flags[:limit]
    views = await view_consents(session, policy, [(flag.subject_ref, flag.consent) for flag in shown])
    items = [ListedRenewal(flag, view.state) for flag, view in zip(shown, views, strict=True)]
    return RenewalPage(items, shown[-1].id if len(flags) > limit else None)
