"""The bodies of AuthZEN requests, read by hand: whatever is wrong with one is a 400."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.api.problems import MalformedError, fields_of
from app.api.routing import says_json
from app.api.strict_json import BadJsonError, parse

_Model = TypeVar("_Model", bound=BaseModel)


def documented_body(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that a route reads by hand."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        MalformedError: it has none, or is not said to have one.

    """
    if not says_json(request):
        raise MalformedError("Send the request as application/json.")
    try:
        body = parse(await request.body())
    except BadJsonError as error:
        raise MalformedError(str(error)) from None
    if not isinstance(body, dict):
        raise MalformedError("The request is a JSON object.")
    return body


def read_body(model: type[_Model], body: Mapping[str, Any]) -> _Model:
    """A body as a model.

    Raises:
        MalformedError: members are missing or not as they should be.

    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise MalformedError("Some members are missing or not as they should be.", fields_of(error)) from None
