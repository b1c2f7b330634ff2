"""What pages load: one hand-written style sheet, served from here."""

from typing import Annotated, Literal

from fastapi import Path, Response
from fastapi.responses import FileResponse

from app.api.http.security import open_to_all
from app.pages.rendering import HERE, page_router

router = page_router()


@router.get("/assets/{name}")
@open_to_all
async def asset(name: Annotated[Literal["sceau.css"], Path()]) -> Response:
    """The style sheet; pages name its version, so that it may be kept."""
    return FileResponse(HERE / "assets" / name, headers={"Cache-Control": "public, max-age=3600"})
