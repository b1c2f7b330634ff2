"""Bodies too large, too deep, of too much or not what they should be: refused in words, nothing stored, no 5xx."""

import json
import re
from collections import Counter

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.api import application
from app.api.decisions.models import MOST_ITEMS, MOST_PARTICIPANTS
from app.api.http.wire import BadJsonError, parse
from tests.support.api import processing, question, running, subject
from tests.support.consents import grant
from tests.support.databases import new_database
from tests.support.document import document

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
ROUTES = (ONE, MANY, "/v1/consents", "/v1/keys", "/v1/processings", "/v1/audit-trail/search")
LONG = "x" * 900_000
HOSTILE = {
    "deep arrays": b"[" * 400_000 + b"]" * 400_000,
    "deep objects": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "many members": json.dumps({f"member {number}": number for number in range(50_000)}).encode(),
    "many unknown members": json.dumps({f"member {number}": number for number in range(30_000)}).encode(),
    "many values": b'{"a":[' + b"0," * 400_000 + b"0]}",
    "a huge number": b'{"subject":' + b"9" * 500_000 + b"}",
    "a huge exponent": b'{"subject":1e999999}',
    "a long name": json.dumps({LONG: 1}).encode(),
    "a long id": json.dumps({"subject": subject(LONG)}).encode(),
    "long words": json.dumps({"name": LONG, "scopes": [LONG], "processing": LONG, "acts": [LONG]}).encode(),
    "two of one name": b'{"subject":1,"subject":2}',
    "NUL": b'{"subject":"\\u0000"}',
    "half a pair": b'{"subject":"\\udc00"}',
    "not UTF-8": b'{"subject":"\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"subject":1}',
    "no object": b"[]",
    "half an object": b'{"subject":',
    "blanks": b" " * 900_000,
    "too large": b" " * 1_048_577,
}
TABLES = ("caller", "caller_key", "processing", "subject", "consent_event", "idempotency", "outbox", "subject_vault")


@pytest.fixture(scope="module")
def world():
    """An application and its database, with one processing that others decide on too."""
    with new_database() as database, running(database) as api:
        api.register("ads", party_mode="all_local_users")
        yield api, database


def _stored(database):
    """How many rows each table holds that a request could have written."""
    with psycopg.connect(database.owner_url) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES]


@pytest.mark.parametrize("route", ROUTES)
def test_hostile_bodies_are_refused(world, route):
    """A hostile body gets a short problem document of 4xx, and nothing is stored."""
    api, database = world
    before = _stored(database)
    for name, body in HOSTILE.items():
        answer = api.call("POST", route, body)
        assert answer.status_code in {400, 413, 422}, (name, answer.status_code)
        assert answer.headers["content-type"] == "application/problem+json", name
        assert len(answer.content) < 8_192, name
    assert _stored(database) == before


def test_well_formed_bodies_are_not(world):
    """Control: these routes accept the bodies that they are meant for."""
    api, _ = world
    bodies = (
        (ONE, question("alice", "ads")),
        (MANY, {**question("alice", "ads"), "evaluations": [{}] * MOST_ITEMS}),
        ("/v1/processings", processing("other", notice={"fr": "é" * 10_000})),
        ("/v1/consents", grant("a", "ads")),
        ("/v1/keys", {"name": "x" * 128, "scopes": ["audit:read"]}),
    )
    for route, body in bodies:
        assert api.call("POST", route, body).status_code in {200, 201}, route


def test_a_batch_is_bounded(world):
    """Items, and the participants of all items together, have a bound: those of a default count in each item."""
    api, _ = world
    asked = question("alice", "ads", participants=[{"id": f"u{number}", "local": True} for number in range(10)])
    assert MOST_ITEMS * 10 == MOST_PARTICIPANTS
    assert api.call("POST", MANY, {**asked, "evaluations": [{}] * MOST_ITEMS}).status_code == 200
    eleven = question("alice", "ads", participants=[{"id": f"u{number}", "local": True} for number in range(11)])
    for body in ({**eleven, "evaluations": [{}] * MOST_ITEMS}, {**asked, "evaluations": [{}] * (MOST_ITEMS + 1)}):
        refused = api.call("POST", MANY, body)
        assert (refused.status_code, refused.json()["type"]) == (413, "urn:sceau:problem:too-large")


