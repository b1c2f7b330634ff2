"""The service with the sample register, and the accessibility checker, for the tests of the consent page."""

import pytest

from tests.e2e.debian import Unavailable
from tests.e2e.pages.axe import provide_axe
from tests.e2e.pages.consent import Operator
from tests.e2e.service import service


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    """The operator of a service with the sample register."""
    with service(tmp_path_factory.mktemp("consent") / "data") as (address, key):
        made = Operator(address, key)
        made.register()
        yield made
        made.client.close()


@pytest.fixture(scope="module")
def axe():
    """The accessibility checker's source."""
    try:
        return provide_axe()
    except Unavailable as error:
        pytest.exit(str(error), returncode=1)
