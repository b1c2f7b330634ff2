"""What the chat servers' tests share: processings in Sceau's register, and servers that ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.chat import xmpp_server
from tests.e2e.chat.homeserver import provide, write_analysis, write_keys
from tests.e2e.chat.matrix_world import MatrixWorld, matrix_world
from tests.e2e.chat.register import Register, add_processings
from tests.e2e.chat.xmpp_world import XmppWorld, xmpp_world
from tests.e2e.service import Sceau
from tests.e2e.wiretap import Wiretap, tapped
from tests.support.api import Api


@pytest.fixture(scope="session")
def administrator(sceau: Sceau) -> Api:
    """Whoever administers Sceau, once the chat provider's processings are registered."""
    add_processings(sceau.api)
    return sceau.api


@pytest.fixture(scope="session")
def prosody(administrator: Api, sceau: Sceau) -> Iterator[XmppWorld]:
    """Prosody with the module, and another server that has none."""
    xmpp_server.provide()
    with xmpp_world(administrator, sceau.address) as world:
        yield world


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of Synapse's environment."""
    return provide()


@pytest.fixture(scope="session")
def folder(administrator: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the README says to make, and the tests' own analyses."""
    made: Path = tmp_path_factory.mktemp("synapse")
    write_keys(made, Register(administrator, "mxid").new_key())
    (made / "analyses.py").write_text(Path(__file__).with_name("analyses.py").read_text())
    write_analysis(made)
    return made


@pytest.fixture(scope="session")
def wire(sceau: Sceau) -> Iterator[Wiretap]:
    """The wire to Sceau."""
    with tapped(sceau.address) as tap:
        yield tap


@pytest.fixture(scope="session")
def synapse(administrator: Api, folder: Path, python: Path, wire: Wiretap) -> Iterator[MatrixWorld]:
    """Synapse with the module."""
    with matrix_world(folder, python, Register(administrator, "mxid"), wire) as world:
        yield world


@pytest.fixture(scope="session", params=["synapse", "prosody"])
def chat(request: pytest.FixtureRequest) -> MatrixWorld | XmppWorld:
    """Either server: what both have of one name is alike."""
    world: MatrixWorld | XmppWorld = request.getfixturevalue(request.param)
    return world
