"""The OpenAPI document, made once for each process: it takes half a second."""

from functools import cache
from typing import Any

from app.main import create_app
from tests.support.api import settings_for
from tests.support.databases import TestDatabase

_NOWHERE = "postgresql://nobody@localhost/none"


@cache
def document() -> dict[str, Any]:
    """The answer of `/openapi.json` from an application without a database; do not change it."""
    return create_app(settings_for(TestDatabase("none", _NOWHERE, _NOWHERE))).openapi()
