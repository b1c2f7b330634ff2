import pytest


@pytest.fixture(scope="module")
def document(shared):
    """The OpenAPI document as it is served."""
    return shared.ok("GET", "/openapi.json")
