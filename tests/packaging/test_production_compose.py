"""deploy/compose.yaml and its secrets: files, bounds, one way in."""

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from app.settings.required import bootstrap_key, master_keys, pseudonym_keys
from tests.packaging.test_deployment_files import assigned
from tests.packaging.wheels import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "sceau", "worker")
TEMPORARY = "/run/secrets/"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder of secrets, made as an administrator makes it."""
    folder = tmp_path / "secrets"
    subprocess.run([DEPLOY / "make-secrets.sh", folder, "db.example.fr:5433"], check=True)
    return folder


def test_every_secret_is_a_file_that_the_script_makes(secrets):
    """Compose mounts what make-secrets.sh writes, all of it, and each part gets the files that its variables name."""
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert files == {path.name: f"secrets/{path.name}" for path in secrets.iterdir()}
    for service in SERVICES.values():
        named = {
            value.removeprefix(TEMPORARY)
            for value in service.get("environment", {}).values()
            if value.startswith(TEMPORARY)
        }
        assert named == set(service.get("secrets", []))


def test_only_the_owner_of_the_secrets_may_enter_their_folder(secrets):
    """The folder is shut; the files in it are readable, for a container's user has another number."""
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}


def test_secrets_are_never_overwritten(secrets):
    """A second run leaves the keys of a deployment as they are, and says so."""
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    again = subprocess.run([DEPLOY / "make-secrets.sh", secrets], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_sceau_takes_the_secrets(secrets, monkeypatch):
    """The service reads every file; an emptied bootstrap key is no key."""
    _use(monkeypatch, secrets, "sceau")
    settings = Settings.load()
    assert len(pseudonym_keys(settings)[0]) == 32
    assert list(master_keys(settings)) == ["1"]
    assert bootstrap_key(settings)
    assert settings.database_url
    password = (secrets / "postgres-app-password").read_text().strip()
    assert settings.database_url.get_secret_value() == f"postgresql://sceau_app:{password}@db.example.fr:5433/sceau"
    (secrets / "bootstrap-key").chmod(0o644)
    (secrets / "bootstrap-key").write_text("")
    assert bootstrap_key(Settings.load()) is None


def test_only_the_migration_gets_the_owner_s_password():
    """The password of the schema's owner is mounted nowhere but where it is needed."""
    holders = {name for name, service in SERVICES.items() if "database-owner-url" in service.get("secrets", [])}
    assert holders == {"migrate"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_has_a_bound_on_memory(name):
    """No part can take the whole host."""
    assert SERVICES[name]["mem_limit"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", [*OURS, "proxy"])
def test_what_faces_callers_has_no_privilege(name):
    """A read-only root, no capability but the one to listen on ports 80 and 443, a bound on processes."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["pids_limit"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])


def test_only_the_proxy_is_reachable_and_only_it_is_believed():
    """Ports are the proxy's; the service believes the proxy's address alone, in a network that nobody else is in."""
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    address = SERVICES["proxy"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["sceau"]["environment"]["SCEAU_TRUSTED_PROXIES"] == f"{address}/32"
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {"sceau", "proxy"}
    assert COMPOSE["networks"]["front"]["internal"] is True
    assert COMPOSE["networks"]["database"]["internal"] is True


def test_the_settings_file_is_taken(monkeypatch, secrets):
    """deploy/sceau.env holds settings that Sceau takes as they stand."""
    _use(monkeypatch, secrets, "worker")
    for name, value in assigned((DEPLOY / "sceau.env").read_text(encoding="utf-8")).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.durability, settings.register_approval) == ("local", "two")


def test_what_it_names_exists():
    """Files that are mounted or read are there; the version is that of the other Compose file."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
        assert all((DEPLOY / each).is_file() for each in service.get("env_file", []))
    simple = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert COMPOSE["x-sceau"]["image"] == simple["x-sceau"]["image"]
    assert COMPOSE["x-sceau"]["build"]["args"]["VERSION"] == simple["x-sceau"]["build"]["args"]["VERSION"]


def _use(monkeypatch: pytest.MonkeyPatch, secrets: Path, service: str) -> None:
    """Set what Compose sets for a part, on this machine's files."""
    for name in [name for name in os.environ if name.startswith("SCEAU_")]:
        monkeypatch.delenv(name)
    for name, value in SERVICES[service]["environment"].items():
        own = value.replace(TEMPORARY, f"{secrets}/").replace("/var/lib/sceau", str(secrets.parent))
        monkeypatch.setenv(name, own)
