"""The wheels, installed by pip into empty environments, far from the checkout."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.deploy.installed import Environment, environment_of, sceau_of, serving, settings_on
from tests.packaging.wheels import CLIENT, ROOT, build_wheel
from tests.support.databases import TestDatabase, new_database

WHERE = "import app, sys; print(app.__file__, *sys.path, sep='\\n')"
ASKS = """
import os, sys
from sceau_client import Client, HandleMaker, Question
letter = HandleMaker.from_file(sys.argv[3]).correspondence("<one@example.fr>")
with Client(sys.argv[1], os.environ["KEY"]) as sceau:
    decision = sceau.evaluate(Question("alice@example.fr", sys.argv[2], letter), deadline=30)
print(decision.outcome.name, decision.reason)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """A working directory in which there is nothing."""
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Environment:
    """The service from its wheel."""
    folder = tmp_path_factory.mktemp("sceau")
    return sceau_of(folder / "venv", build_wheel(ROOT, folder / "wheel"))


@pytest.fixture(scope="module")
def database() -> Iterator[TestDatabase]:
    """An empty database of one's own."""
    with new_database(template="template0") as made:
        yield made


@pytest.fixture(scope="module")
def client(installed, elsewhere, database) -> Iterator[httpx2.Client]:
    """The running service, on a database that the wheel migrated."""
    settings = settings_on(database)
    migrated = installed.run("sceau", "migrate", cwd=elsewhere, settings=settings)
    assert migrated.returncode == 0, migrated.stderr
    with serving(installed, elsewhere, settings) as called:
        yield called


def test_the_environment_knows_no_checkout(installed, elsewhere):
    """What runs is the wheel: neither the package nor any path of the interpreter lies in the checkout."""
    said = installed.run("python", "-c", WHERE, cwd=elsewhere)
    assert said.returncode == 0, said.stderr
    assert str(installed.folder) in said.stdout.splitlines()[0]
    assert str(ROOT) not in said.stdout


def test_the_wheel_asks_for_what_it_needs(installed, elsewhere):
    """The lock satisfies every dependency that the wheel declares."""
    checked = installed.run("python", "-m", "pip", "check", cwd=elsewhere)
    assert checked.returncode == 0, checked.stdout


def test_the_command_says_its_version(installed, elsewhere):
    """`sceau --version` prints the version of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert installed.run("sceau", "--version", cwd=elsewhere).stdout == f"{project['version']}\n"


def test_the_installed_service_decides(client):
    """It is ready, registers a processing and answers about it."""
    processing = _registered(client)
    question = {
        "subject": {"type": "user", "id": "alice@example.fr"},
        "action": {"name": processing},
        "resource": {"type": "correspondence", "id": "handle"},
    }
    answer = client.post("/access/v1/evaluation", json=question)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["decision"], answer.json()["context"]["reason"]) == (False, "no_consent")


def test_the_installed_service_shows_its_pages(client):
    """Templates, styles and the API page are in the wheel."""
    for path in ("/docs", "/console", "/metrics"):
        assert client.get(path, follow_redirects=True).status_code == 200, path


def test_the_installed_client_asks_the_installed_service(client, elsewhere, tmp_path):
    """`sceau-client` is built, installed by pip alone and gets the service's answer."""
    own = environment_of(tmp_path / "venv", build_wheel(CLIENT, tmp_path / "wheel"))
    key = client.headers["Authorization"].removeprefix("Bearer ")
    words = ("-c", ASKS, str(client.base_url), _registered(client), str(tmp_path / "handles"))
    asked = own.run("python", *words, cwd=elsewhere, settings={"KEY": key})
    assert asked.stdout == "DENY no_consent\n", asked.stderr


def _registered(client: httpx2.Client) -> str:
    """The id of a processing that was registered from the API's own example."""
    example: dict[str, Any] = client.get("/openapi.json").json()["components"]["schemas"]["NewProcessing"]["examples"][
        0
    ]
    answer = client.post("/v1/processings", json={**example, "party_mode": "user_only"})
    assert answer.status_code in {201, 409}, answer.text
    return str(example["id"])
