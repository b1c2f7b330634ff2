"""The built image, run by a container engine as a deployment runs it, on the embedded PostgreSQL of this checkout."""

import json
import secrets
import socket
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from psycopg.conninfo import conninfo_to_dict
from starlette.testclient import TestClient

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from tests.e2e import buildah
from tests.e2e.relay import relay
from tests.packaging.wheels import build_wheel
from tests.support.api import Api

USER = 10001
START_SECONDS = 30
STOP_SECONDS = 30
STATE = "/var/lib/sceau"


def shell(script: str, *, options: tuple[str, ...] = (), image: str = buildah.IMAGE) -> str:
    """What a script prints in a container of the image, run as the image's user."""
    return buildah.started("-c", script, options=("--rm", "--entrypoint=sh", *options), image=image)


def sceau(*arguments: str, settings: Mapping[str, str]) -> str:
    """What a command of the image's own program prints."""
    return buildah.started(*arguments, settings=settings, options=("--rm",))


@pytest.mark.usefixtures("image")
def test_image_runs_as_an_unprivileged_number():
    """The user is numeric, so that an orchestrator can see that it is not root."""
    assert buildah.image_config()["User"] == f"{USER}:{USER}"
    assert shell("id -u") == str(USER)


@pytest.mark.usefixtures("image")
def test_image_is_labelled_with_the_version():
    """The labels say the version of pyproject.toml, and the revision that the build was told."""
    project = tomllib.loads((buildah.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = buildah.image_config()["Labels"]
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert labels["org.opencontainers.image.revision"] == buildah.REVISION


@pytest.mark.usefixtures("image")
def test_image_holds_the_wheel_that_is_published(tmp_path):
    """Each file of the package has the hash that the record of the wheel built from this checkout has for it."""
    archive = zipfile.ZipFile(build_wheel(buildah.ROOT, tmp_path))
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    built = set(filter(lambda line: line.startswith("app/"), archive.read(name).decode().splitlines()))
    installed = shell(f"cat /opt/venv/lib/python3*/site-packages/{name}").splitlines()
    assert {line for line in installed if line.startswith("app/") and "__pycache__" not in line} == built


@pytest.mark.usefixtures("image")
def test_image_carries_no_build_tools():
    """No compiler, no installer in the environment, none of the builder's folders."""
    search = (
        "for name in gcc cc make uv; do command -v $name; done;"
        "for name in /opt/venv/bin/pip* /opt/tools ~root/.cache /tmp/uv.txt; do [ ! -e $name ] || echo $name; done"
    )
    assert shell(f"{search}; true") == ""
    assert shell("command -v sceau") == "/opt/venv/bin/sceau"  # the search can find


@pytest.mark.usefixtures("image")
def test_image_keeps_no_certificate_of_the_machine_that_built_it():
    """What was lent to the build did not stay: the image's authorities are its base's own."""
    digest = "sha256sum /etc/ssl/certs/ca-certificates.crt"
    assert shell(digest) == shell(digest, image=buildah.base_name())


WRITABLE = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -writable ! -type l -print 2>/dev/null"
)


@pytest.mark.usefixtures("image")
def test_image_user_can_write_nothing_but_temporary_folders():
    """What a read-only root file system refuses, the user may not do where it can be written either."""
    assert set(shell(f"{WRITABLE}; true", options=("--read-only=false",)).splitlines()) == {
        "/tmp",
        "/var/tmp",
        "/run/lock",
        STATE,
    }
    refused = shell(f"for each in /var/tmp /run/lock {STATE}; do touch $each/x 2>/dev/null && echo $each; done; true")
    assert refused == ""
    assert shell("touch /tmp/x && echo yes") == "yes"  # the control


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
def migrated(image, settings: dict[str, str]) -> dict[str, str]:
    """The settings, after the migrate step has run in a container."""
    owner = settings["SCEAU_DATABASE_URL"].replace(APP_ROLE, OWNER_ROLE, 1)
    output = sceau("migrate", settings={**settings, "SCEAU_DATABASE_OWNER_URL": owner})
    assert output == "The database is at this version's schema."
    return settings


@pytest.fixture(scope="module")
def volume(image) -> Iterator[str]:
    """A new named volume, removed at the end."""
    name = buildah.podman("volume", "create")
    try:
        yield name
    finally:
        buildah.podman("volume", "rm", name)


@contextmanager
def serving(settings: Mapping[str, str], volume: str) -> Iterator[tuple[str, int]]:
    """The id and the port of a container that serves, its state on a volume; stopped and removed at the end.

    SIGTERM ends it in order: its exit status is 0.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    config = buildah.image_config()
    assert (config["Entrypoint"], config["Cmd"]) == (["sceau"], ["serve", "--host", "0.0.0.0"])
    arguments = ("serve", "--host", "127.0.0.1", "--port", str(port))  # it is on this machine's own network
    kept = {**settings, "SCEAU_STATE_DIRECTORY": STATE}
    options = ("--detach", "--memory=512m", f"--volume={volume}:{STATE}")
    container = buildah.started(*arguments, settings=kept, options=options).splitlines()[-1]
    try:
        wait_until_ready(container, port)
        yield container, port
        buildah.podman("stop", f"--time={STOP_SECONDS}", container)
        assert state_of(container)["ExitCode"] == 0, buildah.podman("logs", container)[-4000:]
    finally:
        buildah.podman("rm", "--force", "--time=0", container)


def state_of(container: str) -> dict[str, Any]:
    """What the engine says of a container's process."""
    state: dict[str, Any] = json.loads(buildah.podman("inspect", "--format={{json .State}}", container))
    return state


def wait_until_ready(container: str, port: int) -> None:
    """Return once the service can decide; fail with what it printed when it ended, or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and state_of(container)["Running"]:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/readyz?need=IV", trust_env=False).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the service did not start:\n{buildah.podman('logs', container)[-4000:]}")


@pytest.fixture(scope="module")
def served(migrated, volume) -> Iterator[tuple[str, int]]:
    """The id and the port of the running service's container."""
    with serving(migrated, volume) as running:
        yield running


@pytest.fixture(scope="module")
def port(served) -> int:
    """The port of the running service."""
    return int(served[1])


@pytest.fixture
def client(port, settings) -> Iterator[httpx2.Client]:
    """A client of the running service, with every scope."""
    headers = {"Authorization": f"Bearer {settings['SCEAU_BOOTSTRAP_KEY']}"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as made:
        yield made


def test_health_check_of_the_image_finds_the_service_alive(served):
    """The image's own health check passes on a running service and fails where none answers."""
    container, port = served
    kind, *check = buildah.image_config()["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert buildah.podman("exec", container, *[part.replace("8080", str(port)) for part in check]) == ""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    with pytest.raises(AssertionError, match="ConnectionRefusedError"):
        buildah.podman("exec", container, *[part.replace("8080", str(nobody)) for part in check])


def test_container_is_alive_and_ready_and_lacks_nothing_that_protects(served, client):
    """Its probes answer; its process is the image's user, on a root file system that cannot be written."""
    container, _ = served
    assert client.get("/livez").json()["status"] == "live"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert [note for note in ready.json()["notes"] if "SCEAU_" in note] == []
    assert Path(f"/proc/{state_of(container)['Pid']}").stat().st_uid == USER
    with pytest.raises(AssertionError, match="Read-only file system"):
        buildah.podman("exec", container, "touch", "/var/tmp/x")


def test_container_decides_and_the_answer_follows_a_withdrawal(client):
    """A consent makes the answer a permit, and its withdrawal makes the next one a deny."""
    api = Api(cast("TestClient", client), None)  # the client sends the key
    api.register("ads-mail")

    def answer():
        decided = api.evaluate("alice@example.fr", "ads-mail")
        return decided["decision"], decided["context"]["reason"]

    assert answer() == (False, "no_consent")
    api.decide("alice@example.fr", "ads-mail")
    assert answer() == (True, "consent_in_force")
    api.withdraw("alice@example.fr")
    assert answer() == (False, "consent_withdrawn")


def test_container_refuses_to_start_without_its_keys(migrated):
    """One line says what is missing, and the status is not 0."""
    settings = {name: value for name, value in migrated.items() if name != "SCEAU_PSEUDONYM_KEY"}
    with pytest.raises(AssertionError, match="SCEAU_PSEUDONYM_KEY"):
        sceau("serve", "--host", "127.0.0.1", settings=settings)


def journal_in(volume: str) -> list[str]:
    """The lines of the journal in a volume, read from another container."""
    options = (f"--volume={volume}:{STATE}:ro",)
    return shell(f"cat {STATE}/journal-*.ndjson 2>/dev/null; true", options=options).splitlines()


@pytest.mark.usefixtures("migrated")
def test_a_note_outlives_its_container(settings):
    """A withdrawal is noted before it is answered; the next container has the note, and adds to it.

    The control: in the volume of a container that notes nothing there is no journal.
    """
    volume = buildah.podman("volume", "create")
    headers = {"Authorization": f"Bearer {settings['SCEAU_BOOTSTRAP_KEY']}"}
    try:
        kept: list[str] = []
        for somebody in ("bob", "carol"):
            with serving(settings, volume) as (_, port):
                assert journal_in(volume) == kept
                withdrawal = {"subject": {"type": "user", "id": f"{somebody}@example.fr"}}
                sent = httpx2.post(
                    f"http://127.0.0.1:{port}/v1/withdrawals", json=withdrawal, headers=headers, trust_env=False
                )
                assert sent.status_code == 200, sent.text
                before, kept = kept, journal_in(volume)
            assert kept[: len(before)] == before
            assert len(kept) > len(before)
    finally:
        buildah.podman("volume", "rm", volume)
