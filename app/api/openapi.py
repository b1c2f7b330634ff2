"""The OpenAPI document beyond what FastAPI derives: each operation's scope, and the bodies read by hand."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
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
from app.api.http.security import open_to_all, scopes_by_route
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
"""What each pattern of the API asks for, in words."""


def _objects(node: Any) -> Iterator[dict[Any, Any]]:  # noqa: ANN401 - any part of a JSON document
    """Yield every object in a part of the document, the inner ones first, and none of examples."""
    if isinstance(node, list):
        for item in node:
            yield from _objects(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name not in {"example", "examples"}:
                yield from _objects(value)
        yield node


def tell_patterns(document: dict[str, Any]) -> None:
    """Add to the description of each schema that has a pattern what the pattern asks for, in place."""
    for node in _objects(document):
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            _add(node, PATTERNS.get(pattern, ""))
        if "in" in node and isinstance(node.get("schema"), dict):  # the page shows a parameter's own description
            for inner in _patterns(node["schema"]):
                _add(node, PATTERNS.get(inner, ""))


def tell_words(operation: dict[str, Any], schemas: Mapping[str, Schema]) -> None:
    """Add to an operation's description which words each member of its body accepts, in place."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    accepted = dict(words_of(body, schemas)) if body is not None else {}
    if accepted:
        # They are shown as a list, because a table is wider than the page on a telephone.
        rows = [f"- `{member}`: {', '.join(f'`{word}`' for word in words)}" for member, words in accepted.items()]
        text = "\n".join(["Words that members of the body take:", "", *rows])
        operation["description"] = f"{operation.get('description', '')}\n\n{text}".strip()


