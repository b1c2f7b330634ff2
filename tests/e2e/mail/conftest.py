"""What the mail tests share: the servers installed, one service of their own, one way of a message."""

from collections.abc import Iterator

import pytest

from tests.e2e import debian
from tests.e2e.mail.alone import started
from tests.e2e.mail.packages import ANSWERS, PACKAGES, PROGRAMS
from tests.e2e.mail.world import ADS, EVERYONE, TRAINING, Alone, World, register, world
from tests.e2e.programs import running_from
from tests.e2e.service import Sceau, administered


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """Debian's servers, installed; none of their processes may be left at the end that was not there before."""
    debian.provide_servers(PACKAGES, "the mail servers that ask Sceau", answers=ANSWERS)
    before = running_from(*PROGRAMS).keys()
    yield
    left = {pid: what for pid, what in running_from(*PROGRAMS).items() if pid not in before}
    assert left == {}, "a server was left running"


@pytest.fixture(scope="session")
def sceau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sceau]:
    """A service with the processings of the READMEs."""
    with administered(tmp_path_factory.mktemp("sceau-for-mail") / "data") as running:
        register(running)
        yield running


@pytest.fixture(scope="session")
def mail(servers: None, sceau: Sceau) -> Iterator[World]:
    """The whole way of a message, running."""
    with world(sceau) as running:
        yield running


@pytest.fixture(scope="session")
def alone(servers: None, sceau: Sceau) -> Iterator[Alone]:
    """Rspamd alone; Alice and Carol consent to everything, Bob to nothing."""
    for user in ("alice@example.fr", "carol@example.fr"):
        for processing in (ADS, TRAINING, EVERYONE):
            sceau.api.decide(user, processing)
    with started(sceau) as running:
        yield running
