"""The built image, run as its own user against the embedded PostgreSQL of this checkout."""

import os
import secrets
import signal
import socket
import subprocess
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.db.embedded import APP_ROLE, DATABASE, OWNER_ROLE, EmbeddedServer
from tests.e2e import buildah
from tests.e2e.relay import relay
from tests.packaging.wheels import build_wheel

USER = 10001
START_SECONDS = 30
STOP_SECONDS = 30
ALICE = {"type": "user", "id": "alice@example.fr"}


def in_container(container: str, *arguments: str, settings: Mapping[str, str] | None = None) -> str:
    """What a command prints in the container, run as the image's user."""
    return buildah.run(*buildah.run_in(container, settings or {}, arguments), env=buildah.environment()).strip()


def test_image_runs_as_an_unprivileged_number(container):
    """The user is numeric, so that an orchestrator can see that it is not root."""
    assert buildah.image_config()["User"] == f"{USER}:{USER}"
    assert in_container(container, "id", "-u") == str(USER)


def test_image_is_labelled_with_the_version(image):
    """The labels say the version of pyproject.toml, and the revision that the build was told."""
    project = tomllib.loads((buildah.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = buildah.image_config()["Labels"]
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert labels["org.opencontainers.image.revision"] == buildah.REVISION


def test_image_holds_the_wheel_that_is_published(container, tmp_path):
    """Each file of the package has the hash that the record of the wheel built from this checkout has for it."""
    archive = zipfile.ZipFile(build_wheel(buildah.ROOT, tmp_path))
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    built = set(filter(lambda line: line.startswith("app/"), archive.read(name).decode().splitlines()))
    record = f"cat /opt/venv/lib/python3*/site-packages/{name}"
    installed = in_container(container, "sh", "-c", record).splitlines()
    assert {line for line in installed if line.startswith("app/") and "__pycache__" not in line} == built


def test_image_carries_no_build_tools(container):
    """No compiler, no installer in the environment, none of the builder's folders."""
    search = (
        "for name in gcc cc make uv; do command -v $name; done;"
        "for name in /opt/venv/bin/pip* /opt/tools ~root/.cache /tmp/uv.txt; do [ ! -e $name ] || echo $name; done"
    )
    assert in_container(container, "sh", "-c", f"{search}; true") == ""
    assert in_container(container, "sh", "-c", "command -v sceau") == "/opt/venv/bin/sceau"  # the search can find


def test_image_keeps_no_certificate_of_the_machine_that_built_it(container):
    """What was lent to the build did not stay: the image's authorities are its base's own."""
    own = in_container(container, "sha256sum", "/etc/ssl/certs/ca-certificates.crt")
    base = buildah.buildah("from", "--pull-never", *buildah.limits(), buildah.base_name())
    try:
        assert own == in_container(base, "sha256sum", "/etc/ssl/certs/ca-certificates.crt")
    finally:
        buildah.buildah("rm", base)


def test_image_user_can_write_nothing_but_temporary_folders(container):
    """What a read-only root file system would refuse, the user may not do anyway."""
    search = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -writable ! -type l -print"
    found = in_container(container, "sh", "-c", f"{search} 2>/dev/null; true").splitlines()
    assert "/tmp" in found
    assert set(found) <= {"/tmp", "/var/tmp", "/run/lock"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The service's settings, with a database that the container reaches over loopback."""
    with EmbeddedServer(tmp_path_factory.mktemp("e2e") / "data") as server:
        directory = str(conninfo_to_dict(server.url(role=APP_ROLE, database=DATABASE))["host"])
        with relay(Path(directory) / ".s.PGSQL.5432") as port:
            yield {
                "SCEAU_DATABASE_URL": f"postgresql://{APP_ROLE}@127.0.0.1:{port}/{DATABASE}",
                "SCEAU_BOOTSTRAP_KEY": secrets.token_urlsafe(32),
                "SCEAU_MASTER_KEY": f"1:{secrets.token_hex(32)}",
                "SCEAU_PSEUDONYM_KEY": secrets.token_hex(32),
                "SCEAU_REGISTER_APPROVAL": "one",
                "SCEAU_DURABILITY": "local",
            }


@pytest.fixture(scope="module")
def migrated(container, settings: dict[str, str]) -> dict[str, str]:
    """The settings, after the migrate step has run in a container."""
    owner = settings["SCEAU_DATABASE_URL"].replace(APP_ROLE, OWNER_ROLE, 1)
    in_container(container, "sceau", "migrate", settings={**settings, "SCEAU_DATABASE_OWNER_URL": owner})
    return settings


@contextmanager
def serving(container: str, settings: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run the service in the container on a free loopback port, then end it as an orchestrator would."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = buildah.image_config()
    assert config["Cmd"] == ["serve", "--host", "0.0.0.0"]  # on a machine without a network of its own: loopback only
    arguments = [*config["Entrypoint"], "serve", "--host", "127.0.0.1", "--port", str(port)]
    command = buildah.run_in(container, settings, arguments)
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=buildah.environment(), stdout=output, stderr=output)
    try:
        wait_until_live(process, port, log)
        yield port
    finally:
        stop(process)


def wait_until_live(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once the service answers; fail with what it printed when it ended, or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/livez", trust_env=False).raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the service did not start:\n{log.read_text(errors='replace')[-4000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the container's own processes, as an orchestrator would, and wait for the end of all."""
    for pid in of_the_image(process.pid):
        os.kill(pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in (*of_the_image(process.pid), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        raise


def of_the_image(ancestor: int) -> list[int]:
    """The processes below `ancestor` that run as the image's user; buildah's own wrapper is not one of them."""
    found = []
    for children in Path(f"/proc/{ancestor}/task").glob("*/children"):  # buildah forks from any of its threads
        for pid in map(int, children.read_text().split()):
            process = Path(f"/proc/{pid}")
            if process.stat().st_uid == USER and not process.joinpath("cmdline").read_bytes().startswith(b"buildah-"):
                found.append(pid)
            found += of_the_image(pid)
    return found


@pytest.fixture(scope="module")
def port(container, migrated, tmp_path_factory) -> Iterator[int]:
    """The port of the running service."""
    with serving(container, migrated, tmp_path_factory.mktemp("serve") / "log") as opened:
        yield opened


@pytest.fixture
def api(port, settings) -> Iterator[httpx2.Client]:
    """A client of the running service, with every scope."""
    headers = {"Authorization": f"Bearer {settings['SCEAU_BOOTSTRAP_KEY']}"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        yield client


def test_health_check_of_the_image_finds_the_service_alive(container, port):
    """The image's own health check passes on a running service and fails where none answers."""
    kind, *check = buildah.image_config()["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert in_container(container, *[part.replace("8080", str(port)) for part in check]) == ""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    with pytest.raises(AssertionError, match="ConnectionRefusedError"):
        in_container(container, *[part.replace("8080", str(nobody)) for part in check])


def test_container_decides_and_the_answer_follows_a_withdrawal(api):
    """A consent makes the answer a permit, and its withdrawal makes the next one a deny."""
    processing = api.get("/openapi.json").json()["components"]["schemas"]["NewProcessing"]["examples"][0]
    processing["party_mode"] = "user_only"
    question = {
        "subject": ALICE,
        "action": {"name": processing["id"]},
        "resource": {"type": "correspondence", "id": "handle"},
    }
    consent = {
        "subject": ALICE,
        "processing": processing["id"],
        "decision": "granted",
        "evidence": {
            "method": "web_form",
            "positive_act": "button_clicked",
            "default_state": "unselected",
            "separate_from_terms": True,
            "conditional": False,
            "authentication": "signed_in",
            "language": "fr",
            "notice_version": 1,
            "presented_text_sha256": sha256(processing["notice"]["fr"].encode()).hexdigest(),
        },
    }
    assert api.post("/v1/processings", json=processing).status_code == 201
    assert decision(api, question) == (False, "no_consent")
    consent["collected_at"] = datetime.now(UTC).isoformat()
    assert api.post("/v1/consents", json=consent).status_code == 201
    assert decision(api, question) == (True, "consent_in_force")
    assert api.post("/v1/withdrawals", json={"subject": ALICE}).status_code == 200
    assert decision(api, question) == (False, "consent_withdrawn")


def decision(api: httpx2.Client, question: Mapping[str, object]) -> tuple[bool, str]:
    """The answer to a question, and its reason."""
    answer = api.post("/access/v1/evaluation", json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()["decision"], answer.json()["context"]["reason"]


def test_interactive_pages_need_no_other_host(api):
    """The API page and what it loads come from the container."""
    page = api.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_container_refuses_to_start_without_its_keys(container, migrated):
    """One line says what is missing, and the status is not 0."""
    settings = {name: value for name, value in migrated.items() if name != "SCEAU_PSEUDONYM_KEY"}
    with pytest.raises(AssertionError, match="SCEAU_PSEUDONYM_KEY"):
        in_container(container, "sceau", "serve", "--host", "127.0.0.1", settings=settings)
