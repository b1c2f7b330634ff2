"""What a session needs once: a service, the image, and a browser."""

import fcntl
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.e2e import browser as of_debian
from tests.e2e import buildah
from tests.e2e.debian import Unavailable
from tests.e2e.pages.axe import provide_axe
from tests.e2e.service import Sceau, administered

GROUPS = {
    "tests/e2e/mail/": "mail",
    "tests/e2e/chat/": "chat",
    "tests/e2e/deploy/": "deploy",
    "tests/e2e/doors/test_operator": "operator",
    "tests/e2e/doors/": "doors",
    "tests/e2e/generated/": "deploy",
    "tests/e2e/test_image": "image",
    "tests/e2e/replication/": "replication",
    "tests/e2e/failover/": "replication",
    "tests/e2e/pages/test_console_whole_job": "job",
    "tests/e2e/pages/test_console": "console",
    "tests/e2e/pages/test_docs_page": "docs",
    "tests/e2e/pages/test_first_screen": "docs",
    "tests/e2e/pages/test_staff_notice": "docs",
    "tests/e2e/pages/test_consent_pictures": "pictures",
    "tests/e2e/restoring/": "deploy",
    "tests/e2e/upgrading/": "deploy",
    "tests/e2e/watching/": "watching",
    "tests/e2e/proof/": "others",
    "tests/e2e/test_": "others",
}
"""What stays with one worker: its servers, or its store of images, are there once, or load the machine. All else is of
the pages.
"""
LONGEST_FIRST = (
    *("mail", "pages", "deploy", "operator", "console", "pictures", "chat", "docs", "job", "doors", "others"),
)
"""The order in which groups are handed out, so that no worker is left alone with a long one."""


DEEP = (
    "tests/e2e/failover/",
    "tests/e2e/replication/",
    "tests/e2e/restoring/",
    "tests/e2e/test_image",
    "tests/e2e/test_many_rows",
    "tests/e2e/upgrading/",
    "tests/e2e/watching/",
)
"""What `.ci/night` runs and `.ci/run` does not: servers that are killed, replaced or watched for minutes."""


@pytest.hookimpl(tryfirst=True)  # before tests are left out by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is deep, and let what takes longest begin."""
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(_group(item.nodeid), len(order)))
    for item in items:
        if item.nodeid.startswith(DEEP):
            item.add_marker("deep")


def _group(nodeid: str) -> str:
    return next((name for start, name in GROUPS.items() if nodeid.startswith(start)), "pages")


class ByGroup(LoadScopeScheduling):  # type: ignore[misc] # xdist says nothing of its types
    """Hands out a whole group at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    """Keep the tests of each group together."""
    return ByGroup(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """End the run and say what to do, where a fixture needs a program that cannot be had here."""
    try:
        yield
    except Unavailable as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def sceau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sceau]:
    """A running service for mail and chat servers to ask; each test module registers processings of its own."""
    with administered(tmp_path_factory.mktemp("sceau") / "data", SCEAU_SUBJECT_IDS="address,mxid=exact") as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser with no network but loopback."""
    with of_debian.chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A desktop's window, closed afterwards."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    yield opened
    opened.context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker's source."""
    return provide_axe()


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The name of the image built from this checkout."""
    buildah.provide_programs()
    buildah.CACHE.mkdir(mode=0o700, exist_ok=True)
    with (buildah.CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one run at a time: they share the storage
        buildah.provide_base()
        buildah.build_image()
        yield buildah.IMAGE
        buildah.buildah("rmi", "--force", buildah.IMAGE)
