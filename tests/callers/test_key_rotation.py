from datetime import UTC, datetime, timedelta

import pytest

from app.auth.callers import key_digest
from tests.faults.service import eventually
from tests.support.api import question, running
from tests.support.databases import execute

WEEK = timedelta(days=7)


@pytest.fixture
def mailer(shared):
    """A caller that may ask, as its answer told it."""
    return shared.ok("POST", "/v1/keys", {"name": "mailer", "scopes": ["decisions:evaluate", "register:read"]})


def _rotate(api, caller, **body):
    return api.call("POST", f"/v1/keys/{caller['id']}/rotations", body)


def _end(api, caller, *of, **more):
    """End the first key of each of some callers, as keys of one of them."""
    body = {"revoke_keys": [each["keys"][0]["id"] for each in of], **more}
    return api.call("PATCH", f"/v1/keys/{caller['id']}", body)


def _works(api, key):
    """Whether a key opens a documented route and decisions, single and batch."""
    called, body = api.with_key(key), question("alice", "nothing")
    listed = called.call("GET", "/v1/processings").status_code
    assert listed == called.call("POST", "/access/v1/evaluation", body).status_code
    assert listed == called.call("POST", "/access/v1/evaluations", {"evaluations": [body]}).status_code
    return listed == 200


def _instant(text):
    return datetime.fromisoformat(text)


