"""Keys of callers: made, listed and revoked. The key itself is shown once, and kept only as a hash."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.access_models import Name
from app.api.pages import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.processing_models import ProcessingId, WireModel
from app.api.routing import problems, strict_router
from app.api.security import Needs
from app.api.services import ServicesDep
from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.auth.store import list_callers
from app.operations.manage_keys import NewCaller, create_key, revoke_key

router = strict_router("keys")

KeyManager = Annotated[Caller, Depends(Needs(Scope.KEYS_MANAGE))]

_INVALID = (422, "Some fields are not as they should be.")


class NewKey(WireModel):
    """A caller to make: its scopes, and the processings that it may ask about."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "mail server", "scopes": ["decisions:evaluate"], "processings": ["ads-mail"]}]
        }
    )

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=50)]
    processings: Annotated[list[ProcessingId], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="Which processings it may name; left out, every one"
    )


class KeyBody(BaseModel):
    """A caller, without its key."""

    id: UUID
    name: str
    scopes: list[Scope]
    processings: list[str] | None = None
    created_at: datetime
    created_by: UUID | None = None
    revoked_at: datetime | None = None


class NewKeyBody(KeyBody):
    """A new caller with its key, shown this once."""

    key: str = Field(description="Send it as `Authorization: Bearer …`; it is not shown again")


class KeysPage(BaseModel):
    """Some callers, oldest first, revoked ones included."""

    items: list[KeyBody]
    next_cursor: str | None = None


@router.post(
    "/v1/keys",
    status_code=201,
    summary="Make a key",
    response_model_exclude_none=True,
    responses=problems((403, "The caller lacks the scope, or would hand out more than it holds."), _INVALID),
)
async def post_key(body: NewKey, caller: KeyManager, services: ServicesDep) -> NewKeyBody:
    """Make a caller and its key. A caller hands out no scope and no processing that it does not hold itself."""
    processings = frozenset(body.processings) if body.processings is not None else None
    async with services.writer.write() as session:
        made, key = await create_key(session, caller, NewCaller(body.name, frozenset(body.scopes), processings))
    return NewKeyBody(**_members(made), key=key)


@router.get("/v1/keys", summary="List keys", response_model_exclude_none=True, responses=problems(_INVALID))
async def get_keys(caller: KeyManager, services: ServicesDep, limit: Limit = LIMIT, cursor: Cursor = None) -> KeysPage:
    """Callers with their scopes, oldest first, revoked ones included; never their keys."""
    pseudonyms = services.deployment.pseudonyms
    asked = f"keys {caller.id}"
    async with services.database.read() as session:
        found = await list_callers(session, after=read_cursor(pseudonyms, asked, cursor), limit=limit + 1)
    page = found[:limit]
    return KeysPage(
        items=[KeyBody(**_members(each)) for each in page],
        next_cursor=write_cursor(pseudonyms, asked, page[-1].id if len(found) > limit else None),
    )


@router.delete(
    "/v1/keys/{id}",
    status_code=204,
    summary="Revoke a key",
    responses=problems((404, "No such key."), _INVALID),
)
async def delete_key(
    identifier: Annotated[UUID, Path(alias="id", description="The id of a caller")],
    caller: KeyManager,
    services: ServicesDep,
) -> Response:
    """Revoke a caller's key at once. A second time changes nothing."""
    async with services.writer.write() as session:
        await revoke_key(session, caller, identifier)
    return Response(status_code=204)


def _members(caller: Caller) -> dict[str, Any]:
    return {
        "id": caller.id,
        "name": caller.name,
        "scopes": sorted(caller.scopes),
        "processings": None if caller.processings is None else sorted(caller.processings),
        "created_at": caller.created_at,
        "created_by": caller.created_by,
        "revoked_at": caller.revoked_at,
    }
