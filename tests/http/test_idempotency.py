from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest

from tests.support.api import processing, subject
from tests.support.consents import grant
from tests.support.databases import execute


@pytest.fixture(scope="module")
def pip(shared):
    """An application with one processing of IV."""
    shared.register("ads")
    return shared


PRESSED: dict[tuple[Any, Any], datetime] = {}
"""When the form of a key was sent first: a repetition says the same."""


def _consent(api, key, name, **more):
    now = api.clock.at if api.clock is not None else datetime.now(UTC)
    return {**grant(name, "ads", at=PRESSED.setdefault((api.client, key), now)), **more}


def _post(api, key, name, path="/v1/consents", **more):
    body = _consent(api, key, name, **more) if path == "/v1/consents" else {"subject": subject(name), **more}
    return api.call("POST", path, body, {"Idempotency-Key": key})


def _age(database, interval):
    """Have every key be used so much earlier: the database's own clock says how old one is."""
    execute(database, "UPDATE idempotency SET created_at = created_at - CAST(%s AS interval)", interval)


def _consents(api, name):
    return api.ok("POST", "/v1/consents/search", {"subject": subject(name)})["items"]


def _is_mismatch(answer):
    return (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:idempotency-key-reused")


def test_a_repeated_write_is_answered_as_before(pip):
    """The same key and body give the same answer to the letter, and record one event."""
    first, second = _post(pip, "k1", "a"), _post(pip, "k1", "a")
    assert (second.status_code, second.content) == (first.status_code, first.content) == (201, first.content)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert len(_consents(pip, "a")) == 1


def test_a_repeated_write_is_answered_as_before_although_things_changed(pip):
    """A repetition after a withdrawal gives the old answer and revives nothing."""
    first = _post(pip, "k2", "b")
    pip.withdraw("b", "ads")
    assert _post(pip, "k2", "b").content == first.content
    assert pip.reason("b", "ads") == "consent_withdrawn"


def test_without_a_key_each_write_counts(pip):
    """Without an Idempotency-Key, or with another one, a repeated write is recorded again."""
    for key in ("k3", "k4", "K4"):
        _post(pip, key, "c")
    pip.decide("c", "ads")
    assert len(_consents(pip, "c")) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"decision": "refused"},
        {"elements": ["content"]},
        {"path": "/v1/withdrawals"},
        {"path": "/v1/subjects/closures"},
        {"name": "another"},
    ],
)
def test_the_same_key_with_another_request_is_refused(pip, other):
    """A key that was used with another body or on another route is 422, and nothing is recorded."""
    name = f"d{sorted(other)}{sorted(map(str, other.values()))}"
    assert _post(pip, name, name).status_code == 201
    assert _is_mismatch(_post(pip, name, **{"name": name, **other}))
    assert [item["state"] for item in _consents(pip, name)] == ["in_force"]
    assert _consents(pip, "another") == []


def test_a_refused_write_does_not_use_its_key_up(pip):
    """After a 4xx the same key may come with the corrected body."""
    assert _post(pip, "k5", "e", version=7).status_code == 422
    assert _post(pip, "k5", "e").status_code == 201


def test_another_callers_key_is_its_own(pip):
    """Two callers may use the same key: neither sees the other's answer."""
    other = pip.with_key(pip.new_key("consents:write"))
    first, second = _post(pip, "k6", "f"), _post(other, "k6", "f")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert _post(other, "k6", "f", decision="refused").status_code == 422


@pytest.mark.parametrize(("key", "status"), [("x" * 255, 201), ("x" * 256, 422), ("", 422), (b"cl\xe9", 201)])
def test_a_key_has_1_to_255_characters(pip, key, status):
    """An empty key and one of more than 255 characters are 422."""
    assert _post(pip, key, "g").status_code == status


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/processings", processing("once")),
        ("POST", "/v1/withdrawals", {"subject": subject("h")}),
        ("POST", "/v1/subjects/closures", {"subject": subject("h")}),
        ("POST", "/v1/subjects/erasures", {"subject": subject("h")}),
        ("PATCH", "/v1/processings/once", {"status": "suspended"}),
    ],
)
def test_every_write_takes_a_key(pip, method, path, body):
    """Each route that writes, those that hand out secrets apart, repeats its answer under a key."""
    sent = {"Idempotency-Key": f"every {path}"}
    first, second = (pip.call(method, path, body, sent) for _ in range(2))
    assert first.status_code in {200, 201}, first.text
    assert (second.status_code, second.content) == (first.status_code, first.content)


def test_a_new_api_key_is_never_repeated(pip):
    """Making keys ignores the header: a secret is stored nowhere to be told again."""
    body, sent = {"name": "x", "scopes": ["register:read"]}, {"Idempotency-Key": "k7"}
    first, second = (pip.ok("POST", "/v1/keys", body, sent)["key"] for _ in range(2))
    assert first != second


def test_twins_at_once_record_once(pip):
    """Eight copies of one write at the same time record one event and all get its answer."""
    barrier = Barrier(8)

    def send(_):
        barrier.wait()
        return _post(pip, "k8", "i")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(_consents(pip, "i")) == 1


def test_rivals_at_once_under_one_key_record_once(pip):
    """Different writes under one key at the same time: one is recorded, the others are refused."""
    barrier = Barrier(4)

    def send(number):
        barrier.wait()
        return _post(pip, "k9", f"j{number}")

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    assert sum(len(_consents(pip, f"j{number}")) for number in range(4)) == 1


def test_an_expired_key_is_forgotten(clocked, database):
    """After a day a key may be used again, with whatever body; until then it is remembered."""
    clocked.register("ads")
    assert _post(clocked, "k", "alice").status_code == 201
    _age(database, "23 hours 59 minutes")
    assert _is_mismatch(_post(clocked, "k", "bob"))
    _age(database, "1 minute")
    assert _post(clocked, "k", "bob").status_code == 201


def test_an_expired_key_is_forgotten_among_many(clocked, database):
    """Every one of many expired keys may be used again at once, whichever the caller comes with first."""
    clocked.register("ads")
    for number in range(45):
        assert _post(clocked, f"k{number}", "alice").status_code == 201
    _age(database, "2 days")
    assert [_post(clocked, f"k{number}", "bob").status_code for number in reversed(range(45))] == [201] * 45
