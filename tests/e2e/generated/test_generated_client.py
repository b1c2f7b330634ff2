"""A client generated from /openapi.json, as it is served, does the whole job against the service that serves it."""

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.e2e.programs import bare
from tests.e2e.pypi import make_environment
from tests.e2e.service import administered

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment with the generator, and with what its code imports."""
    return make_environment(tmp_path_factory.mktemp("generator") / "env", sys.executable, HERE / "generator.txt")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service of its own: the examples register their processing once."""
    with administered(tmp_path_factory.mktemp("generated") / "data") as running:
        yield running


def generate(python, folder, document):
    """Write a document and the client that is generated from it: the generator's exit status, and what it said."""
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.yml").write_text("post_hooks: []\n", encoding="utf-8")  # it would call a formatter
    line = [python.with_name("openapi-python-client"), "generate", "--path", "openapi.json", "--config", "config.yml"]
    done = subprocess.run(
        [*line, "--output-path", "generated", "--meta", "none", "--fail-on-warning"],
        cwd=folder, env=bare({}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_generated_client_does_the_whole_job(python, service, tmp_path):
    """It has every operation under its name, takes the examples as bodies, and reads permits, denials and problems."""
    document = httpx2.get(f"{service.address}/openapi.json").json()
    status, output = generate(python, tmp_path, document)
    assert status == 0, output
    done = subprocess.run(
        [python, HERE / "whole_job.py", tmp_path / "openapi.json"],
        env=bare({"PYTHONPATH": str(tmp_path), "SCEAU_ADDRESS": service.address, "SCEAU_KEY": service.api.key}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "operations": sorted(each["operationId"] for path in document["paths"].values() for each in path.values()),
        "registered": "ads-mail",
        "recorded": "ads-mail",
        "asked": True,
        "withdrawn": True,
        "asked again": False,
        "refused": "urn:sceau:problem:unauthorized",
    }


def test_an_operation_that_cannot_be_generated_is_told(python, service, tmp_path):
    """The control: a list of nothing said makes the generator leave an operation out, and this run fail."""
    document = httpx2.get(f"{service.address}/openapi.json").json()
    document["components"]["schemas"]["NewProcessing"]["properties"]["elements"] = {"type": "array"}
    status, output = generate(python, tmp_path, document)
    assert status != 0
    assert "/v1/processings" in output, output
