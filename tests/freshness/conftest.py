import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    """The event loop of tests that are awaited."""
    return "asyncio"
