"""One indexed SELECT over HTTP: plain ASGI, psycopg's own pool, a prepared statement, the rows' number as the answer.

It makes the subject's locator too, since the table is keyed by it; nothing is remembered and nothing is checked.
"""

import json
import os
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

from app.ledger.identifiers import Pseudonyms

_SELECT: Final = (
    "SELECT e.* FROM subject_locator AS l JOIN consent_event AS e USING (subject_ref)"
    " WHERE l.locator = %s AND l.ended_at IS NULL ORDER BY e.seq"
)
_pseudonyms = Pseudonyms(bytes.fromhex(os.environ["SCEAU_PSEUDONYM_KEY"]))
_pool = AsyncConnectionPool(
    os.environ["SCEAU_DATABASE_URL"],
    kwargs={"autocommit": True, "prepare_threshold": 1},
    min_size=10,
    max_size=10,
    open=False,
)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Read the subject's rows and say how many there are."""
    if scope["type"] != "http":
        await _lifespan(receive, send)
        return
    body = (await receive())["body"]
    if not body:  # only the question whether it runs
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    asked = json.loads(body)
    ref = _pseudonyms.locator(asked["subject"]["type"], asked["subject"]["id"])
    async with _pool.connection() as connection:
        rows = await (await connection.execute(_SELECT, [ref])).fetchall()
    answer = b'{"rows":%d}' % len(rows)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    await receive()
    await _pool.open()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _pool.close()
    await send({"type": "lifespan.shutdown.complete"})
