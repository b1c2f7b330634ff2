"""What the chat servers' tests share: processings in Sceau's register."""

import pytest

from tests.e2e.chat.register import add_processings
from tests.e2e.service import Sceau
from tests.support.api import Api


@pytest.fixture(scope="session")
def administrator(sceau: Sceau) -> Api:
    """Whoever administers Sceau, once the chat provider's processings are registered."""
    add_processings(sceau.api)
    return sceau.api
