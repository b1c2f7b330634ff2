"""`sceau probe`: what it finds at a service that keeps its promise, and at one that does not."""

import json
import os
import signal

import pytest

from tests.faults.service import HANGS, ROOT, Server, Service
from tests.support.api import BOOTSTRAP, processing
from tests.support.forked import run_forked
from tests.support.listening import Answering, listening


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A real `sceau serve` of two workers, with a processing for the probe and an exempt one."""
    place = tmp_path_factory.mktemp("probed")
    server = Server(place)
    made = Service(place / "log", {**server.settings, "SCEAU_JOBS": "false"}, workers=2)
    try:
        made.wait_until_it_listens().ok("POST", "/v1/processings", processing("probe"))
        made.ok("POST", "/v1/processings", processing("filter", purpose="unsolicited_content_detection"))
        yield made
    finally:
        made.end(signal.SIGTERM)
        server.embedded.stop()


def probed(url, *more, key=BOOTSTRAP):
    """What the command ends with and prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    words = ["probe", "--url", url, "--processing", "probe", *more]
    env = {**clean, "PYTHONPATH": str(ROOT), "SCEAU_KEY": key, "COLUMNS": "200"}
    done = run_forked(words, env, ROOT, HANGS)
    return done.returncode, done.stdout, done.stderr


def address(service):
    """Where a service listens."""
    return f"http://127.0.0.1:{service.port}"


def test_a_service_that_keeps_its_promise(service):
    """After the withdrawal every question over fresh connections is denied; the exempt one is permitted."""
    status, output, _ = probed(address(service), "--exempt", "filter", "--json")
    report = json.loads(output)
    assert status == 0
    assert (report["held"], report["asked"], report["denied"], report["exempt_permitted"]) == (True, 64, 64, True)


def test_a_person_reads_one_line(service):
    """The same in one line; the key stands nowhere in it."""
    status, output, wrong = probed(address(service), "--times", "8")
    assert (status, wrong) == (0, "")
    assert output == "held: after the withdrawal 8 of 8 questions denied, 0 permitted, 0 not answered\n"


def test_a_key_comes_from_a_file(service, tmp_path):
    """A file may hold the key; without either there is a line that says how."""
    (tmp_path / "key").write_text(BOOTSTRAP + "\n")
    assert probed(address(service), "--times", "1", "--key-file", str(tmp_path / "key"), key="")[0] == 0
    status, _, errors = probed(address(service), key="")
    assert (status, errors) == (2, "sceau: not checked: no key: give --key-file, or set SCEAU_KEY\n")


def test_a_wrong_key_is_not_checked(service):
    """A key that is not in force: nothing is said of the promise, and the key is not shown."""
    status, output, wrong = probed(address(service), key="sceau_" + "x" * 43)
    assert (status, output) == (2, "")
    assert "401" in wrong
    assert "xxx" not in wrong


def test_nobody_there_is_not_checked():
    """Where nothing listens the command says so, and ends with 2."""
    status, output, _ = probed("http://127.0.0.1:9", "--json")
    assert (status, json.loads(output)["held"]) == (2, None)


def test_a_consent_of_a_probe_that_fails_is_withdrawn(service):
    """A probe about a processing that is exempt ends with 2: there is nothing to grant."""
    status, _, errors = probed(address(service), "--processing", "filter")
    assert (status, "409" in errors) == (2, True)


@pytest.fixture
def liar():
    """A service that goes on permitting after a withdrawal, one time in four."""
    paths = []

    class Handler(Answering):
        def get(self):
            self.answer_json(
                {"items": [{"number": 1, "notice": {"fr": "Texte"}, "effective_from": "2020-01-01T00:00:00Z"}]}
            )

        def post(self):
            self.sent()
            paths.append(self.path)
            permits = "/v1/withdrawals" not in paths or len(paths) % 4 == 0
            self.answer_json({"decision": permits, "state": "in_force"})

    with listening(Handler) as address:
        yield address


def test_a_service_that_breaks_its_promise_is_seen(liar):
    """The control: permits after the withdrawal are counted, and the command ends with 1."""
    status, output, _ = probed(liar)
    assert status == 1
    assert output.startswith("BROKEN: after the withdrawal 48 of 64 questions denied, 16 permitted")
