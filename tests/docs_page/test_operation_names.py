"""The OpenAPI document as somebody who generates a client, or presses Authorize, reads it."""

import re
from collections import Counter

import pytest

from app.auth.callers import SCOPE_TOLD, Scope

SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def badly_named(names):
    """Names that a generator would change or give twice."""
    return sorted(name for name, times in Counter(names).items() if times > 1 or not SNAKE.fullmatch(name))


def operations(document):
    """Every operation of a document."""
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_operation_ids_are_snake_case_and_each_another(document):
    """A generated client calls an operation as its function here is called: `post_consent`."""
    names = [operation["operationId"] for operation in operations(document)]
    assert badly_named(names) == []
    assert {"evaluation", "post_consent", "post_withdrawal", "post_processing"} <= set(names)


def test_bad_names_are_seen():
    """The check can fail: a framework's name with its path, a camel, a double."""
    ids = ["evaluation_access_v1_evaluation__post", "postConsent", "get_keys", "get_keys"]
    assert badly_named(ids) == ["evaluation_access_v1_evaluation__post", "get_keys", "postConsent"]


def lists_of_nothing_said(value):
    """Schemas of lists that do not say what is in them: generators leave such operations out."""
    if isinstance(value, dict):
        here = [value] if value.get("type") == "array" and not {"items", "prefixItems"} & set(value) else []
        return here + [place for each in value.values() for place in lists_of_nothing_said(each)]
    return [place for each in value for place in lists_of_nothing_said(each)] if isinstance(value, list) else []


def test_every_list_says_what_is_in_it(document):
    """A generated client has every operation; the check sees a list of nothing said."""
    assert lists_of_nothing_said(document) == []
    assert lists_of_nothing_said({"a": [{"type": "array", "default": []}]}) == [{"type": "array", "default": []}]


def test_the_page_explains_every_scope(document):
    """Where a key is made there is a row for each scope, in one sentence."""
    assert set(SCOPE_TOLD) == set(Scope)
    description = document["paths"]["/v1/keys"]["post"]["description"]
    for scope, meaning in SCOPE_TOLD.items():
        assert f"| `{scope}` | {meaning} |" in description
        assert meaning.endswith(".")


@pytest.mark.parametrize("pasted", ["Bearer {}", "bearer  {} ", "{}"])
@pytest.mark.parametrize("path", ["/v1/processings", "/access/v1/evaluation"])
def test_a_key_pasted_with_bearer_in_front_is_taken(shared, pasted, path):
    """Swagger UI puts `Bearer ` before what is pasted, whatever that begins with: the key is found all the same."""
    headers = {"Authorization": f"Bearer {pasted.format(shared.key)}"}
    answer = (
        shared.client.get(path, headers=headers)
        if path.startswith("/v1")
        else shared.client.post(path, headers=headers, json={"subject": {}})
    )
    assert answer.status_code == (200 if path.startswith("/v1") else 400)


@pytest.mark.parametrize("pasted", ["Bearer", "Bearer Bearer {}", "Basic {}", "Bearer{}"])
def test_whatever_else_stands_before_a_key_is_refused(shared, pasted):
    """The control: one word is forgiven, once, and no other."""
    headers = {"Authorization": f"Bearer {pasted.format(shared.key)}"}
    assert shared.client.get("/v1/processings", headers=headers).status_code == 401
