"""The keys of an issuer: found by discovery (OpenID Connect Discovery, section 4), read as a JWK Set (RFC 7517)."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact
from joserfc.util import urlsafe_b64decode

from app.auth.issuer_trust import ALGORITHMS, IssuerUnavailableError, is_safe
from app.auth.tokens import LONGEST_TOKEN

# Asymmetric keys only: a shared secret would let every verifier sign too, and `none` proves nothing (RFC 8725, 3.1).


class _Registry(JWSRegistry):
    """Verifies only by the algorithms that are handed in; ignores headers that it does not know (RFC 7515, 4)."""

    max_header_length = LONGEST_TOKEN

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - a class that the library does not export
        """Return the algorithm, without a warning that EdDSA has another name now (RFC 9864): issuers still use it."""
        return algorithms_for([name])[name]


_REGISTRY: Final = _Registry(strict_check_header=False)


def is_signed_by(text: str, algorithm: str, key: Key) -> bool:
    """Return whether a token in compact form was signed with this key by that algorithm, and no other."""
    try:
        deserialize_compact(text, key, [algorithm], _REGISTRY)
    except (JoseError, ValueError, TypeError):
        return False
    return True


LARGEST_SET: Final = 262_144
"""The most bytes of a key set that are read."""
_MOST_KEYS: Final = 100
# An issuer that chose either at will could make one signature hold up the event loop; below, keys are weak (RFC 7518,
# 3.3). The upper ends are those of BoringSSL.
_MODULUS_BITS: Final = range(2_048, 8_193)
_EXPONENT_BITS: Final = range(2, 34)
_LONGEST_ID: Final = 256
_PUBLIC: Final[Mapping[str, tuple[type[Key], tuple[str, ...]]]] = {
    "RSA": (RSAKey, ("kty", "n", "e")),
    "EC": (ECKey, ("kty", "crv", "x", "y")),
    "OKP": (OKPKey, ("kty", "crv", "x")),
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key of an issuer: the algorithms that it may verify by, and the thumbprint that identifies it."""

    key: Key
    key_id: str | None
    algorithms: frozenset[str]
    thumbprint: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of an issuer that can be used; `left_out` is how many it listed beyond the hundred that are read."""

    keys: tuple[SigningKey, ...] = ()
    left_out: int = 0

    def fitting(self, key_id: str | None, algorithm: str) -> list[SigningKey]:
        """Return the keys that may have signed a token; if it names no key, the fitting one, if there is only one."""
        fitting = [each for each in self.keys if algorithm in each.algorithms]
        if key_id is None:
            return fitting if len(fitting) == 1 else []
        return [each for each in fitting if each.key_id == key_id]


def algorithms_for(names: Collection[str]) -> Mapping[str, Any]:
    """Return the library's algorithms of those names."""
    return {name: JWSRegistry.algorithms[name] for name in names if name in ALGORITHMS}


def read_key_set(body: bytes, allowed: Collection[str]) -> KeySet:
    """Return the usable keys of a JWK Set; anything else in it is passed over (RFC 7517, section 5).

    A set without any is one too: an issuer that withdraws a key may have no other. Of a set that is too long the first
    keys are read, because a set that is refused would leave the keys before it in force.

    Raises:
        IssuerUnavailableError: it is not a JWK Set.

    """
    listed = _object_of(body, "keys").get("keys")
    if not isinstance(listed, list):
        raise IssuerUnavailableError("keys")
    read = (each for each in listed[:_MOST_KEYS] if isinstance(each, dict))
    return KeySet(tuple(key for each in read for key in _usable(each, allowed)), len(listed[_MOST_KEYS:]))


def _usable(jwk: Mapping[str, Any], allowed: Collection[str]) -> Iterator[SigningKey]:
    key_id, operations = jwk.get("kid"), jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig" or not (operations is None or "verify" in operations):
        return
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _LONGEST_ID):
        return
    try:
        key = _public(jwk)
        fitting = frozenset(name for name in _named(jwk, allowed) if key is not None and _fits(key, name))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError):  # members of any type
        return
    if key is not None and fitting:
        yield SigningKey(key, key_id, fitting, key.thumbprint())


