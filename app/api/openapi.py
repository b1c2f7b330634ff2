"""The OpenAPI document beyond what FastAPI derives: each operation's scope, and the bodies read by hand."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from app.api.decisions.models import _COMPONENT, EXAMPLES, ExplanationRequest, documented_body
from app.api.http.exchange import DOCUMENT_HEADERS
from app.api.http.problems import Problem
from app.api.http.security import names_by_route, open_to_all, scopes_by_route
from app.auth.callers import SCOPE_TOLD

if TYPE_CHECKING:
    from datetime import datetime

    from fastapi import FastAPI

Schema = Mapping[str, Any]
PATTERNS: Final[Mapping[str, str]] = {
    r"^[a-z0-9][a-z0-9._-]{0,99}$": (
        "At most 100 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."
    ),
    r"^[a-z0-9][a-z0-9._-]{0,63}$": (
        "At most 64 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."
    ),
    r"^[A-Za-z0-9._-]{1,64}$": "At most 64 letters, digits, `.`, `_` and `-`.",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits, lower-case.",
    r"^[0-9A-Fa-f]{64}$": "64 hexadecimal digits.",
    r"^[A-Z]{2}$": "Two capital letters, such as `FR`.",
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$": "A language tag, such as `fr` or `en-GB`.",
    r"^P[0-9YMWDTHS]{2,40}$": "A duration, such as `P30D`, `P6M` or `PT12H`.",
    r"^P[1-9][0-9]{0,2}[YMWD]$": "A number of years, months, weeks or days: `P1Y`, `P6M`, `P26W`, `P90D`.",
    r"^[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$": (
        "A level from 0, then the index in groups of three digits, each but the last behind an `x`: `0/x001/067`; "
        "`.p/` and a width for a tile that is not full: `0/067.p/12`."
    ),
    r"\S": "Not empty, and not only spaces.",
}
"""What each pattern of the API asks for."""


def tell_patterns(node: Any) -> None:  # noqa: ANN401 - any part of a JSON document
    """Add to the description of each schema with a pattern what that asks for, in place."""
    if isinstance(node, list):
        for each in node:
            tell_patterns(each)
    elif isinstance(node, dict):
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            _add(node, PATTERNS.get(pattern, ""))
        for name, each in node.items():
            if name not in {"example", "examples"}:
                tell_patterns(each)
        if "in" in node and isinstance(node.get("schema"), dict):  # the page shows a parameter's own description
            for found in _patterns(node["schema"]):
                _add(node, PATTERNS.get(found, ""))


def tell_words(operation: dict[str, Any], schemas: Mapping[str, Schema]) -> None:
    """Add to an operation's description which words each member of its body takes, in place."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    found = dict(words_of(body, schemas)) if body is not None else {}
    if found:
        # A list and no table: on a telephone a table is wider than the page.
        rows = [f"- `{member}`: {', '.join(f'`{word}`' for word in words)}" for member, words in found.items()]
        told = "\n".join(["Words that members of the body take:", "", *rows])
        operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()


def words_of(
    schema: Schema, schemas: Mapping[str, Schema], member: str = "", above: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[str]]]:
    """The members of a body that take some words only, by their path, each with these words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in above:  # a type may hold others of itself
            yield from words_of(schemas[name], schemas, member, (*above, name))
        return
    if "enum" in schema:
        yield member, [str(word) for word in schema["enum"]]
    for each in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        yield from words_of(each, schemas, member, above)
    if isinstance(schema.get("items"), dict):
        yield from words_of(schema["items"], schemas, member, above)
    for name, each in schema.get("properties", {}).items():
        yield from words_of(each, schemas, f"{member}.{name}".lstrip("."), above)


def _patterns(schema: Schema) -> Iterator[str]:
    if isinstance(schema.get("pattern"), str):
        yield schema["pattern"]
    for each in schema.get("anyOf", ()):
        yield from _patterns(each)


def _add(node: dict[str, Any], told: str) -> None:
    description = str(node.get("description", "")).strip()
    if told and told not in description:
        end = "" if not description or description.endswith((".", "!", "?")) else "."
        node["description"] = f"{description}{end} {told}".strip()


# Real answers as examples: each was given by the application itself, and is kept in `answers.json`.
# `tests/docs_page/test_answers.py` plays every operation, and holds the file to what is answered then. Keys, secrets
# and links in it are no real ones any more.

ANSWERS: Final = Path(__file__).with_name("answers.json")
PROBLEMS: Final = "problems"
"""What stands in the place of an operation's id above problems, of which one of each status is enough."""


