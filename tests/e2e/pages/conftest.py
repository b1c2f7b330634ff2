"""The service with the sample register, for the tests of the consent page: each asks about people of its own."""

import pytest

from tests.e2e.pages.consent import Operator
from tests.e2e.pages.looking import PHONE, window
from tests.e2e.service import service


@pytest.fixture(scope="session")
def operator(tmp_path_factory):
    """The operator of a service with the sample register."""
    with service(tmp_path_factory.mktemp("consent") / "data") as (address, key):
        made = Operator(address, key)
        made.register()
        yield made
        made.client.close()


@pytest.fixture
def phone(browser, operator):
    """A phone's window without scripts of pages, which keeps no cookie."""
    with window(browser, operator.address, **PHONE, java_script_enabled=False, reduced_motion="reduce") as page:
        yield page
        assert page.context.cookies() == []
