"""Rate limits and the door of unknown keys, where a request with a known head is answered before it is parsed."""

import json
from functools import partial

from app.api.hot_endpoint import KnownHead, Missed
from app.auth.callers import key_digest
from tests.faults.service import eventually
from tests.support.api import question, running

ONE = "/access/v1/evaluation"
LIMIT = "ratelimit"
LONG = 86_400  # so long a window that nothing comes back while a test runs


def _short(api, head, body):
    """The answer to a known head; where a lease has just run out, after what memory lacks was read."""
    hot, call = api.client.app.state.hot, api.client.portal.call
    found = call(hot.answer_known, head, body)
    return call(hot.answer_missed, found) if isinstance(found, Missed) else found


def test_a_known_head_is_counted_too(database):
    """Where a request is answered before it is parsed, it is counted, told and refused alike."""
    with running(database, rate_decisions=f"2/{LONG}") as api:
        api.register("ads")
        key = api.new_key("decisions:evaluate")
        assert (
            api.with_key(key).call("POST", ONE, question("alice", "ads")).headers[LIMIT].startswith('"decisions";r=1;')
        )
        body = json.dumps(question("alice", "ads")).encode()
        head = KnownHead(ONE, key_digest(key), len(body), api.client.app.state.hot)  # type: ignore[attr-defined]
        answers = [_short(api, head, body) for _ in range(2)]
        lines, told = answers[0]
        assert b'ratelimit: "decisions";r=0;t=' in lines
        assert lines.endswith(b"\r\n")
        assert json.loads(told)["context"]["reason"] == "no_consent"
        assert answers[1] is None
        assert api.with_key(key).call("POST", ONE, question("alice", "ads")).status_code == 429


def test_a_known_head_passes_by_the_door(database):
    """A revoked key that has failed often enough costs no look at the database by its known head either."""
    with running(database, rate_unknown_keys=f"20/{LONG}") as api:
        api.register("ads")
        made = api.ok("POST", "/v1/keys", {"name": "x", "scopes": ["decisions:evaluate"]})
        hot, body = api.client.app.state.hot, json.dumps(question("alice", "ads")).encode()  # type: ignore[attr-defined]
        head = KnownHead(ONE, key_digest(made["key"]), len(body), hot)
        ask = partial(api.with_key(made["key"]).call, "POST", ONE, body)
        assert ask().status_code == 200
        api.ok("DELETE", f"/v1/keys/{made['id']}")
        assert isinstance(api.client.portal.call(hot.answer_known, head, body), Missed)  # type: ignore[union-attr]
        assert [ask().status_code for _ in range(4)] == [401, 401, 429, 429]
        assert api.client.portal.call(hot.answer_known, head, body) is None  # type: ignore[union-attr]


def test_strangers_slow_nobody_who_is_known(database):
    """While strangers are refused at the door, a known head of a good key is still answered from memory."""
    with running(database, rate_unknown_keys=f"2/{LONG}") as api:
        api.register("ads")
        key = api.new_key("decisions:evaluate")
        hot, body = api.client.app.state.hot, json.dumps(question("alice", "ads")).encode()  # type: ignore[attr-defined]
        head = KnownHead(ONE, key_digest(key), len(body), hot)
        stranger = partial(api.with_key("sceau_" + "n" * 43).call, "POST", ONE, body)
        assert [stranger().status_code for _ in range(4)][-1] == 429

        def answered():
            assert (
                api.with_key(key).call("POST", ONE, body).status_code == 200
            )  # read again, should its lease have ended
            return api.client.portal.call(hot.answer_known, head, body)  # type: ignore[union-attr]

        _, told = eventually(answered)
        assert json.loads(told)["context"]["reason"] == "no_consent"
