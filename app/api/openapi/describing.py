"""The OpenAPI document beyond what FastAPI derives: each operation's scope, and the bodies read by hand."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.api.decisions.wire import _COMPONENT, EXAMPLES, ExplanationRequest, documented_body
from app.api.http.problems import Problem
from app.api.http.security import names_by_route, scopes_by_route
from app.api.openapi.answers import show_answers
from app.api.openapi.words import tell_patterns, tell_words
from app.auth.scopes import SCOPE_TOLD

if TYPE_CHECKING:
    from datetime import datetime

    from fastapi import FastAPI


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
