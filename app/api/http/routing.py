"""Routes whose JSON bodies are read strictly (`app.api.http.wire`); each path stands whole where it is made."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.api.http.security import names_a_scope, refuse_strangers
from app.api.http.services import services_of
from app.api.http.wire import BadJsonError, is_json, parse
from app.auth.callers import bearer_of

# A reference, not the model itself: FastAPI would build a reader of the model for each of five hundred answers.
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": _PROBLEM}
    for status, description in (
        (400, "The request is malformed."),
        (401, "No key, or none that is in force."),
        (403, "The caller lacks the scope, or may not name this processing."),
        (413, "The body is too large."),
        (429, "The caller asks too often, or somebody at its address without a key does; `Retry-After` says when."),
        (503, "The database cannot be reached; nothing was recorded, or that is not known: the type tells."),
    )
}


def problems(*more: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """The problem documents that a route answers: those of every route, and these."""
    added: dict[int | str, dict[str, Any]] = {
        status: {**PROBLEMS[400], "description": description} for status, description in more
    }
    return {**PROBLEMS, **added}


class StrictRequest(Request):
    """A request whose JSON is I-JSON."""

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Read the body strictly.

        Raises:
            HTTPException: 400, and why.

        """
        try:
            return parse(await self.body())
        except BadJsonError as error:
            raise HTTPException(400, str(error)) from None


class StrictRoute(APIRoute):
    """A route that hands a `StrictRequest` to FastAPI, and refuses a body that is not said to be JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            try:
                await self._refuse_other_media(strict)
                return await handle(strict)
            except HTTPException:
                # A body is read before the caller is looked for: what is wrong with it is told to callers only.
                if names_a_scope(self.dependant):
                    await refuse_strangers(services_of(strict), bearer_of(strict.headers.get("authorization", "")))
                raise

        return handle_strictly

    async def _refuse_other_media(self, request: Request) -> None:
        if self.body_field is not None and not says_json(request) and await request.body():
            raise HTTPException(415, "Send the body as application/json.")


def says_json(request: Request) -> bool:
    """Whether the request says that its body is JSON, whatever parameters follow."""
    return is_json(request.headers.get("content-type", "").encode("latin-1"))


def strict_router(tag: str) -> APIRouter:
    """A router of strict routes under one heading of the documentation."""
    return APIRouter(route_class=StrictRoute, tags=[tag])