def _named(jwk: Mapping[str, Any], allowed: Collection[str]) -> Collection[str]:
    """Return the allowed algorithms that the key does not exclude by its `alg`."""
    own = jwk.get("alg")
    return allowed if own is None else [name for name in allowed if name == own]


def _public(jwk: Mapping[str, Any]) -> Key | None:
    """Return the public half of a key, even if more was published; None for a kind or a size that is not used."""
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _PUBLIC:
        return None
    if kind == "RSA" and not (_bits(jwk["n"]) in _MODULUS_BITS and _bits(jwk["e"]) in _EXPONENT_BITS):
        return None
    made, members = _PUBLIC[kind]
    return made.import_key({name: jwk[name] for name in members})


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number.encode()), "big").bit_length()


def _fits(key: Key, name: str) -> bool:
    if name == "EdDSA" and (not isinstance(key, OKPKey) or key.curve_name != "Ed25519"):
        return False
    try:
        algorithms_for([name])[name].check_key(key)
    except JoseError:
        return False
    return True


# Ask an issuer for its keys: discovery (OpenID Connect Discovery 1.0, section 4), then the JWK Set, within bounds.
#
# Each request has one deadline, an answer is read up to a bound, and redirects are refused. No message quotes an
# answer: an attacker could have written it.

_DISCOVERY: Final = "/.well-known/openid-configuration"


class KeyFetcher:
    """Fetches key sets."""

    def __init__(self, allowed: Collection[str], *, seconds: float = 5.0) -> None:
        """Prepare; proxies and credentials of the environment are not used.

        Args:
            allowed: the algorithms that keys may be for.
            seconds: the deadline of one fetch, discovery included.

        """
        self._allowed = allowed
        self.seconds = seconds
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=seconds,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Sceau"},
            limits=httpx2.Limits(max_connections=4, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def fetch(self, issuer: str) -> KeySet:
        """Return the issuer's keys, as they are now.

        Raises:
            IssuerUnavailableError: they cannot be read.

        """
        async with self._deadline():
            url = (await self._document(issuer)).get("jwks_uri")
            if not isinstance(url, str):
                raise IssuerUnavailableError("discovery")
            body = await self._get(url)
        return read_key_set(body, self._allowed)

    async def discovery(self, issuer: str) -> Mapping[str, Any]:
        """Return the issuer's discovery document.

        Raises:
            IssuerUnavailableError: it cannot be read, or is another issuer's.

        """
        async with self._deadline():
            return await self._document(issuer)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return what an endpoint of the issuer answers to a form; None if it refuses the form (4xx).

        Raises:
            IssuerUnavailableError: it cannot be reached, or its answer is not a JSON object.

        """
        if not is_safe(url):
            raise IssuerUnavailableError("address")
        sent = self._client.stream("POST", url, data=dict(form), headers=dict(headers))
        async with self._deadline(), sent as answer:
            return None if answer.is_client_error else _object_of(await _bounded(answer))

    async def _document(self, issuer: str) -> Mapping[str, Any]:
        document = _object_of(await self._get(issuer.rstrip("/") + _DISCOVERY))
        # The document of another issuer would bring another's keys (Discovery 1.0, section 4.3).
        if document.get("issuer") != issuer:
            raise IssuerUnavailableError("discovery")
        return document

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """End the block's requests at the deadline; how one of them fails says why the issuer is unavailable."""
        try:
            async with asyncio.timeout(self.seconds):
                yield
        except (TimeoutError, httpx2.TimeoutException):
            raise IssuerUnavailableError("timeout") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
            raise IssuerUnavailableError("connect") from None

    async def _get(self, url: str) -> bytes:
        if not is_safe(url):
            raise IssuerUnavailableError("address")
        async with self._client.stream("GET", url) as answer:
            return await _bounded(answer)


async def _bounded(answer: httpx2.Response) -> bytes:
    """Return the body of an answer, read up to a bound."""
    if answer.status_code != httpx2.codes.OK or "content-encoding" in answer.headers:
        raise IssuerUnavailableError("status")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > LARGEST_SET:
            raise IssuerUnavailableError("too_large")
    return bytes(body)


def _object_of(body: bytes, what: str = "discovery") -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise IssuerUnavailableError(what) from None
    if not isinstance(parsed, dict):
        raise IssuerUnavailableError(what)
    return parsed
