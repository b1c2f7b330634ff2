"""The image, the Compose file and `.env.example` agree with the code and with one another."""

import os
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from app.settings.environment import PREFIX

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}


def assigned(text: str) -> dict[str, str]:
    """The variables of an environment file, those that are commented out included."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE))


def test_env_example_lists_every_setting_and_no_other():
    """What the file says exists, and what exists is said."""
    listed = {name for name in assigned(EXAMPLE) if name.startswith(PREFIX)}
    assert listed == SETTINGS


def test_env_example_shows_the_defaults(monkeypatch):
    """A line that is uncommented as it stands changes nothing; database URLs have no default and are examples."""
    shown = {name: value for name, value in assigned(EXAMPLE).items() if name in SETTINGS and value}
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    bare = Settings.load()
    for name, value in shown.items():
        monkeypatch.setenv(name, value)
    urls = {"database_url", "database_owner_url", "direct_database_url"}
    assert Settings.load().model_dump(exclude=urls) == bare.model_dump(exclude=urls)


def test_compose_passes_every_setting_on():
    """The service gets each setting but the owner's database; the migrate step gets the two databases alone."""
    assert set(SERVICES["sceau"]["environment"]) == SETTINGS - {"SCEAU_DATABASE_OWNER_URL"}
    assert set(SERVICES["migrate"]["environment"]) == {"SCEAU_DATABASE_URL", "SCEAU_DATABASE_OWNER_URL"}


def test_compose_asks_for_what_env_example_has():
    """Each variable that the Compose file reads stands in `.env.example`, to be filled in when it must be."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    read = dict(re.findall(r"\$\{([A-Z0-9_]+)(:[?-])", text))
    example = assigned(EXAMPLE)
    assert set(read) <= set(example)
    empty = re.findall(r"^([A-Z0-9_]+)=$", EXAMPLE, re.MULTILINE)
    assert set(empty) == set(read)


@pytest.mark.parametrize("name", ["migrate", "sceau"])
def test_compose_gives_the_service_no_privilege(name):
    """Read-only, no capability, no way to gain one."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert "user" not in service  # the image's own


def test_compose_publishes_on_loopback_only():
    """Nothing is reachable from outside the host until someone decides so, and the database not even from it."""
    assert {name: service.get("ports", []) for name, service in SERVICES.items()} == {
        "database": [],
        "migrate": [],
        "sceau": ["127.0.0.1:8080:8080"],
    }


def test_compose_starts_things_in_order():
    """The schema waits for the database, the service for the schema."""
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["sceau"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert "healthcheck" in SERVICES["database"]


def test_compose_refers_to_what_exists():
    """Services, volumes and files that the Compose file names are there."""
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_versions_agree():
    """One version: the project's, the installed one, the image's label, the Compose file's tag."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    label = re.search(r"^ARG VERSION=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert label
    assert COMPOSE["x-sceau"]["build"]["args"]["VERSION"] == label[1]
    assert {version("sceau"), label[1], SERVICES["sceau"]["image"].removeprefix("sceau:")} == {project}


def test_image_gets_what_its_dockerfile_copies():
    """`.dockerignore` lets through what the Dockerfile copies, and no secret or data directory."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "*" in ignored
    assert allowed == {name for line in copied for name in line.split()}
