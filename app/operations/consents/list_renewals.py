"""List what the sweep flagged, each with the state of its consent now."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from app.audit.trail import NOTHING, ActKind, record_act
from app.auth.callers import Caller, Scope
from app.core.consent import State
from app.core.period import PeriodPolicy
from app.core.renewal import FlagKind
from app.db.session import ReadSession, WriteSession
from app.ledger.sweep import FlagRecord, list_flags
from app.ledger.vault import load_names
from app.operations.consents.search_consents import view_consents
from app.operations.service.deployment import Deployment, SubjectName
from app.register.store import load_processings


@dataclass(frozen=True, slots=True)
class ListedRenewal:
    """A flag, and the state that a decision would see its consent in now.

    `subject`: who is to be reminded, where that was asked for and the id is still kept.
    """

    flag: FlagRecord
    state: State
    subject: SubjectName | None = None


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


async def name_subjects(
    session: WriteSession, deployment: Deployment, caller: Caller, page: RenewalPage
) -> RenewalPage:
    """The same page with the users by the first of their names; who read them, and how many, is recorded.

    Raises:
        ScopeMissingError: the caller may not read who users are.

    """
    caller.require(Scope.SUBJECTS_READ)
    refs = {each.flag.subject_ref for each in page.items}
    names = await load_names(session, refs)
    named = [
        replace(each, subject=SubjectName(kept[0].type, deployment.vault.open(kept[0].sealed)))
        if (kept := names.get(each.flag.subject_ref)) is not None
        else each
        for each in page.items
    ]
    await record_act(session, ActKind.RENEWAL_SUBJECTS_READ, caller.id, NOTHING, {"found": len(names)})
    return replace(page, items=named)