@lru_cache(maxsize=1)
def kept_answers() -> dict[str, dict[str, dict[str, Any]]]:
    """By operation id, status and media type."""
    answers: dict[str, dict[str, dict[str, Any]]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return answers


def show_answers(operation: dict[str, Any]) -> None:
    """Put the real answers of an operation beside their types, and a real problem beside each status, in place."""
    own, problems = (kept_answers().get(name, {}) for name in (operation["operationId"], PROBLEMS))
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            answer = {**problems.get(status, {}), **own.get(status, {})}.get(media_type)
            if answer is not None:
                content["example"] = answer


_SCOPES: Final = "\n".join(f"| `{scope}` | {told} |" for scope, told in SCOPE_TOLD.items())
DESCRIPTION: Final = f"""
Policy decision point for the secrecy of private correspondence (CPCE art. L32-3).

**The whole job from this page**: press *Authorize* and give a key; register a processing; record a consent; ask
whether that processing may analyse a correspondence for that user; withdraw; ask again. A deny is an answer (200),
not an error. Subject ids go in bodies only, never in URLs.

A key lets its caller do what its scopes say, and nothing else. Each operation names the scope that it needs.

| Scope | Lets a caller |
|---|---|
{_SCOPES}
"""
"""What the page at /docs begins with."""

SECTIONS: Final = (
    ("register", "First: which processings there are, what each analyses, and for what purpose."),
    ("consents", "Then: what users decided, with its proof; withdrawn as easily as given."),
    ("decisions", "Then ask: may this processing analyse this correspondence for this user? (AuthZEN 1.0)"),
    ("renewals", "The yearly renewal: what is due or has lapsed, and what the jobs that find it did."),
    ("proof", "What an outsider can check: the log, and receipts for those whose consents they are."),
    ("audit", "Why an answer is what it is, or was."),
    ("events", "What happened to consents, told to others: sent to webhooks, or read as a feed."),
    ("staff", "What your staff must know (L32-3, V): the notice in versions, who acknowledged it, who is missing."),
    ("keys", "Who may call, and for what. A mail server needs `decisions:evaluate` only."),
    ("operation", "Whether the service runs; open to everybody."),
)
"""The headings of the page at /docs, in the order in which an administrator needs them."""


def describe(app: "FastAPI", document: dict[str, Any], now: "datetime") -> dict[str, Any]:
    """Complete FastAPI's document in place; `now` dates what it proposes."""
    document["tags"] = [{"name": name, "description": description} for name, description in SECTIONS]
    names = names_by_route(app)
    for (method, path), scopes in scopes_by_route(app).items():
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is None:
            continue
        operation["operationId"] = names[method, path]
        for parameter in operation.get("parameters", []):
            if examples := parameter["schema"].get("examples"):
                parameter["example"] = examples[0]  # what Swagger UI fills in
        if scopes is None:
            continue
        named = sorted(scope.value for scope in scopes)
        needs = (
            f"Needs the scope {' or '.join(f'`{name}`' for name in named)}." if named else "Needs a key of any scope."
        )
        operation["description"] = f"{operation.get('description', '')}\n\n{needs}".strip()
        operation["x-scope"] = " ".join(named)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    document["paths"]["/v1/explanations"]["post"].update(documented_body(ExplanationRequest))
    _, declared = msgspec.json.schema_components(EXAMPLES, ref_template=_COMPONENT)
    for model, examples in EXAMPLES.items():
        declared[model.__name__]["examples"] = examples
        for member in declared[model.__name__].get("properties", {}).values():
            if member.get("type") == "array":
                member.setdefault("items", {})  # of any kind; generators of clients refuse a list of what is not said
    schemas.update(declared)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for operation in [each for path in document["paths"].values() for each in path.values()]:
        tell_words(operation, schemas)
        show_answers(operation)
    tell_patterns(document)
    _date_the_consent(schemas["NewConsent"]["examples"][0], now)
    _date_the_consent(schemas["ConsentBatch"]["examples"][0]["items"][0], now)
    return document


def _date_the_consent(proposal: dict[str, Any], now: "datetime") -> None:
    """Propose a consent signed at noon UTC of the day before: one of a fixed date would lapse."""
    yesterday = (now - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    proposal["collected_at"] = f"{yesterday:%Y-%m-%dT%H:%M:%SZ}"


# The OpenAPI page at `/docs`, with every asset served from here: it works with no internet, under a strict CSP.

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
