"""Callers and their keys on the wire. A key itself is in one answer only: that of the request that made it."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from app.api.http.wire import Identifier, Instant, Name, ProcessingId, WireModel
from app.auth.callers import ApiKey, CallerKind, Identity, Scope
from app.operations.callers.keys import LONGEST_OVERLAP, CallerChange, MadeKey, NewCaller, Rotated
from app.operations.callers.list_callers import CallerView

_SCOPES = Field(min_length=1, max_length=50)
Scopes = Annotated[list[Scope], _SCOPES]
Processings = Annotated[list[ProcessingId], Field(min_length=1, max_length=1_000)]
_EVERY_ONE = "Which processings it may name; left out, every one"


def _written_out(value: object) -> object:
    """Pydantic would also take a number for seconds."""
    if not isinstance(value, str) or not value.startswith("P"):
        raise ValueError("must be a duration, such as P7D or PT12H (ISO 8601)")
    return value


Said = Annotated[Identifier, Field(max_length=255)]
Overlap = Annotated[
    timedelta,
    BeforeValidator(_written_out),
    Field(ge=timedelta(0), le=LONGEST_OVERLAP, examples=["P7D"], description="ISO 8601, at most P30D"),
]


class _NewCaller(WireModel):
    name: Name
    kind: CallerKind = Field(
        default=CallerKind.MACHINE,
        description="`person` for one of your staff, who has duties that programs do not (L32-3, V). It cannot change",
    )
    scopes: Scopes
    processings: Processings | None = Field(default=None, description=_EVERY_ONE)

    def wanted(self, expires_at: datetime | None = None) -> NewCaller:
        """The caller as an operation makes it."""
        return NewCaller(
            name=self.name,
            scopes=frozenset(self.scopes),
            processings=frozenset(self.processings) if self.processings is not None else None,
            kind=self.kind,
            expires_at=expires_at,
        )


class NewKey(_NewCaller):
    """A caller to make: its scopes, and the processings that it may ask about."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "mail server", "scopes": ["decisions:evaluate"], "processings": ["ads-mail"]},
                {"name": "Ada, privacy team", "kind": "person", "scopes": ["audit:read", "consents:read"]},
            ]
        }
    )

    expires_at: Instant | None = Field(
        default=None, description="When the key ends; left out, it is good until revoked"
    )


class IdentityBody(WireModel):
    """Whose access tokens: `iss` and `sub` of the tokens, and the client that they were given to."""

    issuer: Said = Field(description="As it stands in the tokens, and in SCEAU_OIDC_ISSUER")
    subject: Said = Field(description="`sub` of the tokens")
    client: Said | None = Field(
        default=None, description="`client_id` (or `azp`) of the tokens; left out, whichever client they were given to"
    )

    def identity(self) -> Identity:
        """The identity as an operation knows it."""
        return Identity(self.issuer, self.subject, self.client)


class NewIdentity(_NewCaller):
    """A caller to let in by its access tokens: what they may do here is said here, and their scopes only narrow it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Ada, privacy team",
                    "kind": "person",
                    "scopes": ["audit:read", "consents:read"],
                    "identity": {
                        "issuer": "https://login.example.fr/realms/staff",
                        "subject": "6f7a3f7e-6d1b-4d43-9c3f-0d8e5a1b2c3d",
                    },
                }
            ]
        }
    )

    identity: IdentityBody


class CallerChangeBody(WireModel):
    """What is to change of a caller; what is left out stays. `processings: null` lets it name every one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scopes": ["decisions:evaluate"]}, {"processings": ["ads-mail"]}]}
    )

    name: Name | None = None
    scopes: Scopes | None = None
    processings: Processings | None = None

    def change(self) -> CallerChange:
        """The change as an operation makes it."""
        return CallerChange(
            name=self.name,
            scopes=frozenset(self.scopes) if self.scopes is not None else None,
            processings=frozenset(self.processings) if self.processings is not None else None,
            every_processing="processings" in self.model_fields_set and self.processings is None,
        )


class NewRotation(WireModel):
    """How the keys before the new one end."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": "P7D"}, {"compromised": True}]})

    overlap: Overlap | None = Field(
        default=None,
        description="How long they are still good; left out, as long as the setting SCEAU_KEY_OVERLAP says",
    )
    compromised: StrictBool = Field(default=False, description="Somebody else may have one: they end at once")
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
    last_used_at: datetime | None = Field(default=None, description="To the minute, and told a minute or two later")


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

    key: str = Field(description="Send it as `Authorization: Bearer …`; it is not shown again")
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
    """A caller on the wire."""
    return KeyBody(**_members(view))


def new_key_body(made: MadeKey) -> NewKeyBody:
    """A new caller on the wire, with its key."""
    return NewKeyBody(**_members(CallerView(made.caller, [made.key], {})), key=made.secret)


def rotated_body(rotated: Rotated) -> RotatedBody:
    """A rotation on the wire, with the new key."""
    made = rotated.made
    return RotatedBody(
        id=made.caller.id,
        key=made.secret,
        made=_one(made.key, None),
        before=[_one(each, None) for each in rotated.before],
    )


def _identity(known: Identity | None) -> IdentityBody | None:
    if known is None:
        return None
    return IdentityBody(issuer=known.issuer, subject=known.subject, client=known.client)


def _one(key: ApiKey, used: datetime | None) -> OneKey:
    return OneKey(
        id=key.id,
        created_at=key.created_at,
        created_by=key.created_by,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=used,
    )


def _members(view: CallerView) -> dict[str, Any]:
    caller = view.caller
    return {
        "id": caller.id,
        "name": caller.name,
        "kind": caller.kind,
        "scopes": sorted(caller.scopes),
        "processings": None if caller.processings is None else sorted(caller.processings),
        "created_at": caller.created_at,
        "created_by": caller.created_by,
        "revoked_at": caller.revoked_at,
        "last_used_at": view.last_used_at,
        "keys": [_one(key, view.uses.get(key.id)) for key in view.keys],
        "identity": _identity(caller.identity),
    }
