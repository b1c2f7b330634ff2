"""Callers and their keys: made, listed, changed, rotated and revoked. A key is shown once, and kept only as a hash."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field, StrictBool, model_validator

from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.security import Needs, as_shown, problems, strict_router
from app.api.http.services import DatabaseDep, PseudonymsDep, TokenCheckDep, WriterDep
from app.api.http.wire import Identifier, Instant, Name, ProcessingId, WireModel, at_fault, examples, written
from app.auth.callers import KEY_OVERLAP, ApiKey, Authenticated, Caller, CallerKind, Identity, Scope
from app.db.session import as_columns
from app.operations.callers import (
    LONGEST_OVERLAP,
    CallerChange,
    CallerView,
    MadeKey,
    NewCaller,
    Rotated,
    change_caller,
    create_key,
    find_caller,
    find_unregistered,
    list_callers,
    register_identity,
    revoke_caller,
    rotate_key,
)

_SCOPES = Field(min_length=1, max_length=50)
Scopes = Annotated[list[Scope], _SCOPES]
Processings = Annotated[list[ProcessingId], Field(min_length=1, max_length=1_000)]
_EVERY_ONE = "Which processings it may name; left out, every one"


Said = Annotated[Identifier, Field(max_length=255)]
Overlap = Annotated[
    timedelta,
    written(re.compile("P.*", re.DOTALL), "must be a duration, such as P7D or PT12H (ISO 8601)"),
    Field(ge=timedelta(0), le=LONGEST_OVERLAP, examples=["P7D"], description="ISO 8601, at most P30D"),
]


NEW_KEYS: Final[Mapping[str, dict[str, Any]]] = {
    "a mail server": {"name": "mail server", "scopes": ["decisions:evaluate"], "processings": ["ads-mail"]},
    "one who proposes": {
        "name": "Ada, privacy team",
        "kind": "person",
        "scopes": ["register:read", "register:write", "consents:read", "consents:write", "decisions:evaluate"],
    },
    "one who approves": {
        "name": "Bob, data-protection officer",
        "kind": "person",
        "scopes": ["register:read", "register:approve", "audit:read"],
    },
}
"""Examples of callers to make, each under the words by which the page at /docs offers it."""


class IdentityBody(WireModel):
    """Whose access tokens: `iss` and `sub` of the tokens, and the client that they were given to."""

    issuer: Said = Field(description="As it stands in the tokens, and in SCEAU_OIDC_ISSUER")
    subject: Said = Field(description="`sub` of the tokens")
    client: Said | None = Field(
        default=None, description="`client_id` (or `azp`) of the tokens; left out, whichever client they were given to"
    )

    def identity(self) -> Identity:
        """The identity as an operation knows it."""
        return Identity(**dict(self))


class NewKey(WireModel):
    """A caller to make: its scopes, and the processings that it may ask about."""

    model_config = examples(*NEW_KEYS.values())

    name: Name
    kind: CallerKind = Field(
        default=CallerKind.MACHINE,
        description="`person` for one of your staff, who has duties that programs do not (L32-3, V). It cannot change",
    )
    scopes: Scopes
    processings: Processings | None = Field(default=None, description=_EVERY_ONE)
    identity: IdentityBody | None = Field(
        default=None, description="Known by its access tokens, and without a key; their scopes only narrow its own"
    )
    expires_at: Instant | None = Field(
        default=None, description="When the key ends; left out, it is good until revoked"
    )

    @model_validator(mode="after")
    def _of_a_key(self) -> Self:
        if self.identity is not None and self.expires_at is not None:
            raise at_fault("expires_at", "access tokens bring their own end: leave it out beside `identity`")
        return self

    def wanted(self) -> NewCaller:
        """The caller as an operation makes it."""
        return NewCaller(
            name=self.name,
            scopes=frozenset(self.scopes),
            processings=frozenset(self.processings) if self.processings is not None else None,
            kind=self.kind,
            expires_at=self.expires_at,
        )


class CallerChangeBody(WireModel):
    """What is to change of a caller; what is left out stays. `processings: null` lets it name every one."""

    model_config = examples({"scopes": ["decisions:evaluate"]}, {"processings": ["ads-mail"]})

    name: Name | None = None
    scopes: Scopes | None = None
    processings: Processings | None = None
    revoke_keys: Annotated[list[UUID], Field(min_length=1, max_length=50)] | None = Field(
        default=None, description="Ids of its keys that end at once; its others stay"
    )

    def change(self) -> CallerChange:
        """The change as an operation makes it."""
        return CallerChange(
            name=self.name,
            scopes=frozenset(self.scopes) if self.scopes is not None else None,
            processings=frozenset(self.processings) if self.processings is not None else None,
            every_processing="processings" in self.model_fields_set and self.processings is None,
            revoked_keys=frozenset(self.revoke_keys or ()),
        )


class NewRotation(WireModel):
    """How the keys before the new one end."""

    model_config = examples({"overlap": "P7D"}, {"compromised": True})

    overlap: Overlap | None = Field(default=None, description="How long they are still good; left out, P7D")
    compromised: StrictBool = Field(default=False, description="Another person may have a key: they all end at once")
    expires_at: Instant | None = Field(default=None, description="When the new key ends")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.compromised and self.overlap:
            raise ValueError("a key that is compromised does not overlap with the new one")
        return self


class OneKey(BaseModel):
    """One key of a caller, without the key."""

    id: UUID
    created_at: datetime
    created_by: UUID | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="To the minute, and visible a minute or two later")


class KeyBody(BaseModel):
    """A caller with its keys, without the keys themselves."""

    id: UUID = Field(description="Of the caller: it stays when its keys are rotated")
    name: str
    kind: CallerKind
    scopes: list[Scope]
    processings: list[str] | None = None
    created_at: datetime
    created_by: UUID | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="The latest use of any of its keys or tokens")
    keys: list[OneKey]
    identity: IdentityBody | None = Field(default=None, description="Whose tokens it is known by, if it is by tokens")


class NewKeyBody(KeyBody):
    """A new caller with its key, shown this once."""

    key: str | None = Field(
        default=None,
        description="Send it as `Authorization: Bearer …`; it is not shown again. Absent of one known by its tokens",
    )
    unregistered: list[str] | None = Field(
        default=None, description="Processings that it may name and that are not registered now: mistyped, or too early"
    )


class RotatedBody(BaseModel):
    """A new key of a caller, shown this once, and what became of those before it."""

    id: UUID = Field(description="Of the caller, as before")
    key: str = Field(description="Send it as `Authorization: Bearer …`; it is not shown again")
    made: OneKey
    before: list[OneKey] = Field(description="The keys that were in force until now, and when they end")


class KeysPage(BaseModel):
    """Some callers, oldest first, revoked ones included."""

    items: list[KeyBody]
    next_cursor: str | None = None


def key_body(view: CallerView) -> KeyBody:
    """The wire form of a caller."""
    return KeyBody(**_members(view))


def rotated_body(rotated: Rotated) -> RotatedBody:
    """The wire form of a rotation, with the new key."""
    made = rotated.made
    before = [_one_key(each, None) for each in rotated.before]
    return RotatedBody(id=made.caller.id, key=made.secret, made=_one_key(made.key, None), before=before)


def _one_key(key: ApiKey, used: datetime | None) -> OneKey:
    return OneKey(**as_columns(key), last_used_at=used)


def _members(view: CallerView) -> dict[str, Any]:
    keys = [_one_key(key, view.uses.get(key.id)) for key in view.keys]
    return {**as_columns(view.caller), "last_used_at": view.last_used_at, "keys": keys}


router = strict_router("keys")

_NEEDS = Needs(Scope.KEYS_MANAGE)
KeyManager = Annotated[Caller, Depends(_NEEDS)]
Deciding = Annotated[Authenticated, Depends(as_shown(_NEEDS))]
CallerId = Annotated[UUID, Path(alias="id", description="The id of a caller")]

_FORBIDDEN = (403, "The caller lacks the scope, or would hand out, or take away, more than it holds.")
_NO_CALLER = (404, "No such caller.")
_NO_KEY = (404, "No such caller, or one of the keys is not its key.")
_TAKEN = (409, "Another caller is known by this identity.")
_REVOKED = (409, "The caller is revoked.")
_NOT_NOW = (409, "The caller is revoked, is known by its tokens, or has as many keys in force as it may.")


@router.post(
    "/v1/keys",
    status_code=201,
    summary="Make a key",
    responses=problems(_FORBIDDEN, _TAKEN),
    openapi_extra={
        "requestBody": {
            "content": {"application/json": {"examples": {name: {"value": value} for name, value in NEW_KEYS.items()}}}
        }
    },
)
async def post_key(body: NewKey, by: Deciding, writer: WriterDep, token_check: TokenCheckDep) -> NewKeyBody:
    """Make a caller and its key. A caller can give no scope and no processing that it does not hold itself.

    It may name a processing that is registered later; `unregistered` lists those that are not registered now. With
    `identity` it presents access tokens of that issuer instead of a key; tokens of others are refused.
    """
    made: MadeKey | None = None
    async with writer.write() as session:
        if body.identity is None:
            made = await create_key(session, by, body.wanted())
            caller = made.caller
        else:
            caller = await register_identity(session, by, body.wanted(), body.identity.identity(), token_check)
        unregistered = await find_unregistered(session, caller)
    members = _members(CallerView(caller, [made.key] if made else [], {}))
    return NewKeyBody(**members, key=made.secret if made else None, unregistered=unregistered or None)


@router.get("/v1/keys", summary="List keys")
async def get_keys(  # noqa: PLR0917 - a filter and a page
    caller: KeyManager,
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    only: Annotated[UUID | None, Query(alias="id", description="Only the caller of that id")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> KeysPage:
    """Callers with their scopes and their last use, oldest first, revoked ones included; never their keys.

    A caller that is limited to some processings sees the callers that are limited to the same or fewer.
    """
    query_text = f"keys {caller.id} {only}"
    after = read_cursor(pseudonyms, query_text, cursor)
    async with database.read() as session:
        views = await list_callers(session, caller, after=after, limit=limit + 1, only=only)
    page = views[:limit]
    return KeysPage(
        items=[key_body(each) for each in page],
        next_cursor=write_cursor(pseudonyms, query_text, page[-1].caller.id if len(views) > limit else None),
    )


@router.patch("/v1/keys/{id}", summary="Change what a caller may do", responses=problems(_FORBIDDEN, _NO_KEY, _REVOKED))
async def patch_key(identifier: CallerId, body: CallerChangeBody, by: Deciding, writer: WriterDep) -> KeyBody:
    """Change a caller's name, scopes or processings, or end some of its keys.

    When this answers, every replica applies what was taken away. A key that has ended is named again without effect;
    if one of the keys is not the caller's, nothing is changed.
    """
    async with writer.write() as session:
        await change_caller(session, by, identifier, body.change())
        changed = await find_caller(session, by.caller, identifier)
    return key_body(changed)


@router.delete("/v1/keys/{id}", status_code=204, summary="Revoke a caller", responses=problems(_FORBIDDEN, _NO_CALLER))
async def delete_key(identifier: CallerId, by: Deciding, writer: WriterDep) -> Response:
    """Revoke a caller with all of its keys, at once and for good. A second time changes nothing."""
    async with writer.write() as session:
        await revoke_caller(session, by, identifier)
    return Response(status_code=204)


@router.post(
    "/v1/keys/{id}/rotations",
    status_code=201,
    summary="Rotate a key",
    responses=problems(_FORBIDDEN, _NO_CALLER, _NOT_NOW),
)
async def post_rotation(identifier: CallerId, body: NewRotation, by: Deciding, writer: WriterDep) -> RotatedBody:
    """Make a new key for a caller, which stays the same caller. Its older keys stay in force for `overlap`.

    Say `compromised` when another person may have one: when this answers, no replica accepts the older keys.
    """
    wanted = KEY_OVERLAP if body.overlap is None else body.overlap
    overlap = timedelta(0) if body.compromised else wanted
    async with writer.write() as session:
        rotated = await rotate_key(session, by, identifier, overlap, body.expires_at)
    return rotated_body(rotated)
