import pytest

from tests.support.issuer import issuing


@pytest.fixture
def provider():
    """A provider of this test's own."""
    with issuing() as made:
        yield made
