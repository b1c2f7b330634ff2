"""Decision tokens (docs/decision-tokens.md): the claims of one, the public keys that verify it, their rotation."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs, open_to_all
from app.api.http.services import DecisionTokensDep, DeploymentDep, Services, WriterDep
from app.api.http.wire import WireModel
from app.auth.callers import Caller, Scope
from app.core.decision import correspondence_hash, lifetime, subject_hash
from app.keyring import DECISION_KEYS, base64url, public_jwk
from app.operations.decisions.judging import Judged, Question, instant
from app.operations.decisions.tokens import KEPT_AT_MOST, OVERLAP
from app.operations.service.signing_keys import rotate_key

router = strict_router("keys")

Manager = Annotated[Caller, Depends(Needs(Scope.KEYS_MANAGE))]
_KEPT: Final = f"public, max-age={int(KEPT_AT_MOST.total_seconds())}"


def decision_token(  # noqa: PLR0917 - what a token is bound to
    services: Services, caller: Caller, at: float, question: Question, judged: Judged, identifier: UUID
) -> str | None:
    """The token of a permit that was given at an epoch time; None for a deny, or when none can be made.

    Ids stand in it as hashes over the correspondence's handle, which the token does not carry.
    """
    found = judged.decision
    given = datetime.fromtimestamp(at, UTC)
    life = lifetime(given, found.valid_until) if found.permitted else None
    if life is None:
        return None
    issued, ends = life
    (kind, name), (of, handle) = question.subject_id, question.correspondence
    claims: dict[str, Any] = {
        "iss": services.source,
        "aud": str(caller.id),
        "jti": str(identifier),
        "iat": issued,
        "exp": ends,
        "processing": question.processing,
        "elements": sorted(found.elements or ()),
        **({} if judged.subject_ref is None else {"subject_ref": judged.subject_ref.hex()}),
        "subject_type": kind,
        "subject_sha256": base64url(subject_hash(handle, name)),
        "correspondence_type": of,
        "correspondence_sha256": base64url(correspondence_hash(handle)),
        "reason": found.reason.value,
    }
    if found.valid_until is not None:
        claims["valid_until"] = instant(found.valid_until)
    return services.tokens.sign(claims, given, datetime.fromtimestamp(ends, UTC))


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


class SigningKeyRotation(WireModel):
    """How to rotate."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"at_once": False}]})

    at_once: StrictBool = Field(
        default=False, description="The keys before are lost or leaked: they verify nothing from now on"
    )


class RotatedKey(BaseModel):
    """A new key that signs decision tokens."""

    id: UUID = Field(description="Its `kid`")
    created_at: datetime


@router.head("/.well-known/jwks.json", include_in_schema=False)  # Rspamd looks so whether its copy is old
@router.get("/.well-known/jwks.json", summary="Keys that verify decision tokens")
@open_to_all
async def get_jwks(tokens: DecisionTokensDep, response: Response) -> JsonWebKeySet:
    """The Ed25519 keys that verify decision tokens, as a JSON Web Key Set. Keep them for five minutes at most.

    A new key stands here ten minutes before it signs, and an old one until what it signed has ended.
    """
    response.headers["Cache-Control"] = _KEPT
    keys = [JsonWebKey(**public_jwk(str(key.id), key.public)) for key in tokens.published]
    return JsonWebKeySet(keys=keys)


@router.post(
    "/v1/decision-token-keys",
    status_code=201,
    summary="Rotate the key of decision tokens",
    responses=problems(
        (403, "The caller lacks the scope, or is limited to some processings."),
        (415, "The body is not said to be JSON."),
        (422, "Some fields are not as they should be."),
    ),
)
async def post_decision_token_key(
    caller: Manager,
    writer: WriterDep,
    tokens: DecisionTokensDep,
    deployment: DeploymentDep,
    body: SigningKeyRotation | None = None,
) -> RotatedKey:
    """Make a new signing key. It is published at once and signs after ten minutes. Older keys retire after that.

    With `at_once` older keys are no longer in force. Other workers learn it within half a minute; a client that keeps
    the published keys learns it when it reads them again.
    """
    caller.require_processing(None)
    at_once = body is not None and body.at_once
    async with writer.write() as session:
        made = await rotate_key(session, deployment, DECISION_KEYS, OVERLAP, by=caller.id, at_once=at_once)
    await tokens.read_again()
    return RotatedKey(id=made.id, created_at=made.created_at)