def words_of(
    schema: Schema, schemas: Mapping[str, Schema], member: str = "", above: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each member of a body that accepts only certain words, with these words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in above:  # a type may refer to itself
            yield from words_of(schemas[name], schemas, member, (*above, name))
        return
    if "enum" in schema:
        yield member, [str(word) for word in schema["enum"]]
    for subschema in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        yield from words_of(subschema, schemas, member, above)
    if isinstance(schema.get("items"), dict):
        yield from words_of(schema["items"], schemas, member, above)
    for name, subschema in schema.get("properties", {}).items():
        yield from words_of(subschema, schemas, f"{member}.{name}".lstrip("."), above)


def _patterns(schema: Schema) -> Iterator[str]:
    if isinstance(schema.get("pattern"), str):
        yield schema["pattern"]
    for subschema in schema.get("anyOf", ()):
        yield from _patterns(subschema)


def _add(node: dict[str, Any], text: str) -> None:
    description = str(node.get("description", "")).strip()
    if text and text not in description:
        end = "" if not description or description.endswith((".", "!", "?")) else "."
        node["description"] = f"{description}{end} {text}".strip()


# The examples are real answers: the application gave each of them, and `answers.json` keeps them.
# `tests/docs_page/test_answers.py` performs every operation, and compares the file with the answers. Keys, secrets and
# links in the file are no longer real.

ANSWERS: Final = Path(__file__).with_name("answers.json")
PROBLEMS: Final = "problems"
"""The name in place of an operation's id under which problems are kept, of which one of each status is enough."""


@lru_cache(maxsize=1)
def kept_answers() -> dict[str, dict[str, dict[str, Any]]]:
    """The answers that are kept, by operation id, status and media type."""
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


_SCOPES: Final = "\n".join(
    ("| Scope | Lets a caller |", "|---|---|", *(f"| `{scope}` | {meaning} |" for scope, meaning in SCOPE_TOLD.items()))
)
DESCRIPTION: Final = """
May this processing analyse this correspondence for this user? (CPCE art. L32-3). *Authorize* with a key, then, in
order: register a processing; record a consent; ask; withdraw; ask again. A deny is an answer (200), not an error.

**Where two persons decide about the register**: make a key for each (`POST /v1/keys`, examples *one who proposes* and
*one who approves*). One authorizes and registers, the other authorizes and approves (`POST /v1/rulings`).

Subject ids stand in bodies, never in addresses. Each operation names the scope that it needs.
"""
"""The beginning of the page at /docs. It is short, so that the first screen shows Authorize and the first operation."""

SECTIONS: Final = (
    ("register", "First: which processings there are, what each analyses, and for what purpose."),
    ("consents", "Then: what users decided, with its proof; withdrawn as easily as given."),
    ("decisions", "Then ask: may this processing analyse this correspondence for this user? (AuthZEN 1.0)"),
    ("renewals", "The yearly renewal: what is due or has lapsed, and what the jobs that find it did."),
    ("proof", "What an outsider can check: the log, and receipts for those whose consents they are."),
    ("audit", "Why an answer is what it is, or was."),
    ("events", "What happened to consents, for other systems: sent to webhooks, or read as a feed."),
    ("staff", "What your staff must know (L32-3, V): the notice in versions, who acknowledged it, who is missing."),
    ("keys", "Who may call, and for what. A mail server needs `decisions:evaluate` only."),
    ("operation", "Whether the service runs; open without a key."),
)
"""The headings of the page at /docs, in the order in which an administrator needs them."""

EVERYDAY: Final = frozenset(
    {
        *("post_processing", "get_processings", "get_processing", "patch_processing", "get_versions", "post_version"),
        *("get_proposals", "post_ruling"),
        *("post_consent", "post_withdrawal", "post_search", "get_history", "post_consent_link", "post_closure"),
        *("post_erasure", "evaluation", "evaluations", "get_renewals", "get_receipt"),
        *("post_explanation", "post_decision_search", "post_key", "get_keys", "delete_key", "readyz"),
    }
)
"""The operations that an administrator needs every day, by their ids."""

_ID: Final = {"id": "/id"}
_FIRST: Final = {"id": "/items/0/id"}
_LINKS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "post_processing": dict.fromkeys(("get_processing", "post_version"), _ID),
    "post_consent": dict.fromkeys(("get_consent", "get_history", "get_receipt", "get_proof"), _ID),
    "post_search": dict.fromkeys(("get_consent", "get_history", "get_receipt"), _FIRST),
    "post_withdrawal": dict.fromkeys(("get_event", "get_receipt", "get_proof"), _ID),
    "get_history": dict.fromkeys(("get_event", "get_receipt"), _FIRST),
    "post_webhook": dict.fromkeys(("get_deliveries", "patch_webhook", "post_replays"), _ID),
    "get_webhooks": dict.fromkeys(("get_deliveries", "patch_webhook", "post_replays"), _FIRST),
    "get_deliveries": {"get_deliveries": {"id": "$request.path.id", "event": "/items/0/event"}},
    "post_key": dict.fromkeys(("get_keys", "patch_key", "post_rotation", "delete_key"), _ID),
    "post_member": {"get_coverage": {"member": "/id"}, "patch_member": _ID},
}
"""By operation, or operation and status: the operations that take a value of its answer, and where the value stands."""


def link_answers(operation: dict[str, Any]) -> None:
    """Link each answer of success to the operations that take an id from it, in place, if the example has that id."""
    for status, response in operation["responses"].items():
        example = response.get("content", {}).get("application/json", {}).get("example")
        own = operation["operationId"]
        for target, parameters in {**_LINKS.get(own, {}), **_LINKS.get(f"{own} {status}", {})}.items():
            places = [each for each in parameters.values() if each.startswith("/")]
            if status.startswith("2") and all(_stands(place, example) for place in places):
                arguments = {
                    name: f"$response.body#{place}" if place.startswith("/") else place
                    for name, place in parameters.items()
                }
                response.setdefault("links", {})[target] = {"operationId": target, "parameters": arguments}


