"""Answers as the connection sends them: a status, a media type, a body, and header fields."""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from msgspec import Struct
from starlette.responses import Response

from app.api.http.problems import failed, over_quota, response_to
from app.auth.limits import OverQuotaError, QuotaStatus

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"
log = structlog.get_logger("sceau.http")


class Reply(Struct, frozen=True):
    """An answer: its status, media type and body, and header fields beside those of every answer."""

    status: int
    media_type: bytes
    body: bytes
    fields: Sequence[tuple[bytes, bytes]] = ()


class Heads:
    """Writes the header lines of replies."""

    def __init__(self, of_every_answer: Mapping[str, str]) -> None:
        """Keep the lines of every answer."""
        self._lines = b"".join(
            b"%s: %s\r\n" % (name.lower().encode(), value.encode()) for name, value in of_every_answer.items()
        )

    def of(self, reply: Reply, request_id: bytes, connection: bytes) -> bytes:
        """The header lines of a reply and the empty line after them; `connection` is keep-alive or close."""
        own = b"".join([b"%s: %s\r\n" % field for field in reply.fields]) if reply.fields else b""
        return b"content-type: %s\r\ncontent-length: %d\r\n%s%sconnection: %s\r\nx-request-id: %s\r\n\r\n" % (
            reply.media_type,
            len(reply.body),
            self._lines,
            own,
            connection,
            request_id,
        )


def quota_fields(standing: QuotaStatus | None) -> Sequence[tuple[bytes, bytes]]:
    """The header fields that say how much of the caller's quota is left."""
    if standing is None:
        return ()
    policy, limit = standing.fields()
    return (b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())


def reply_of(response: Response, more: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """A response as a reply, with more header fields."""
    fields = [each for each in response.raw_headers if each[0] not in {b"content-type", b"content-length"}]
    return Reply(response.status_code, (response.media_type or "").encode(), bytes(response.body), [*fields, *more])


def reply_to(error: Exception) -> Reply:
    """The problem document of an exception; one that says nothing to a client is logged, and is a 500."""
    if isinstance(error, OverQuotaError):
        return reply_of(over_quota({}, error), quota_fields(error.standing))
    response = response_to(error)
    if response is None:
        log.error("failed", exc_info=error)
        response = failed()
    return reply_of(response)
