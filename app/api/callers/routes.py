"""Callers and their keys: made, listed, changed, rotated and revoked. A key is shown once, and kept only as a hash."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.api.callers.models import (
    CallerChangeBody,
    KeyBody,
    KeysPage,
    NewIdentity,
    NewKey,
    NewKeyBody,
    NewRotation,
    RotatedBody,
    key_body,
    new_key_body,
    rotated_body,
)
from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs, as_shown
from app.api.http.services import DatabaseDep, KeyOverlapDep, PseudonymsDep, TokenCheckDep, WriterDep
from app.auth.callers import Authenticated, Caller, Scope
from app.operations.callers.keys import (
    Rotation,
    change_caller,
    create_key,
    register_identity,
    revoke_caller,
    revoke_key,
    rotate_key,
)
from app.operations.callers.list_callers import CallerView, find_caller, find_unregistered, list_callers

router = strict_router("keys")

_NEEDS = Needs(Scope.KEYS_MANAGE)
KeyManager = Annotated[Caller, Depends(_NEEDS)]
Deciding = Annotated[Authenticated, Depends(as_shown(_NEEDS))]
CallerId = Annotated[UUID, Path(alias="id", description="The id of a caller")]

_INVALID = (422, "Some fields are not as they should be.")
_FORBIDDEN = (403, "The caller lacks the scope, or would hand out, or take away, more than it holds.")
_NO_CALLER = (404, "No such caller.")
_NO_KEY = (404, "No such caller, or it has no such key.")
_REVOKED = (409, "The caller is revoked.")
_NOT_NOW = (409, "The caller is revoked, is known by its tokens, or has as many keys in force as it may.")


@router.post(
    "/v1/keys",
    status_code=201,
    summary="Make a key",
    response_model_exclude_none=True,
    responses=problems(_FORBIDDEN, _INVALID),
)
async def post_key(body: NewKey, by: Deciding, writer: WriterDep) -> NewKeyBody:
    """Make a caller and its key. A caller can give no scope and no processing that it does not hold itself.

    It may name a processing that is registered later; `unregistered` lists those that are not registered now.
    """
    async with writer.write() as session:
        made = await create_key(session, by, body.wanted(body.expires_at))
        unregistered = await find_unregistered(session, made.caller)
    return new_key_body(made).model_copy(update={"unregistered": unregistered or None})


@router.post(
    "/v1/identities",
    status_code=201,
    summary="Let in a caller by its access tokens",
    response_model_exclude_none=True,
    responses=problems(_FORBIDDEN, (409, "Another caller is known by this identity."), _INVALID),
)
async def post_identity(body: NewIdentity, by: Deciding, writer: WriterDep, token_check: TokenCheckDep) -> KeyBody:
    """Make a caller that presents access tokens of an issuer instead of a key. Tokens of others are refused.

    `/v1/keys` lists, changes and revokes it like every caller.
    """
    async with writer.write() as session:
        identity = body.identity.identity()
        made = await register_identity(session, by, body.wanted(), identity, token_check)
    return key_body(CallerView(made, [], {}))


@router.get("/v1/keys", summary="List keys", response_model_exclude_none=True, responses=problems(_INVALID))
async def get_keys(
    caller: KeyManager, database: DatabaseDep, pseudonyms: PseudonymsDep, limit: Limit = LIMIT, cursor: Cursor = None
) -> KeysPage:
    """Callers with their scopes and their last use, oldest first, revoked ones included; never their keys.

    A caller that is limited to some processings sees the callers that are limited to the same or fewer.
    """
    asked = f"keys {caller.id}"
    after = read_cursor(pseudonyms, asked, cursor)
    async with database.read() as session:
        found = await list_callers(session, caller, after=after, limit=limit + 1)
    page = found[:limit]
    return KeysPage(
        items=[key_body(each) for each in page],
        next_cursor=write_cursor(pseudonyms, asked, page[-1].caller.id if len(found) > limit else None),
    )


@router.get(
    "/v1/keys/{id}",
    summary="Read one caller",
    response_model_exclude_none=True,
    responses=problems(_NO_CALLER, _INVALID),
)
async def get_key(identifier: CallerId, caller: KeyManager, database: DatabaseDep) -> KeyBody:
    """One caller, its keys, and when each was last used."""
    async with database.read() as session:
        return key_body(await find_caller(session, caller, identifier))


@router.patch(
    "/v1/keys/{id}",
    summary="Change what a caller may do",
    response_model_exclude_none=True,
    responses=problems(_FORBIDDEN, _NO_CALLER, _REVOKED, _INVALID),
)
async def patch_key(identifier: CallerId, body: CallerChangeBody, by: Deciding, writer: WriterDep) -> KeyBody:
    """Change a caller's name, scopes or processings. When this answers, every replica applies what was taken away."""
    async with writer.write() as session:
        await change_caller(session, by, identifier, body.change())
        changed = await find_caller(session, by.caller, identifier)
    return key_body(changed)


@router.delete(
    "/v1/keys/{id}",
    status_code=204,
    summary="Revoke a caller",
    responses=problems(_FORBIDDEN, _NO_CALLER, _INVALID),
)
async def delete_key(identifier: CallerId, by: Deciding, writer: WriterDep) -> Response:
    """Revoke a caller with all of its keys, at once and for good. A second time changes nothing."""
    async with writer.write() as session:
        await revoke_caller(session, by, identifier)
    return Response(status_code=204)


@router.post(
    "/v1/keys/{id}/rotations",
    status_code=201,
    summary="Rotate a key",
    response_model_exclude_none=True,
    responses=problems(_FORBIDDEN, _NO_CALLER, _NOT_NOW, _INVALID),
)
async def post_rotation(
    identifier: CallerId, body: NewRotation, by: Deciding, writer: WriterDep, key_overlap: KeyOverlapDep
) -> RotatedBody:
    """Make a new key for a caller, which stays the same caller. Its older keys stay in force for `overlap`.

    Say `compromised` when another person may have one: when this answers, no replica accepts the older keys.
    """
    wanted = key_overlap if body.overlap is None else body.overlap
    rotation = Rotation(timedelta(0) if body.compromised else wanted, body.expires_at)
    async with writer.write() as session:
        rotated = await rotate_key(session, by, identifier, rotation)
    return rotated_body(rotated)


@router.delete(
    "/v1/keys/{id}/keys/{key}",
    status_code=204,
    summary="Revoke one key of a caller",
    responses=problems(_FORBIDDEN, _NO_KEY, _INVALID),
)
async def delete_one_key(
    identifier: CallerId,
    key: Annotated[UUID, Path(description="The id of one of its keys")],
    by: Deciding,
    writer: WriterDep,
) -> Response:
    """Revoke one key at once; the caller's others stay. A second time changes nothing."""
    async with writer.write() as session:
        await revoke_key(session, by, identifier, key)
    return Response(status_code=204)
