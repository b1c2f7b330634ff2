"""What the chat servers' tests share: processings in Sceau's register, and servers that ask."""

from collections.abc import Iterator

import pytest

from tests.e2e import debian
from tests.e2e.chat import xmpp_server
from tests.e2e.chat.register import add_processings
from tests.e2e.chat.xmpp_world import World, xmpp_world
from tests.e2e.service import Sceau
from tests.support.api import Api


@pytest.fixture(scope="session")
def administrator(sceau: Sceau) -> Api:
    """Whoever administers Sceau, once the chat provider's processings are registered."""
    add_processings(sceau.api)
    return sceau.api


@pytest.fixture(scope="session")
def prosody(administrator: Api, sceau: Sceau) -> Iterator[World]:
    """Prosody with the module, and another server that has none."""
    try:
        xmpp_server.provide()
    except debian.Unavailable as error:
        pytest.exit(str(error), returncode=1)
    with xmpp_world(administrator, sceau.address) as world:
        yield world
