import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    """The event loop of production, for tests that are awaited."""
    return "asyncio", {"use_uvloop": True}
