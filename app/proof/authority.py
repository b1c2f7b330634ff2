"""Ask a time-stamping authority (RFC 3161) for a stamp, within a deadline and bounds; nothing is taken on trust.

An answer is kept only if a trusted authority has signed it, for these bytes, in answer to this request. Only the
address that the operator sets is asked: redirects, proxies and credentials of the environment are not used. Addresses
that callers name, such as those of webhooks, are guarded differently (`app.events`).
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

import httpx2
from cryptography.x509 import Certificate
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from app.proof.anchors import AuthorityError, StampAnswer
from app.proof.verifier.anchors import STAMP_FAULTS, StampError, stamp_of

_LONGEST: Final = 65_536
"""The most bytes of an answer; with its certificates it has some thousands."""


CAUSES: Final = {
    "timeout": "the authority did not answer in time",
    "connect": "the authority cannot be reached, or does not speak HTTP",
    "status": "the authority answered with another status than 200, or in a form that was not asked for",
    "too_large": "the authority answered with too much",
    "time": "the time in it cannot be: compare the clocks of database and authority",
    **STAMP_FAULTS,
}


class TimeAuthority:
    """Asks one authority for stamps."""

    def __init__(self, url: str, roots: Sequence[Certificate], *, seconds: float = 20.0) -> None:
        """Prepare.

        Args:
            url: where it is asked; a user and a password in it are sent as HTTP Basic.
            roots: the certificates under which its own must be.
            seconds: the deadline of one request, in all.

        """
        self._url, self._roots, self._seconds = url, roots, seconds

    async def stamp(self, content: bytes) -> StampAnswer:
        """Return a stamp of some bytes.

        Raises:
            AuthorityError: there is no stamp.

        """
        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256)
        # With the signer's certificate: a check of the stamp, later, has only roots.
        query = request.cert_request(cert_request=True).nonce(nonce=True).build()
        try:
            async with asyncio.timeout(self._seconds):
                answered = await self._ask(query.as_bytes())
        except (TimeoutError, httpx2.TimeoutException):
            raise AuthorityError("timeout") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
            raise AuthorityError("connect") from None
        try:
            return StampAnswer(answered, stamp_of(answered, content, self._roots, query.nonce))
        except StampError as error:
            raise AuthorityError(str(error)) from None

    async def _ask(self, query: bytes) -> bytes:
        """POST a request (RFC 3161, section 3.4) and return the answer, up to a bound."""
        headers = {
            "Content-Type": "application/timestamp-query",
            "Accept": "application/timestamp-reply",
            "Accept-Encoding": "identity",
            "User-Agent": "Sceau",
        }
        client = httpx2.AsyncClient(
            verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=self._seconds
        )
        body = bytearray()
        async with client, client.stream("POST", self._url, headers=headers, content=query) as answer:
            if answer.status_code != httpx2.codes.OK or "content-encoding" in answer.headers:
                raise AuthorityError("status")
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > _LONGEST:
                    raise AuthorityError("too_large")
        return bytes(body)