def test_the_participants_of_one_question_are_bounded(world):
    """One question names ten thousand participants at most."""
    api, _ = world
    for number, status in ((MOST_PARTICIPANTS, 200), (MOST_PARTICIPANTS + 1, 400)):
        named = [{"id": "u", "local": False}] * number
        assert api.call("POST", ONE, question("alice", "ads", participants=named)).status_code == status


def test_of_many_errors_the_first_are_told(world):
    """An answer tells at most twenty errors and shortens long field names."""
    api, _ = world
    body = {"name": "x", "scopes": ["audit:read"], **{f"{'y' * 5_000} {number}": 1 for number in range(100)}}
    errors = api.call("POST", "/v1/keys", body).json()["errors"]
    assert len(errors) == 20
    assert max(len(each["field"]) for each in errors) <= 100


def _scope(api, path, headers=None):
    """What a server hands an application of a POST of JSON by a caller."""
    names = {"authorization": f"Bearer {api.key}", "content-type": "application/json", **(headers or {})}
    return {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
        "root_path": "", "query_string": b"", "client": ("127.0.0.1", 50_000), "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in names.items()],
        "server": ("testserver", 80), "scheme": "http", "asgi": {"version": "3.0"},
    }  # fmt: skip


@pytest.mark.parametrize("route", [ONE, "/v1/keys"])
def test_a_body_that_does_not_come_is_waited_for_so_long(world, monkeypatch, route):
    """A body that does not arrive is answered 408, and the connection ends with it."""
    api, _ = world
    monkeypatch.setattr(application, "_BODY_SECONDS", 0.05)
    sent = []

    async def never():
        await api.client.app.state.forever.wait()

    async def send(message):
        sent.append(message)

    async def ask():
        import asyncio

        api.client.app.state.forever = asyncio.Event()
        await api.client.app(_scope(api, route), never, send)

    api.client.portal.call(ask)
    head = dict(sent[0]["headers"])
    assert sent[0]["status"] == 408
    assert head[b"connection"] == b"close"


def test_who_waits_to_be_told_to_go_on_is_told_the_end(world):
    """A client that waits for 100-continue with too large a body gets a 413, and its connection is closed."""
    api, _ = world
    answer = api.call("POST", ONE, b" " * 1_048_577, {"Expect": "100-continue"})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert api.call("POST", ONE, b" " * 1_048_577).headers["connection"] == "keep-alive"


DEEPEST = 201
"""Levels of nesting that the reader's library reads, and a little more."""

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def _deepest(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + _deepest(each) for each in inner), default=0)


def _texts(value):
    if isinstance(value, str):
        yield value
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _texts(each)


@given(VALUES, st.integers(0, 3) | st.integers(DEEPEST - 30, DEEPEST + 3), st.booleans())
@example("\ud800", 0, True)
@example("\0", DEEPEST - 30, True)
@example("\0", 0, False)
def test_json_is_read_as_it_is_or_refused(value, around, as_escapes):
    """JSON is read unchanged, or refused if it is too deep or holds a NUL or half of a surrogate pair."""
    for _ in range(around):
        value = [value]
    try:
        body = json.dumps(value, ensure_ascii=as_escapes).encode()
    except UnicodeEncodeError:  # half of a pair cannot be written raw
        body = json.dumps(value).encode()
    bad = any("\0" in text or any("\ud800" <= each <= "\udfff" for each in text) for text in _texts(value))
    try:
        parsed = parse(body)
    except BadJsonError:
        assert bad or _deepest(value) > DEEPEST - 30
    else:
        assert parsed == value
        assert not bad
        assert _deepest(value) <= DEEPEST


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0e-\\u d', max_size=60).map(str.encode))
def test_bytes_that_are_no_json_are_refused_in_words(body):
    """The reader either refuses any bytes with a reason, or reads them as Python's reader does."""
    try:
        parsed = parse(body)
    except BadJsonError:
        return
    assert parsed == json.loads(body)


# --- bodies that end too soon ----------------------------------------------------------------------------------------


def _cut(api, path, headers, *messages):
    """The status of a POST of which these messages come, and then the end of the connection."""
    left, sent = [*messages, {"type": "http.disconnect"}], []

    async def receive():
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    api.client.portal.call(api.client.app, _scope(api, path, headers), receive, send)
    return sent[0]["status"]


def _part(body, more):
    return {"type": "http.request", "body": body, "more_body": more}


