from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from app.api.openapi import everyday
from tests.contract.facts import AnyCase, Facts
from tests.support.document import document
from tests.support.properties import examples

AnyOperation = APIOperation[Any, Any, Any, Any]
HELD_TO = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
FEW = settings(
    max_examples=examples(5, deep=24),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MORE = settings(FEW, max_examples=60)
"""For an operation of which none of a few requests succeeded."""
DOCUMENT = document()


def _operations() -> Iterator[AnyOperation]:
    for operation in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations():
        assert isinstance(operation, Ok)
        yield operation.ok()


OPERATIONS = list(_operations())
ASKING = [each for each in OPERATIONS if each.body or each.query or each.headers or each.path_parameters]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)


def _checks():
    load_all_checks()
    return CHECKS.get_by_names(HELD_TO)


def _send(facts: Facts, case: AnyCase) -> Response:
    """Send a generated case to the application in this process, as a caller with every scope."""
    prepared: Any = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    headers = dict(prepared.headers)
    key = facts.key_for(case.operation.path)
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    answer = facts.api.client.request(prepared.method, prepared.url, content=prepared.body, headers=headers)
    return Response.from_any(answer)


def _held_to_the_document(facts: Facts, case: AnyCase) -> int:
    answer = _send(facts, case)
    case.validate_response(answer, checks=_checks())
    if case.operation.path.startswith("/access/"):
        assert answer.status_code != 422
    return answer.status_code


def test_the_document_is_valid():
    """The OpenAPI document is one, so is its part of every day, and every route is an operation of its own."""
    for each in (DOCUMENT, everyday(DOCUMENT)):
        schemathesis.openapi.from_dict(each).validate()
    labels = [operation.label for operation in OPERATIONS]
    assert len(labels) == len(set(labels))


@pytest.mark.hypothesis
@each_operation
def test_well_formed_requests(facts, operation):
    """Well-formed requests with real ids are answered as documented, and some of them succeed."""
    statuses: set[int] = set()

    def run(case: AnyCase, number: int) -> None:
        statuses.add(_held_to_the_document(facts, facts.place(case, number)))

    for tries in (FEW, MORE):
        if not any(200 <= status < 300 for status in statuses):
            tries(given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), st.integers(0, 1000))(run))()
    assert any(200 <= status < 300 for status in statuses), statuses


@pytest.mark.hypothesis
@pytest.mark.parametrize("operation", ASKING, ids=lambda each: each.label)
def test_requests_that_the_document_does_not_allow(shared, operation):
    """Requests outside the document are answered as documented too, and never with a 5xx."""
    statuses: set[int] = set()

    @FEW
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: AnyCase) -> None:
        statuses.add(_held_to_the_document(shared, case))

    run()
    assert statuses
    assert max(statuses) < 500


@each_operation
def test_without_a_key(shared, operation):
    """Without a key, each operation that names a scope is a documented 401."""
    nobody = Facts(shared.api.with_key(None), shared.processings, shared.consents, shared.keys, shared.texts)

    @settings(FEW, max_examples=1)
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case: AnyCase) -> None:
        status = _held_to_the_document(nobody, case)
        scope = DOCUMENT["paths"][operation.path][operation.method.lower()].get("x-scope")
        assert (status == 401) == (scope is not None)

    run()
