import json

import pytest

from tests.support.api import question

MARKED = "marked-identifier"
ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"


GOOD = json.dumps(question(MARKED, "ads"))

MALFORMED = {  # beside those of tests/decisions/asked.py; test_reading walks the members
    "white space": b"  ",
    "two documents": (GOOD + GOOD).encode(),
    "utf-16": GOOD.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "null": b"null",
    "empty object": b"{}",
    "duplicate unknown key": (GOOD[:-1] + ', "x": 1, "x": 2}').encode(),
    "raw nul": GOOD.replace(MARKED, "a\0b").encode(),
    "nan": (GOOD[:-1] + ', "x": NaN}').encode(),
    "infinity": (GOOD[:-1] + ', "x": -Infinity}').encode(),
    "number of 100,000 digits": (GOOD[:-1] + ', "x": ' + "9" * 100_000 + "}").encode(),
}


@pytest.fixture(scope="module")
def pdp(shared):
    """An application with one processing of IV."""
    shared.register("ads")
    return shared


def problem_of(answer):
    """Status and kind of a problem document that quotes nothing of what was sent."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert MARKED not in answer.text
    return answer.status_code, body["type"].removeprefix("urn:sceau:problem:")


@pytest.mark.parametrize("path", [ONE, MANY])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_question_is_a_400(pdp, path, body):
    """A malformed question is a 400 that quotes nothing of it, on both endpoints."""
    assert problem_of(pdp.call("POST", path, body)) == (400, "malformed")


def test_the_good_question_of_these_tests_is_answered(pdp):
    """The question that the malformed ones are made from is a 200 on both endpoints."""
    assert pdp.call("POST", ONE, GOOD.encode()).status_code == 200
    assert pdp.call("POST", MANY, GOOD.encode()).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"evaluations": None},
        {"evaluations": "x"},
        {"options": None, "evaluations": [{}]},
        {"options": [], "evaluations": [{}]},
        {"options": {"evaluations_semantic": "EXECUTE_ALL"}, "evaluations": [{}]},
        {"options": {"evaluations_semantic": None}, "evaluations": [{}]},
        {"options": {"evaluations_semantic": "any"}, "evaluations": []},
        {"options": {"evaluations_semantic": "any"}},
    ],
)
def test_a_malformed_batch_is_a_400(pdp, more):
    """Items that are no list, and options or a semantic that are not known, are a 400."""
    body = json.dumps({**question(MARKED, "ads"), **more}).encode()
    assert problem_of(pdp.call("POST", MANY, body)) == (400, "malformed")


@pytest.mark.parametrize("path", [ONE, MANY])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""]
)
def test_another_content_type_is_a_400(pdp, path, content_type):
    """A body that is not said to be JSON is a 400."""
    answer = pdp.call("POST", path, GOOD.encode(), {"Content-Type": content_type})
    assert problem_of(answer) == (400, "malformed")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON ; x=y"]
)
def test_parameters_of_the_content_type_are_accepted(pdp, content_type):
    """Parameters after application/json, and its capitals, change nothing."""
    assert pdp.call("POST", ONE, GOOD.encode(), {"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize("path", [ONE, MANY])
@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
        {"Authorization": "Bearer sceau_" + "x" * 43},
        {"Authorization": "Bearer " + "x" * 5_000},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": "sceau_" + "b" * 43},
    ],
)
def test_no_key_in_force_is_a_401(pdp, path, sent):
    """Without a key that is in force the answer is 401, and says which scheme to use."""
    answer = pdp.with_key(None).call("POST", path, GOOD.encode(), sent)
    assert problem_of(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_without_the_scope_is_a_403(pdp):
    """A key in force without `decisions:evaluate` gets 403 on both endpoints."""
    other = pdp.with_key(pdp.new_key("consents:read"))
    assert problem_of(other.call("POST", ONE, GOOD.encode())) == (403, "scope-missing")
    assert problem_of(other.call("POST", MANY, GOOD.encode())) == (403, "scope-missing")


def test_a_processing_out_of_reach_is_a_403(pdp):
    """A caller that may not ask about the processing gets 403, registered or not."""
    other = pdp.with_key(pdp.new_key("decisions:evaluate", processings=["spam"]))
    assert problem_of(other.call("POST", ONE, question(MARKED, "ads"))) == (403, "processing-not-allowed")
    assert problem_of(other.call("POST", MANY, question(MARKED, "nowhere"))) == (403, "processing-not-allowed")


@pytest.mark.parametrize("path", [ONE, MANY, "/v1/consents"])
def test_an_oversized_body_is_a_413(pdp, path):
    """A body over the limit is 413, declared or in chunks."""
    large = b'{"x": "' + b"a" * 1_048_576 + b'"}'
    assert problem_of(pdp.call("POST", path, large)) == (413, "too-large")
    chunked = pdp.client.post(
        path,
        content=iter([large[:500_000], large[500_000:]]),
        headers={"Authorization": f"Bearer {pdp.key}", "Content-Type": "application/json"},
    )
    assert problem_of(chunked) == (413, "too-large")


def test_another_method_is_a_405(pdp):
    """A GET of an evaluation endpoint is 405 with what is allowed."""
    answer = pdp.call("GET", ONE)
    assert problem_of(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_a_slash_too_many_is_a_404_without_redirect(pdp):
    """A trailing slash is 404 and never a redirect, whose address would come from the Host header."""
    answer = pdp.client.post(ONE + "/", content=GOOD, follow_redirects=False)
    assert problem_of(answer) == (404, "not-found")
