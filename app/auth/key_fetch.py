"""Ask an issuer for its keys: discovery (OpenID Connect Discovery 1.0, section 4), then the JWK Set, within bounds.

Each request has one deadline, an answer is read up to a bound, and redirects are refused. No message quotes an answer:
an attacker could have written it.
"""

import asyncio
import json
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import httpx2

from app.auth.issuer_trust import IssuerUnavailableError, is_safe
from app.auth.key_sets import LARGEST_SET, BadKeySetError, KeySet, read_key_set

_DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an issuer's keys are: at `keys_url`, or else where its discovery document says."""

    issuer: str
    keys_url: str | None = None


class KeyFetcher:
    """Fetches key sets."""

    def __init__(self, allowed: Collection[str], *, seconds: float = 5.0, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; proxies and credentials of the environment are not used.

        Args:
            allowed: the algorithms that keys may be for.
            seconds: the deadline of one fetch, discovery included.
            tls: how to verify servers; by default as this machine does.

        """
        self._allowed = allowed
        self.seconds = seconds
        self._client = httpx2.AsyncClient(
            verify=tls or ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=seconds,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Sceau"},
            limits=httpx2.Limits(max_connections=4, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def fetch(self, source: Source) -> KeySet:
        """The issuer's keys, as they are now.

        Raises:
            IssuerUnavailableError: they cannot be read, or are no keys.

        """
        try:
            async with asyncio.timeout(self.seconds):
                url = source.keys_url or await self._discover(source.issuer)
                body = await self._get(url)
        except (TimeoutError, httpx2.TimeoutException):
            raise IssuerUnavailableError("timeout") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
            raise IssuerUnavailableError("connect") from None
        try:
            return read_key_set(body, self._allowed)
        except BadKeySetError:
            raise IssuerUnavailableError("keys") from None

    async def _discover(self, issuer: str) -> str:
        body = await self._get(issuer.rstrip("/") + _DISCOVERY)
        try:
            document = json.loads(body)
            named, url = document["issuer"], document["jwks_uri"]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise IssuerUnavailableError("discovery") from None
        # The document of another issuer would bring another's keys (Discovery 1.0, section 4.3).
        if named != issuer or not isinstance(url, str):
            raise IssuerUnavailableError("discovery")
        return url

    async def _get(self, url: str) -> bytes:
        if not is_safe(url):
            raise IssuerUnavailableError("address")
        async with self._client.stream("GET", url) as answer:
            if answer.status_code != httpx2.codes.OK or "content-encoding" in answer.headers:
                raise IssuerUnavailableError("status")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > LARGEST_SET:
                    raise IssuerUnavailableError("too_large")
        return bytes(body)
