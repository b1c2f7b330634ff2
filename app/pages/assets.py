"""What pages load: one hand-written style sheet and the operator's logo, served from here."""

from typing import Annotated, Literal

from fastapi import Path, Request, Response
from fastapi.responses import FileResponse

from app.api.http.security import open_to_all
from app.api.http.services import services_of
from app.pages.rendering import HERE, page_router

router = page_router()


@router.get("/assets/logo.png")
@open_to_all
async def logo(request: Request) -> Response:
    """The operator's logo (SCEAU_LOGO), if there is one."""
    picture = services_of(request).logo
    if picture is None:
        return Response(status_code=404)  # to an element of a page, not to a person
    return Response(picture, media_type="image/png", headers={"Cache-Control": "public, max-age=3600"})


@router.get("/assets/{name}")
@open_to_all
async def asset(name: Annotated[Literal["sceau.css"], Path()]) -> Response:
    """The style sheet; pages name its version, so that it may be kept."""
    return FileResponse(HERE / "assets" / name, headers={"Cache-Control": "public, max-age=3600"})
