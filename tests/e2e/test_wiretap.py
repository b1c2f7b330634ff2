import http.client
import socket

import httpx2
import pytest

from tests.e2e.wiretap import FAILING, GARBAGE, answering, dripping, held, hung_up, stalled, tapped
from tests.faults.service import eventually
from tests.support.api import question

PATH = "/access/v1/evaluation"


@pytest.fixture(scope="module")
def processing(sceau):
    """A processing that nobody consented to."""
    return sceau.api.register("wiretap-ads")["id"]


@pytest.fixture
def tap(sceau):
    """A tap on the wire to the service."""
    with tapped(sceau.address) as tap:
        yield tap


@pytest.fixture
def ask(sceau, tap, processing):
    """A client that asks through the tap, and keeps its connection."""
    headers = {"Authorization": f"Bearer {sceau.api.key}"}
    with httpx2.Client(base_url=tap.address, headers=headers, trust_env=False, timeout=0.5) as client:
        yield lambda: client.post(PATH, json=question("marked-alice@example.fr", processing))


def test_a_client_gets_what_sceau_says_and_keeps_its_connection(tap, ask):
    """What passes is recorded whole, and is not changed on the way."""
    assert [ask().json()["context"]["reason"] for _ in range(2)] == ["no_consent"] * 2
    first, second = tap.heard
    assert (first.connection, second.connection) == (1, 1)
    assert first.path == PATH
    assert first.json["subject"]["id"] == "marked-alice@example.fr"
    assert first.answered["decision"] is False
    assert b"connection: keep-alive" in first.answer.lower()
    assert tap.hears("Marked-Alice")
    assert not tap.hears("marked-bob")


@pytest.mark.parametrize("fault", [held, stalled])
def test_a_client_that_gives_up_is_seen_to(tap, ask, fault):
    """Who waits for an answer that does not come, or not whole, leaves; that is recorded."""
    with tap.fault(fault):
        with pytest.raises(httpx2.TimeoutException):
            ask()
        assert eventually(lambda: tap.heard[0].gave_up)
    assert ask().status_code == 200
    assert not tap.heard[1].gave_up


def test_an_answer_that_drips_is_left_by_a_client_with_a_deadline_only(tap):
    """Each byte comes in time, the answer never does: who leaves is seen."""
    with tap.fault(dripping), socket.create_connection(("127.0.0.1", tap.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        eventually(lambda: len(client.recv(4096)) == 1)
        assert not tap.heard[0].gave_up
        client.close()
        eventually(lambda: tap.heard[0].gave_up)


def test_faults_are_answered_as_told(tap, ask):
    """An error, garbage, a lie, a closed connection and no listener: each as told, and over with the block."""
    with tap.fault(FAILING):
        assert ask().status_code == 500
    with tap.fault(GARBAGE):
        assert ask().text.startswith("<html>")
    with tap.fault(answering(200, b'{"decision": true}')):
        assert ask().json() == {"decision": True}
    with tap.fault(hung_up), pytest.raises(httpx2.RemoteProtocolError):
        ask()
    with tap.refusing(), pytest.raises(httpx2.ConnectError):
        ask()
    assert ask().json()["decision"] is False
    assert [each.reached for each in tap.heard] == [False, False, False, False, True]


def test_a_body_in_chunks_and_one_held_back_are_recorded(sceau, tap, processing):
    """Requests without a length, and those that wait for `100 Continue`, pass as well."""
    body = b'{"subject":{"type":"user","id":"a"},"action":{"name":"wiretap-ads"},"resource":{"type":"c","id":"h"}}'
    connection = http.client.HTTPConnection("127.0.0.1", tap.port)
    headers = {"Authorization": f"Bearer {sceau.api.key}", "Content-Type": "application/json"}
    connection.request("POST", PATH, iter([body[:20], body[20:]]), headers, encode_chunked=True)
    assert connection.getresponse().read().startswith(b'{"decision":false')
    connection.request("POST", PATH, body, {**headers, "Expect": "100-continue"})
    assert connection.getresponse().read().startswith(b'{"decision":false')
    connection.close()
    assert [each.connection for each in tap.heard] == [1, 1]
