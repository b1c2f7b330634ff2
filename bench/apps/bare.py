"""The least that an application can do under uvicorn: read the body and answer a constant of the same size."""

from typing import Any, Final

_ANSWER: Final = (
    b'{"decision":true,"context":{"id":"0199d7a4-1c11-7c3f-9a51-6a0f6a4b1c2d","reason":"consent_in_force","article":'
    b'"L32-3 IV","law_version":"2025-07-02","consent":"0199d7a4-0000-7000-8000-000000000001","expires_at":'
    b'"2027-09-30T22:00:00Z","valid_until":"2027-09-30T22:00:00Z","reason_user":{"fr":"Vous y avez consenti.","en":'
    b'"You have consented to it."}}}'
)
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Answer every HTTP request alike."""
    if scope["type"] != "http":
        await _lifespan(receive, send)
        return
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


async def _lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    for said in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{said}.complete"})