def test_both_keys_work_while_they_overlap(shared, mailer):
    """After a rotation the new key and the one before are good, and are one caller."""
    assert _works(shared, mailer["key"])
    answer = _rotate(shared, mailer, overlap="P2D")
    assert answer.status_code == 201
    rotated = answer.json()
    assert rotated["id"] == mailer["id"]
    assert rotated["key"] != mailer["key"]
    assert _works(shared, mailer["key"])
    assert _works(shared, rotated["key"])
    (before,) = rotated["before"]
    left = _instant(before["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=1) < left <= timedelta(days=2)
    assert before["id"] == mailer["keys"][0]["id"]


def test_without_a_word_keys_overlap_for_a_week(shared, mailer):
    """A rotation that says nothing lets the key before go on for a week."""
    (before,) = _rotate(shared, mailer).json()["before"]
    assert WEEK - timedelta(hours=1) < _instant(before["expires_at"]) - datetime.now(UTC) <= WEEK


@pytest.mark.parametrize("body", [{"compromised": True}, {"overlap": "PT0S"}, {"compromised": True, "overlap": "PT0S"}])
def test_a_compromised_key_ends_at_once(shared, mailer, body):
    """Rotated as compromised, or without overlap, the key before is refused as soon as that is answered."""
    assert _works(shared, mailer["key"])
    rotated = _rotate(shared, mailer, **body).json()
    assert not _works(shared, mailer["key"])
    assert _works(shared, rotated["key"])
    assert "revoked_at" in rotated["before"][0]


def test_an_earlier_end_is_kept(shared, mailer):
    """A second rotation with a longer overlap gives the first key no more time than it had."""
    first = _rotate(shared, mailer, overlap="PT1H").json()["before"][0]
    second = {each["id"]: each for each in _rotate(shared, mailer, overlap="P5D").json()["before"]}
    assert second[first["id"]]["expires_at"] == first["expires_at"]
    assert len(second) == 2


def test_a_caller_holds_five_keys_at_most(shared, mailer):
    """A sixth key beside five in force is refused; without overlap it takes the place of all of them."""
    for _ in range(4):
        assert _rotate(shared, mailer).status_code == 201
    refused = _rotate(shared, mailer)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:sceau:problem:too-many-keys")
    last = _rotate(shared, mailer, compromised=True).json()
    assert len(last["before"]) == 5
    assert not _works(shared, mailer["key"])
    assert _works(shared, last["key"])


def test_one_key_is_revoked_and_the_others_stay(shared, mailer):
    """Revoking one key of a caller ends that one at once, twice or not, and leaves its other key good."""
    rotated = _rotate(shared, mailer).json()
    assert _works(shared, mailer["key"])
    for _ in range(2):
        body = _end(shared, mailer, mailer).json()
        assert ["revoked_at" in each for each in body["keys"]] == [True, False]
    assert not _works(shared, mailer["key"])
    assert _works(shared, rotated["key"])


def test_a_key_is_revoked_through_its_own_caller(shared, mailer):
    """The id of another caller's key is no key of this one, and nothing at all is changed."""
    other = shared.ok("POST", "/v1/keys", {"name": "other", "scopes": ["decisions:evaluate", "register:read"]})
    assert _end(shared, mailer, mailer, other, name="changed").status_code == 404
    assert _works(shared, other["key"])
    assert _works(shared, mailer["key"])
    assert shared.ok("GET", f"/v1/keys?id={mailer['id']}")["items"][0]["name"] == mailer["name"]


def test_a_key_ends_with_what_else_is_changed(shared, mailer):
    """A key ends and the name changes in one request; of a caller that is revoked, keys may be named still."""
    body = _end(shared, mailer, mailer, name="changed").json()
    assert (body["name"], "revoked_at" in body["keys"][0]) == ("changed", True)
    shared.ok("DELETE", f"/v1/keys/{mailer['id']}")
    assert _end(shared, mailer, mailer).status_code == 200
    assert _end(shared, mailer, mailer, name="again").status_code == 409


def test_nobody_ends_a_key_that_holds_more(shared, mailer):
    """Who lacks the scope, or what the key holds, ends none of them."""
    for lacking in ("audit:read", "keys:manage"):
        assert _end(shared.with_key(shared.new_key(lacking)), mailer, mailer).status_code == 403
    assert _works(shared, mailer["key"])


def test_a_revoked_caller_gets_no_key(shared, mailer):
    """Revoking a caller ends all of its keys, and it is given no other."""
    rotated = _rotate(shared, mailer).json()
    assert _works(shared, mailer["key"])
    assert shared.call("DELETE", f"/v1/keys/{mailer['id']}").status_code == 204
    assert not _works(shared, mailer["key"])
    assert not _works(shared, rotated["key"])
    assert _rotate(shared, mailer).status_code == 409
    assert _rotate(shared, {"id": "01990000-0000-7000-8000-000000000000"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"overlap": "P31D"},
        {"overlap": "-P1D"},
        {"overlap": 3600},
        {"overlap": "a week"},
        {"compromised": True, "overlap": "P1D"},
        {"compromised": 1},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"key": "sceau_chosen"},
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(shared, mailer, body):
    """Too long an overlap, one of a compromised key, an end in the past and unknown members are 422; nothing ends."""
    assert _rotate(shared, mailer, **body).status_code == 422
    assert _works(shared, mailer["key"])


def test_a_key_may_be_made_with_an_end(shared):
    """An end in the future is told; one in the past is refused."""
    body = {"name": "guest", "scopes": ["register:read"]}
    made = shared.ok("POST", "/v1/keys", {**body, "expires_at": "2100-01-01T00:00:00Z"})
    assert _instant(made["keys"][0]["expires_at"]) == datetime(2100, 1, 1, tzinfo=UTC)
    assert shared.with_key(made["key"]).call("GET", "/v1/processings").status_code == 200
    refused = shared.call("POST", "/v1/keys", {**body, "expires_at": "2020-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:sceau:problem:invalid-expiry")


def _set_end(database, key, when):
    """Move the end of a key, as time does."""
    execute(database, "UPDATE caller_key SET expires_at = now() + %s WHERE id = %s", when, key)


def test_a_key_that_has_expired_is_refused(database):
    """By the database's clock, a key is good before its end and refused after, by documented routes and decisions."""
    with running(database, cache="strict") as api:
        made = api.ok("POST", "/v1/keys", {"name": "guest", "scopes": ["decisions:evaluate", "register:read"]})
        key = made["keys"][0]["id"]
        _set_end(database, key, timedelta(hours=1))
        assert _works(api, made["key"])
        _set_end(database, key, timedelta(microseconds=-1))
        assert not _works(api, made["key"])


def test_a_key_in_memory_ends_in_time(api):
    """A key that memory holds is refused from its end on, though nothing changed since: only time went on."""
    api.register("filter", purpose="sorting")
    made = api.ok("POST", "/v1/keys", {"name": "guest", "scopes": ["decisions:evaluate"]})
    guest, memory, digest = api.with_key(made["key"]), api.client.app.state.services.memory, key_digest(made["key"])
    callers = memory.replica.callers

    def held():
        assert guest.reason("alice", "filter") == "exempt"
        return callers.get(digest)

    record = eventually(held)

    def answers(seconds):
        """Whether memory answers for the key when it ends in so many seconds."""
        callers.put(digest, type(record)(record.caller, memory.replica.now() + seconds, record.use))
        hits = memory.hits
        assert guest.reason("alice", "filter") == "exempt"
        return memory.hits > hits

    eventually(lambda: answers(3600))
    assert not answers(0)
