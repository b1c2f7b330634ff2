"""Routes that make the keys that sign webhooks and decision tokens (docs/decision-tokens.md), and publish them."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field, RootModel, StrictBool, model_validator

from app.api.http.security import Needs, open_to_all, problems, strict_router
from app.api.http.services import DatabaseDep, DecisionTokensDep, DeploymentDep, WriterDep, as_caller
from app.api.http.wire import WireModel, at_fault, examples
from app.auth.callers import KEY_OVERLAP, Caller, Scope
from app.events.endpoints import public_text
from app.keyring import DECISION_KEYS, WEBHOOK_KEYS, keys_in_force, public_jwk
from app.operations.decisions.tokens import KEPT_AT_MOST, OVERLAP
from app.operations.service.signing_keys import rotate_key
from app.operations.webhooks.manage_webhooks import find_webhook, new_secret

router = strict_router("keys")

Manager = Annotated[Caller, Depends(Needs(Scope.KEYS_MANAGE, Scope.WEBHOOKS_MANAGE))]
"""A caller who may make a key for some use. The route then requires the scope of the use that is asked for."""
_KEPT: Final = f"public, max-age={int(KEPT_AT_MOST.total_seconds())}"


class ForWebhooks(WireModel):
    """A key that signs every webhook (`v1a`)."""

    use: Literal["webhooks"]


class ForOneWebhook(WireModel):
    """A secret that signs what is sent to one endpoint (`v1`)."""

    use: Literal["webhook_secret"]
    webhook: UUID = Field(description="The id of the endpoint")


class ForDecisionTokens(WireModel):
    """A key that signs decision tokens."""

    use: Literal["decision_tokens"]
    at_once: StrictBool = Field(
        default=False, description="The keys before are lost or leaked: they verify nothing from now on"
    )


_USES: Final = ("webhooks", "webhook_secret", "decision_tokens")


class NewSigningKey(RootModel[Annotated[ForWebhooks | ForOneWebhook | ForDecisionTokens, Field(discriminator="use")]]):
    """What a new key is for."""

    model_config = examples(
        {"use": "webhooks"},
        {"use": "webhook_secret", "webhook": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11"},
        {"use": "decision_tokens", "at_once": False},
    )

    @model_validator(mode="before")
    @classmethod
    def _use_is_known(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("use") not in _USES:  # pydantic's message would repeat the value
            raise at_fault("use", f"must be one of: {', '.join(_USES)}")
        return value


class MadeSigningKey(BaseModel):
    """A new key: of `webhooks` with what verifies it, of `webhook_secret` with the secret, shown this once."""

    id: UUID = Field(description="Of `decision_tokens`, its `kid`")
    created_at: datetime
    public_key: str | None = Field(default=None, description="`whpk_` and the Ed25519 public key in base64")
    secret: str | None = Field(
        default=None, description="`whsec_…`: for the `v1` signatures of this endpoint; it is not shown again"
    )


class SigningKeyBody(BaseModel):
    """A public key that verifies `v1a` signatures."""

    id: UUID
    public_key: str = Field(description="`whpk_` and the Ed25519 public key in base64")
    created_at: datetime
    retires_at: datetime | None = Field(default=None, description="From then on nothing is signed with it")


class SigningKeysBody(BaseModel):
    """The keys that sign now, the newest first."""

    keys: list[SigningKeyBody]


class JsonWebKey(BaseModel):
    """A public key that verifies decision tokens (RFC 7517; RFC 8037, section 2)."""

    kty: str = Field(examples=["OKP"])
    crv: str = Field(examples=["Ed25519"])
    x: str = Field(description="The public key, base64url")
    kid: str = Field(description="The `kid` of the tokens that it verifies")
    use: str = Field(examples=["sig"])
    alg: str = Field(examples=["EdDSA"])


class JsonWebKeySet(BaseModel):
    """The keys that verify decision tokens now, the newest first."""

    keys: list[JsonWebKey]


@router.post(
    "/v1/signing-keys",
    status_code=201,
    summary="Make a new signing key",
    responses=problems(
        (403, "The caller lacks the scope of this use, or is limited to some processings."),
        (404, "No such endpoint."),
    ),
)
async def post_signing_key(  # noqa: PLR0917 - a body, and the parts that it takes
    body: NewSigningKey,
    caller: Manager,
    request: Request,
    writer: WriterDep,
    tokens: DecisionTokensDep,
    deployment: DeploymentDep,
) -> MadeSigningKey:
    """Make a key that signs from now on, or soon; the one before goes on beside it for a while.

    - `webhooks` (scope `webhooks:manage`): the key before signs beside the new one for a week.
    - `webhook_secret` (scope `webhooks:manage`): for a receiver that verifies `v1` (HMAC) only; the same.
    - `decision_tokens` (scope `keys:manage`): published at once, it signs after ten minutes; older keys retire after
      that. With `at_once` older keys are no longer in force: other workers learn it within half a minute, a client
      that keeps the published keys when it reads them again.
    """
    wanted = body.root
    caller.require(Scope.KEYS_MANAGE if isinstance(wanted, ForDecisionTokens) else Scope.WEBHOOKS_MANAGE)
    if isinstance(wanted, ForOneWebhook):
        async with as_caller(request, writer, caller) as session:
            await find_webhook(session, caller, wanted.webhook, hold=True)
            made, secret = await new_secret(session, deployment, caller, wanted.webhook, KEY_OVERLAP)
        return MadeSigningKey(id=made.id, created_at=made.created_at, secret=secret)
    caller.require_processing(None)
    if isinstance(wanted, ForWebhooks):
        async with as_caller(request, writer, caller) as session:
            made = await rotate_key(session, deployment, WEBHOOK_KEYS, KEY_OVERLAP, by=caller.id)
        return MadeSigningKey(id=made.id, created_at=made.created_at, public_key=public_text(made.public))
    async with as_caller(request, writer, caller) as session:
        made = await rotate_key(session, deployment, DECISION_KEYS, OVERLAP, by=caller.id, at_once=wanted.at_once)
    await tokens.read_again()
    return MadeSigningKey(id=made.id, created_at=made.created_at)


@router.get("/.well-known/webhook-keys", summary="Keys that verify webhooks")
@open_to_all
async def get_webhook_keys(database: DatabaseDep) -> SigningKeysBody:
    """The Ed25519 keys that sign webhooks now, as Standard Webhooks writes them; empty before the first endpoint."""
    async with database.read() as session:
        in_force = await keys_in_force(session, WEBHOOK_KEYS, await session.instant())
    keys = [
        SigningKeyBody(
            id=key.id, public_key=public_text(key.public), created_at=key.created_at, retires_at=key.retires_at
        )
        for key in in_force
    ]
    return SigningKeysBody(keys=keys)


@router.head("/.well-known/jwks.json", include_in_schema=False)  # Rspamd asks so whether its copy is old
@router.get("/.well-known/jwks.json", summary="Keys that verify decision tokens")
@open_to_all
async def get_jwks(tokens: DecisionTokensDep, response: Response) -> JsonWebKeySet:
    """The Ed25519 keys that verify decision tokens, as a JSON Web Key Set. Keep them for five minutes at most.

    A new key stands here ten minutes before it signs, and an old one until what it signed has ended.
    """
    response.headers["Cache-Control"] = _KEPT
    keys = [JsonWebKey(**public_jwk(str(key.id), key.public)) for key in tokens.published]
    return JsonWebKeySet(keys=keys)
