import signal
from pathlib import Path

import pytest

from tests.clients.scenes import silent
from tests.faults.service import Server, Service, children, eventually
from tests.support.api import processing
from tests.support.consents import grant
from tests.webhooks.receivers import answering, listening


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Gives a real `sceau serve` with its jobs process, at its loudest; another one once a test has ended it."""
    place = tmp_path_factory.mktemp("served")
    server = Server(place)
    settings = {**server.settings, "SCEAU_WEBHOOK_NETWORKS": "127.0.0.0/8", "SCEAU_LOG_LEVEL": "DEBUG"}
    started: list[Service] = []

    def standing():
        if not started or started[-1].process.poll() is not None:
            started.append(Service(place / f"log{len(started)}", settings).wait_until_it_listens())
        return started[-1]

    try:
        standing().ok("POST", "/v1/processings", processing("ads"))
        yield standing
    finally:
        started[-1].end(signal.SIGTERM)
        server.embedded.stop()


@pytest.fixture
def served(serve):
    """The service that stands."""
    return serve()


def _grant(service, name):
    """Record a consent."""
    return service.ok("POST", "/v1/consents", grant(name, "ads"))["id"]


def test_the_jobs_process_of_serve_delivers(stage, served):
    """A consent given to `sceau serve` arrives at a webhook; neither its address nor the subject is in any log."""
    receiver = stage.enter(listening(answering(200, **{"X-Echo": "alice@example.fr"})))
    url = receiver.url + "?token=wordofreceiver"
    endpoint = served.ok("POST", "/v1/webhooks", {"url": url, "include_subject": True})["id"]
    consent = _grant(served, "alice@example.fr")
    eventually(lambda: receiver.came)
    assert receiver.came[0].json["data"] == {
        "consent": consent,
        "processing": "ads",
        "state": "in_force",
        "subject": {"type": "user", "id": "alice@example.fr"},
    }
    eventually(lambda: f'endpoint="{endpoint}",outcome="delivered"}} 1.0' in served.call("GET", "/metrics").text)
    printed = served.output.read_text()
    assert "answered" in printed  # the control: this is the log, and it has lines
    assert "wordofreceiver" not in printed
    assert "alice" not in printed


def test_a_stop_does_not_wait_for_a_receiver(stage, served):
    """SIGTERM ends the service and its jobs process though a receiver never answers; what was sent stays to be sent."""
    receiver = stage.enter(listening(silent))
    endpoint = served.ok("POST", "/v1/webhooks", {"url": receiver.url})["id"]
    _grant(served, "bob@example.fr")
    eventually(lambda: receiver.under_way)
    listed = served.ok("GET", f"/v1/webhooks/{endpoint}/deliveries")["items"]
    assert [each["status"] for each in listed] == ["pending"]
    beside = children(served.process.pid)
    assert beside
    served.end(signal.SIGTERM)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in beside))
    assert receiver.under_way == 1  # it was hung up on: by itself it would never have ended
