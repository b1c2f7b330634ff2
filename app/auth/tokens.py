"""Access tokens as RFC 9068 profiles them, held to RFC 7519 and RFC 8725: read, verified, and what they say.

Pure: keys and the time are handed in. What the token itself says about how to verify it is never followed: the
algorithms are this deployment's, and keys are looked up among those of the issuer's own key set.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import jiter

from app.auth.callers import Scope, Token

if TYPE_CHECKING:
    from app.auth.key_sets import SigningKey

LONGEST_TOKEN: Final = 8_192
_PARTS: Final = 3
_LONGEST_NAME: Final = 255
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105 - the `typ` of a header
_OF_OTHER_TOKENS: Final = frozenset({"at_hash", "c_hash", "s_hash", "events"})
"""What ID tokens and logout tokens carry: those are not access tokens, even if their header says so."""
_OF_ACCESS_TOKENS: Final = frozenset({"scope", "scp", "client_id"})
"""What access tokens carry and ID tokens do not (RFC 9068, 2.2; OpenID Connect Core, 2)."""
_NARROWING: Final = ("scope", "scp")


class BadTokenError(Exception):
    """The token opens nothing. `why` is a word for metrics and logs; a client learns only that the token is bad."""

    WORDS: Final = (
        "algorithm",
        "audience",
        "bound",
        "claims",
        "expired",
        "issuer",
        "key",
        "malformed",
        "signature",
        "type",
    )

    def __init__(self, why: str) -> None:
        """Keep one of `WORDS`."""
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What this deployment accepts: who signs, for whom, how, and which type of token.

    `ref` makes the keyed reference of an issuer and a subject: nothing else is kept of them. `types` are values of
    `typ` in lower case without `application/`. `skew` is how far clocks may differ, in seconds. `scopes_narrow`: a
    scope claim takes away what it does not name.
    """

    issuers: frozenset[str]
    ref: Callable[[str, str], bytes]
    audience: str
    algorithms: frozenset[str]
    types: frozenset[str]
    skew: float = 30.0
    scopes_narrow: bool = True


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that was read but not verified: it serves only to look up the key."""

    text: str
    kind: str
    algorithm: str
    key_id: str | None
    issuer: str
    claims: Mapping[str, Any]


def looks_like_token(text: str) -> bool:
    """Return whether this could be a JWT in compact form (RFC 7519): a key of `sceau keys` has no dots."""
    return text.startswith("ey") and text.count(".") == _PARTS - 1


def read_token(text: str, rules: TokenRules) -> UnverifiedToken:
    """Read a token, and refuse at once what no signature could make good.

    Raises:
        BadTokenError: it is not a JWT, or its type, algorithm or issuer is not accepted.

    """
    parts = text.split(".")
    if len(text) > LONGEST_TOKEN or len(parts) != _PARTS:
        raise BadTokenError("malformed")
    header, claims = _object(parts[0]), _object(parts[1])
    if "crit" in header:  # nothing that could be critical is understood here (RFC 7515, 4.1.11)
        raise BadTokenError("malformed")
    kind, algorithm, key_id, issuer = header.get("typ"), header.get("alg"), header.get("kid"), claims.get("iss")
    kind = kind.lower().removeprefix("application/") if isinstance(kind, str) else ""
    if kind not in rules.types:
        raise BadTokenError("type")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms:
        raise BadTokenError("algorithm")
    if not isinstance(issuer, str) or issuer not in rules.issuers:
        raise BadTokenError("issuer")
    if key_id is not None and not isinstance(key_id, str):
        raise BadTokenError("malformed")
    return UnverifiedToken(text, kind, algorithm, key_id, issuer, claims)


def verify_token(token: UnverifiedToken, keys: "Sequence[SigningKey]", rules: TokenRules, now: float) -> Token:
    """Return what a token says, once one of these keys was found to have signed it.

    Args:
        token: as read.
        keys: those of its issuer that fit its key id and algorithm.
        rules: as for `read_token`.
        now: an epoch time in seconds.

    Raises:
        BadTokenError: none of them did, or what it says is not enough, not for here, or not for now.

    """
    signed_by, claims = _signer(token, keys), token.claims
    if not _is_for_access(token.kind, claims):
        raise BadTokenError("type")
    if "cnf" in claims:  # bound to a key that the client would have to prove (RFC 7800): no bearer token
        raise BadTokenError("bound")
    if rules.audience not in _listed(claims.get("aud")):
        raise BadTokenError("audience")
    until = _until(claims, rules.skew, now)
    subject, client = claims.get("sub"), claims.get("client_id", claims.get("azp"))
    if not _is_name(subject) or not (client is None or _is_name(client)):
        raise BadTokenError("claims")
    scopes = _scopes(claims) if rules.scopes_narrow else None
    ref = rules.ref(token.issuer, subject)
    return Token(ref, client, scopes, datetime.fromtimestamp(until, UTC), signed_by.thumbprint)


def verify_id_token(
    token: UnverifiedToken,
    keys: "Sequence[SigningKey]",
    rules: TokenRules,
    now: float,
    *,
    nonce: str,
    lifetime: float,
) -> Token:
    """Return who an ID token is about (OpenID Connect Core, 3.1.3.7): it answers one sign-in, and counts for a session.

    Args:
        token: as read.
        keys: those of its issuer that fit its key id and algorithm.
        rules: as for `read_token`; the audience is the client that asked.
        now: an epoch time in seconds.
        nonce: that of the sign-in that it answers.
        lifetime: for how many seconds what it says counts here: its `exp` ends the sign-in itself, not the session.

    Raises:
        BadTokenError: none of the keys signed it, or it is not for this client, this sign-in or this time.

    """
    signed_by, claims = _signer(token, keys), token.claims
    audiences = _listed(claims.get("aud"))
    if rules.audience not in audiences or (claims.get("azp", rules.audience) != rules.audience):
        raise BadTokenError("audience")
    if len(audiences) > 1 and "azp" not in claims:
        raise BadTokenError("audience")
    _until(claims, rules.skew, now)
    if claims.get("nonce") != nonce or not _is_name(claims.get("sub")):
        raise BadTokenError("claims")
    until = datetime.fromtimestamp(now + lifetime, UTC)
    return Token(rules.ref(token.issuer, claims["sub"]), rules.audience, None, until, signed_by.thumbprint)


def _signer(token: UnverifiedToken, keys: "Sequence[SigningKey]") -> "SigningKey":
    from app.auth.key_sets import is_signed_by  # noqa: PLC0415 - most deployments take no tokens

    for key in keys:
        if is_signed_by(token.text, token.algorithm, key.key):
            return key
    raise BadTokenError("signature")


def _is_for_access(kind: str, claims: Mapping[str, Any]) -> bool:
    """Return whether it is an access token. If its header does not say so, its claims must: ID tokens share the header.

    Keycloak's `typ` and Cognito's `token_use` say so in a word; without such a word a `nonce`, which is an ID token's
    (OpenID Connect Core, 2), or the lack of all that only access tokens have, is enough to refuse.
    """
    if not _OF_OTHER_TOKENS.isdisjoint(claims):
        return False
    if claims.get("typ", "Bearer") != "Bearer" or claims.get("token_use", "access") != "access":
        return False
    if kind == _ACCESS_TOKEN or "typ" in claims or "token_use" in claims:
        return True
    return "nonce" not in claims and not _OF_ACCESS_TOKENS.isdisjoint(claims)


def _until(claims: Mapping[str, Any], skew: float, now: float) -> float:
    """Return the epoch time from which the token is no longer accepted (RFC 7519, 4.1.4), if it is accepted now."""
    expiry = claims.get("exp")
    if not _is_time(expiry) or not all(_is_time(claims[name]) for name in ("nbf", "iat") if name in claims):
        raise BadTokenError("claims")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + skew:
        raise BadTokenError("claims")
    until = float(expiry) + skew
    if now >= until:
        raise BadTokenError("expired")
    return until


def _scopes(claims: Mapping[str, Any]) -> frozenset[Scope] | None:
    """Return the scopes that the token names (RFC 9068, 2.2.3); None without such a claim. Other words mean nothing."""
    value = next((claims[name] for name in _NARROWING if name in claims), None)
    if value is None:
        return None
    words = value.split() if isinstance(value, str) else _listed(value)
    return frozenset(scope for scope in Scope if scope.value in words)


def _listed(value: object) -> Sequence[str]:
    """Return the strings of a claim that is one string or a list of them."""
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST


def _object(segment: str) -> Mapping[str, Any]:
    """Return a JSON object that was in base64url, without any member twice."""
    from joserfc.util import urlsafe_b64decode  # noqa: PLC0415 - as above

    try:
        read = urlsafe_b64decode(segment.encode("ascii"))
        value = jiter.from_json(read, catch_duplicate_keys=True, cache_mode="none")
    except ValueError:
        raise BadTokenError("malformed") from None
    if not isinstance(value, dict):
        raise BadTokenError("malformed")
    return value
