"""Members of staff: registered by name, gone, back, forgotten. A person with access to the API is a member anyway."""

from uuid import UUID

import structlog

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller, CallerKind
from app.auth.store import hold_caller
from app.core.errors import MemberActiveError, NotFoundError, PersonsOnlyError
from app.db.session import WriteSession
from app.ledger.vault import SealedId, Vault, VaultError
from app.staff.records import Member
from app.staff.store import add_member, destroy_name, hold_member, keep_name, load_member, mark_left

log = structlog.get_logger("sceau.staff")


async def register_staff_member(
    session: WriteSession, vault: Vault, by: Caller, name: str, caller: UUID | None
) -> Member:
    """Keep a member's name, sealed; for a person with access to the API, under the id of that access.

    Raises:
        NotFoundError: there is no such caller.
        PersonsOnlyError: it is a program.

    """
    now = await session.now()
    if caller is None:
        member = Member(session.new_id(now), None, now, by.id)
        await add_member(session, member)
    else:
        member = await ensure_member(session, caller)
    await keep_name(session, member.id, seal_name(vault, member.id, name))
    target = Target(TargetKind.STAFF_MEMBER, str(member.id))
    await record_act(session, ActKind.STAFF_MEMBER_REGISTERED, by.id, target)
    return member


async def ensure_member(session: WriteSession, identifier: UUID) -> Member:
    """The member of that id, held until the transaction ends; a person with access to the API becomes one here.

    Raises:
        NotFoundError: no member has that id.
        PersonsOnlyError: a program has.

    """
    found = await hold_member(session, identifier)
    if found is not None:
        return found
    caller = await hold_caller(session, identifier)
    if caller is None:
        raise NotFoundError
    if caller.kind is not CallerKind.PERSON:
        raise PersonsOnlyError
    member = Member(caller.id, caller.id, await session.now())
    await add_member(session, member)  # unless another has, while this one waited for the caller
    return await hold_member(session, identifier) or member


async def change_staff_member(session: WriteSession, by: Caller, identifier: UUID, *, left: bool) -> Member:
    """Note that a member left, or is back; the time of the first note stays.

    Raises:
        NotFoundError: no member has that id.
        PersonsOnlyError: a program has.

    """
    member = await ensure_member(session, identifier)
    if left is not (member.left_at is not None):
        await mark_left(session, member.id, await session.now() if left else None)
        target = Target(TargetKind.STAFF_MEMBER, str(member.id))
        await record_act(session, ActKind.STAFF_MEMBER_CHANGED, by.id, target, {"status": "left" if left else "active"})
    return await load_member(session, member.id) or member


async def erase_staff_member(session: WriteSession, by: Caller, identifier: UUID) -> None:
    """Destroy the name of a member who left; what they acknowledged stays, under an id that identifies no person.

    Raises:
        NotFoundError: there is no such member.
        MemberActiveError: the member did not leave.

    """
    member = await hold_member(session, identifier)
    if member is None:
        raise NotFoundError
    if member.left_at is None:
        raise MemberActiveError
    await destroy_name(session, member.id)
    await record_act(session, ActKind.STAFF_MEMBER_ERASED, by.id, Target(TargetKind.STAFF_MEMBER, str(member.id)))


# --- names -----------------------------------------------------------------------------------------------------------


def seal_name(vault: Vault, member: UUID, name: str) -> tuple[str, bytes, bytes]:
    """A name, under a key of its own."""
    sealed = vault.seal(_ref(member), name)
    return sealed.master_key_id, sealed.wrapped_key, sealed.sealed_id


def open_name(vault: Vault, member: UUID, sealed: tuple[str, bytes, bytes]) -> str | None:
    """The name; None where the keys of this deployment do not open it, so that the others are still told."""
    try:
        return vault.open(SealedId(*sealed, _ref(member)))
    except VaultError:
        log.warning("a name cannot be opened: is its master key still in SCEAU_MASTER_KEY?", member=str(member))
        return None


def _ref(member: UUID) -> bytes:
    return b"staff member " + member.bytes