ROTATION, BODY = "/v1/signing-keys", b'{"use":"decision_tokens"}'


def _signing_keys(api):
    return [each["kid"] for each in api.ok("GET", "/.well-known/jwks.json")["keys"]]


@pytest.mark.parametrize(
    ("headers", "came"),
    [
        ({"content-length": "16"}, []),
        ({"content-length": "16"}, [_part(b"", more=True)]),
        ({"content-length": "25"}, [_part(BODY[:10], more=True)]),
        ({"content-length": "30"}, [_part(BODY, more=True)]),
        ({"transfer-encoding": "chunked"}, []),
        ({"transfer-encoding": "chunked"}, [_part(BODY, more=True)]),
    ],
)
def test_a_body_that_was_cut_off_is_no_body(world, headers, came):
    """A request whose body did not come whole does nothing (RFC 9112, 8)."""
    api, _ = world
    before = _signing_keys(api)
    assert _cut(api, ROTATION, headers, *came) == 400
    assert _signing_keys(api) == before


@pytest.mark.parametrize(
    ("headers", "came"),
    [
        ({"content-length": "25"}, [_part(BODY, more=False)]),
        ({"transfer-encoding": "chunked"}, [_part(BODY[:1], more=True), _part(BODY[1:], more=False)]),
    ],
)
def test_a_request_that_came_whole_is_done(world, headers, came):
    """Control: a request that came whole is done, although its client hangs up."""
    api, _ = world
    before = _signing_keys(api)
    assert _cut(api, ROTATION, headers, *came) == 201
    assert len(_signing_keys(api)) == len(before) + 1


def test_no_address_brings_a_nul_in(shared):
    """A NUL, which PostgreSQL cannot store, is malformed in the query of any operation, and no id in a path."""
    sent = 0
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            addresses = {f"{re.sub(r'{[^}]+}', '1', path)}?{name}=a%00b": {400} for name in names}
            if "{" in path:
                addresses[re.sub(r"{[^}]+}", "a%00b", path)] = {404, 422}
            for address, statuses in addresses.items():
                answer = shared.call(method.upper(), address, {} if method in {"post", "put", "patch"} else None)
                assert answer.status_code in statuses, address
            sent += len(addresses)
    assert sent > 40


PROBES = ("/livez", "/readyz", "/metrics")


def test_no_parameter_of_a_query_is_passed_over(shared):
    """An unknown parameter, or a second value of one that takes one, is named in a 422, to callers alone."""
    seen = {"is not known here": 0, "is given twice": 0}
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            named = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
            told = {each["name"]: "is given twice" for each in named if each["schema"].get("type") != "array"}
            told["sinse"] = "is not known here"
            for name, message in told.items() if path.startswith(("/v1/", "/proof/", *PROBES)) else ():
                address = f"{re.sub(r'{[^}]+}', '1', path)}?{name}=1&{name}=2"
                answer = shared.call(method.upper(), address, {} if method in {"post", "put", "patch"} else None)
                assert answer.status_code == 422, address
                assert {each["field"]: each["message"] for each in answer.json()["errors"]}[name] == message
                seen[message] += 1
    assert seen["is not known here"] >= 60
    assert seen["is given twice"] > 15
    assert shared.call("GET", "/v1/keys?sinse=1", headers={"Authorization": "Bearer x"}).status_code == 401


def test_what_is_answered_to_another_media_type_or_key_is_documented(shared):
    """415 stands where a body is taken, and is answered to text; 401 stands where a key is, and not where none is."""
    seen: Counter[int] = Counter()
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            address, documented = re.sub(r"{[^}]+}", "1", path), operation["responses"].keys()
            if path.startswith("/v1/") and "requestBody" in operation:
                answer = shared.call(method.upper(), address, b"{}", headers={"Content-Type": "text/plain"})
            else:
                answer = shared.call(method.upper(), address, headers={"Authorization": "Bearer x"})
            assert str(answer.status_code) in documented, (method, path)
            assert ("415" in documented) == (answer.status_code == 415), (method, path)
            takes_key = answer.status_code in {401, 415} or path == "/metrics"  # which takes one by a setting
            assert ("401" in documented) == takes_key, (method, path)
            seen[answer.status_code] += 1
    assert (seen[415] > 30, seen[401] > 20, seen[200] > 5) == (True, True, True)
