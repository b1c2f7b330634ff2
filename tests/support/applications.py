"""One application for a whole file of tests that only ask, or that each use their own names."""

import pytest
import structlog

from tests.support.api import UNLIMITED, TestClock, running, utc
from tests.support.databases import new_database
from tests.support.issuer import issuing
from tests.support.people import people
from tests.support.staff import publish


def _plain_logs():
    """Log as structlog does by itself, but for exceptions: drawn with every local value, one takes ten seconds."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


_plain_logs()


@pytest.fixture(autouse=True)
def _logs_as_they_were():
    """What a test sets about logs, or a command that it calls, ends with it: others read what is logged."""
    yield
    _plain_logs()


@pytest.fixture(scope="module")
def shared_database():
    """The database of `shared` and of the fixtures made from it."""
    with new_database() as database:
        yield database


@pytest.fixture(scope="module")
def shared(shared_database):
    """An application on the database's own clock, shared by the tests of a file."""
    with running(shared_database) as called:
        yield called


@pytest.fixture(scope="module")
def shared_clock():
    """The clock of `moving`, which each test sets for itself."""
    return TestClock(utc("2026-06-15T12:00:00Z"))


@pytest.fixture(scope="module")
def moving(shared_clock):
    """An application whose clock is `shared_clock`, shared by the tests of a file."""
    with new_database() as database, running(database, clock=shared_clock, **UNLIMITED) as called:
        yield called


@pytest.fixture(scope="module")
def shared_register(shared):
    """An application with processings in every situation."""
    shared.register("ads-mail")
    shared.register("filter", purpose="unsolicited_content_detection")
    shared.register("archive", purpose="other")
    shared.register("reading", automated=False)
    for status in ("suspended", "retired"):
        shared.register(status)
        shared.decide("holder", status)
        shared.ok("PATCH", f"/v1/processings/{status}", {"status": status})
    return shared


@pytest.fixture(scope="module")
def asking(shared_register):
    """An application with two processings that ask, among others."""
    shared_register.register("stats")
    return shared_register


@pytest.fixture(scope="module")
def staffed(shared):
    """The shared application with a complete staff notice; each test uses its own persons."""
    publish(shared)
    return shared


@pytest.fixture(scope="module")
def provider():
    """An issuer of tokens, for the tests of a file that do not change it for good."""
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def token_taking(provider):
    """An application that takes that issuer's tokens."""
    with new_database() as database, running(database, **provider.settings) as called:
        called.register("filter", purpose="sorting")
        called.register("ads")
        yield called


@pytest.fixture
def alice():
    """The name of a person that no other test uses."""
    return people("alice")[0]


@pytest.fixture
def ali():
    """Another name: often a second name of that person."""
    return people("ali")[0]


@pytest.fixture
def bob():
    """The name of another person."""
    return people("bob")[0]


@pytest.fixture
def zoe():
    """The name of a person who may be a child."""
    return people("zoe")[0]
