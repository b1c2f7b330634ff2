"""Change what a caller is called and allowed: what is taken away is gone when that is answered, on every replica."""

from dataclasses import dataclass, replace
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Authenticated, Caller, Scope
from app.auth.store import keep_changes
from app.core.errors import CallerRevokedError, ScopeNotHeldError
from app.db.session import WriteSession
from app.operations.callers.keys import held_by
from app.snapshot.tables import ChangeKind, record_change


@dataclass(frozen=True, slots=True)
class CallerChange:
    """What a caller is to be from now on; None leaves a part as it is. `every_processing` takes its list away."""

    name: str | None = None
    scopes: frozenset[Scope] | None = None
    processings: frozenset[str] | None = None
    every_processing: bool = False

    def of(self, before: Caller) -> Caller:
        """The caller as it is after this change."""
        processings = before.processings if self.processings is None else self.processings
        return replace(
            before,
            name=before.name if self.name is None else self.name,
            scopes=before.scopes if self.scopes is None else self.scopes,
            processings=None if self.every_processing else processings,
        )


async def change_caller(
    session: WriteSession, by: Authenticated | None, identifier: UUID, change: CallerChange
) -> Caller:
    """Change a caller. What it loses it has lost on every replica when that is answered; what it gains comes soon.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller.
        ScopeNotHeldError: it has, or would get, a scope or a processing that `by` does not have itself.
        CallerRevokedError: it is revoked, which is final.

    """
    before, who = await held_by(session, by, identifier)
    if before.revoked_at is not None:
        raise CallerRevokedError
    after = change.of(before)
    if who is not None and not who.covers(after.scopes, after.processings):
        raise ScopeNotHeldError
    # Not after a change that only adds. One that changes nothing may repeat one that narrowed and was never answered.
    if after == replace(before, name=after.name) or not after.covers(before.scopes, before.processings):
        session.narrow()
        session.note("other", {"what": "a caller was changed", "about": f"caller {after.id}"})
    if not before.covers(after.scopes, after.processings):
        session.widen()
    await keep_changes(session, after)
    await record_change(session, ChangeKind.CALLER, after.id.bytes)
    if after != before:
        target = Target(TargetKind.CALLER, str(after.id))
        await record_act(
            session, ActKind.CALLER_CHANGED, who.id if who is not None else None, target, _told(before, after)
        )
    return after


def _told(before: Caller, after: Caller) -> dict[str, Detail]:
    """What changed, and to what; a name is words that somebody typed. No list of processings is every one."""
    told: dict[str, Detail] = {
        "changed": [name for name in ("name", "scopes", "processings") if getattr(before, name) != getattr(after, name)]
    }
    if before.scopes != after.scopes:
        told |= {"scopes_before": sorted(before.scopes), "scopes": sorted(after.scopes)}
    if before.processings != after.processings:
        told["processings_before"] = sorted(before.processings) if before.processings is not None else None
        told["processings"] = sorted(after.processings) if after.processings is not None else None
    return told
