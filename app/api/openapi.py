"""The OpenAPI document beyond what FastAPI derives: each operation's scope, and the bodies read by hand."""

from typing import TYPE_CHECKING, Any

from app.api.access_models import BODIES
from app.api.security import scopes_by_route

if TYPE_CHECKING:
    from fastapi import FastAPI


def describe(app: "FastAPI", document: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's document in place."""
    for (method, path), scope in scopes_by_route(app).items():
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is None or scope is None:
            continue
        needs = f"Needs the scope `{scope.value}`."
        operation["description"] = f"{operation.get('description', '')}\n\n{needs}".strip()
        operation["x-scope"] = scope.value
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in BODIES:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    return document
