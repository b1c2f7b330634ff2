"""The OpenAPI page at `/docs`, with every asset served from here: it works with no internet, under a strict CSP."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from app.api.http.headers import DOCUMENT_HEADERS
from app.api.http.security import open_to_all

router = APIRouter(include_in_schema=False)

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sceau</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START: Final = """const keyPath = ["headers", "Authorization"];
// The curl line of an answer shows a placeholder: pages are looked over shoulders and end up in tickets.
const keepKey = (Curl, system) => (props) => {
  const { request } = props;
  const shown = request.hasIn(keyPath) ? request.setIn(keyPath, "Bearer YOUR_KEY") : request;
  return system.React.createElement(Curl, { ...props, request: shown });
};
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  defaultModelRendering: "example",
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [() => ({ wrapComponents: { curl: keepKey } })],
});
"""


def _assets() -> Path:
    """Where the installed Swagger UI files are (the package is only their carrier: none of its code runs)."""
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package that carries the Swagger UI files is not installed: fastapi-offline")
    return Path(spec.origin).parent / "static"


@router.get("/docs")
@open_to_all
async def page() -> HTMLResponse:
    """The page itself."""
    return HTMLResponse(_PAGE, headers={**DOCUMENT_HEADERS, "Content-Security-Policy": _CSP})


@router.get("/openapi.json")
@open_to_all
def document(request: Request) -> JSONResponse:
    """The OpenAPI document; made in another thread, for it takes a second, and decisions are answered meanwhile."""
    return JSONResponse(request.app.openapi())


@router.get("/docs/start.js")
@open_to_all
async def start() -> Response:
    """The script that starts Swagger UI: a file of its own, so that the page needs no inline script."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
@open_to_all
async def asset(name: Annotated[Literal["swagger-ui.css", "swagger-ui-bundle.js"], PathParameter()]) -> FileResponse:
    """One of Swagger UI's own files."""
    return FileResponse(_assets() / name, headers={"Cache-Control": "public, max-age=3600"})