def _stands(pointer: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a JSON value has something at a pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value is not None


def share(document: dict[str, Any]) -> None:
    """State once, in place, what several operations have in common: refusals, and examples of one type.

    FastAPI writes each of them out at each operation, which doubles the document.
    """
    operations = [each for path in document["paths"].values() for each in path.values()]
    _share_examples(operations, document["components"]["schemas"])
    stated = ((each["responses"], status) for each in operations for status in each["responses"])
    refused = [place for place in stated if not place[1].startswith("2")]
    _share_refusals(document, refused)
    for holder, status in refused:  # a refusal of one operation only has no example: another's would mislead
        for content in holder[status].get("content", {}).values():
            content.pop("example", None)
    _shorten(document)


def _share_examples(operations: Sequence[dict[str, Any]], schemas: dict[str, Any]) -> None:
    """If several operations answer with a type, show one real answer at the type, and none at each operation."""
    answered: dict[str, list[dict[str, Any]]] = {}
    for operation in operations:
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                if status.startswith("2") and "example" in content and "$ref" in content.get("schema", ()):
                    answered.setdefault(content["schema"]["$ref"].rpartition("/")[2], []).append(content)
    for name, contents in answered.items():
        if len(contents) > 1:
            schemas[name]["examples"] = [contents[0]["example"]]
            for content in contents:
                del content["example"]


def _share_refusals(document: dict[str, Any], refused: Sequence[tuple[dict[str, Any], str]]) -> None:
    """Move refusals that stand in several places into the components; a number distinguishes those of one status."""
    alike: dict[str, list[dict[str, Any]]] = {}
    for responses, status in refused:
        alike.setdefault(f"{status} {json.dumps(responses[status], sort_keys=True)}", []).append(responses)
    shared = document["components"].setdefault("responses", {})
    numbers = Counter[str]()
    for text, holders in alike.items():
        status = text.partition(" ")[0]
        if len(holders) > 1:
            numbers[status] += 1
            name = f"E{status}" + (f"_{numbers[status]}" if numbers[status] > 1 else "")
            shared[name] = holders[0][status]
            for responses in holders:
                responses[status] = {"$ref": f"#/components/responses/{name}"}


def _shorten(document: dict[str, Any]) -> None:
    """Shorten each schema and parameter in place, without loss.

    Remove the title that pydantic makes of each name, write a type that may be null as one type (JSON Schema, "type"),
    and remove what a parameter's schema repeats of the parameter.
    """
    for node in _objects([each for name, each in document.items() if name != "info"]):
        if isinstance(node.get("title"), str) and not node.keys().isdisjoint(_SCHEMA_WORDS):
            del node["title"]
        match node.get("anyOf"):
            case [{"type": str(kind), **one}, {"type": "null"}] if "const" not in one and "enum" not in one:
                del node["anyOf"]
                description = one.pop("description", "")
                node.update({"type": [kind, "null"], **one, **node})
                _add(node, str(description))
        if "in" in node and isinstance(node.get("schema"), dict):
            _shorten_parameter(node, node["schema"])


def _shorten_parameter(parameter: dict[str, Any], schema: dict[str, Any]) -> None:
    if schema.get("description") == parameter.get("description"):
        schema.pop("description", None)
    if not parameter.get("required"):
        parameter.pop("required", None)
        if isinstance(kinds := schema.get("type"), list):
            schema["type"] = kinds[0]  # an optional parameter is left out, never null


_SCHEMA_WORDS: Final = frozenset({"type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const", "properties", "items"})


def everyday(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the whole document that an administrator needs every day, with the components that it refers to."""
    paths = {
        path: {method: each for method, each in item.items() if each["operationId"] in EVERYDAY}
        for path, item in document["paths"].items()
    }
    used = {each["tags"][0] for item in paths.values() for each in item.values()}
    small = {
        **document,
        "paths": {path: item for path, item in paths.items() if item},
        "tags": [tag for tag in document["tags"] if tag["name"] in used],
        "components": {"securitySchemes": document["components"]["securitySchemes"]},
    }
    waiting = _references(small["paths"])
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        kept = small["components"].setdefault(kind, {})
        if name not in kept:
            kept[name] = document["components"][kind][name]
            waiting |= _references(kept[name])
    return small


def _references(node: Any) -> set[str]:  # noqa: ANN401 - any part of a JSON document
    """The targets of all references in a part of the document."""
    return {each["$ref"] for each in _objects(node) if isinstance(each.get("$ref"), str)}


def leave_out_impossible(operation: dict[str, Any]) -> None:
    """Leave out, in place, refusals of a body where an operation takes none, and of a caller where it takes no key."""
    for needed, statuses in (("requestBody", ("415",)), ("security", ("401", "403", "429"))):
        for status in statuses if needed not in operation else ():
            operation["responses"].pop(status, None)


def describe(app: "FastAPI", document: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's document in place."""
    document["tags"] = [{"name": name, "description": description} for name, description in SECTIONS]
    for (method, path), scopes in scopes_by_route(app).items():
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is None:
            continue
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
    document["paths"]["/v1/keys"]["post"]["description"] += f"\n\n{_SCOPES}"
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    document["paths"]["/v1/explanations"]["post"].update(documented_body(ExplanationRequest))
    _, declared = msgspec.json.schema_components(EXAMPLES, ref_template=_COMPONENT)
    for model, examples in EXAMPLES.items():
        declared[model.__name__]["examples"] = examples
        for member in declared[model.__name__].get("properties", {}).values():
            if member.get("type") == "array":
                member.setdefault("items", {})  # any kind: generators of clients refuse a list without it
    schemas.update(declared)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for operation in [each for path in document["paths"].values() for each in path.values()]:
        leave_out_impossible(operation)
        tell_words(operation, schemas)
        show_answers(operation)
        link_answers(operation)
    tell_patterns(document)
    share(document)
    return document


_CONSENTED_BEFORE: Final = timedelta(minutes=1)


def dated(document: Mapping[str, Any], now: "datetime") -> dict[str, Any]:
    """The document as it is served at an instant: the consents in its examples were collected a minute before.

    An older grant needs another scope, and an import if two persons decide; a grant of a fixed date would lapse.
    """
    at = f"{now - _CONSENTED_BEFORE:%Y-%m-%dT%H:%M:%SZ}"
    schemas = dict(document["components"]["schemas"])
    for name in ("NewConsent", "ConsentBatch"):
        if name in schemas:
            proposal = deepcopy(schemas[name])
            consent = proposal["examples"][0]
            (consent["items"][0] if name == "ConsentBatch" else consent)["collected_at"] = at
            schemas[name] = proposal
    return {**document, "components": {**document["components"], "schemas": schemas}}


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
<style>
nav { font: 16px sans-serif; padding: 8px 20px }
nav a { margin-right: 16px }
nav [aria-current] { color: #333; font-weight: bold }
.swagger-ui .responses-inner { overflow-x: auto }
</style>
</head>
<body data-document="%(document)s">
<nav aria-label="Which operations"><a href="/docs"%(everyday)s>Everyday</a> <a href="/docs/everything"%(everything)s>\
Everything</a></nav>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_CURRENT: Final = ' aria-current="page"'
_START: Final = """const keyPath = ["headers", "Authorization"];
// The curl line of an answer shows a placeholder: pages are looked over shoulders and end up in tickets.
const keepKey = (Curl, system) => (props) => {
  const { request } = props;
  const shown = request.hasIn(keyPath) ? request.setIn(keyPath, "Bearer YOUR_KEY") : request;
  return system.React.createElement(Curl, { ...props, request: shown });
};
SwaggerUIBundle({
  url: document.body.dataset.document,
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
    """The folder of the installed Swagger UI files (the package only carries them: none of its code runs)."""
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package that carries the Swagger UI files is not installed: fastapi-offline")
    return Path(spec.origin).parent / "static"


def _page(document: str, **current: str) -> HTMLResponse:
    shown = {"document": document, "everyday": "", "everything": "", **current}
    return HTMLResponse(_PAGE % shown, headers={**DOCUMENT_HEADERS, "Content-Security-Policy": _CSP})


@router.get("/docs")
@open_to_all
async def page() -> HTMLResponse:
    """The page, with the operations of every day."""
    return _page("/docs/everyday.json", everyday=_CURRENT)


@router.get("/docs/everything")
@open_to_all
async def whole_page() -> HTMLResponse:
    """The page, with every operation."""
    return _page("/openapi.json", everything=_CURRENT)


@router.get("/openapi.json")
@open_to_all
def document(request: Request) -> JSONResponse:
    """The OpenAPI document; made in another thread, for it takes a second, and decisions are answered meanwhile."""
    return JSONResponse(dated(request.app.openapi(), request.app.state.services.wall_clock()))


@router.get("/docs/everyday.json")
@open_to_all
def everyday_document(request: Request) -> JSONResponse:
    """The part of it that an administrator needs every day."""
    return JSONResponse(dated(everyday(request.app.openapi()), request.app.state.services.wall_clock()))


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
