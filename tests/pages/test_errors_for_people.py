"""A refusal at a page's address is a page; a refusal to software is a problem document."""

import pytest

from app.api.http.exchange import MOST_BODY_BYTES, wants_page
from app.pages.rendering import PAGE_HEADERS
from tests.support.api import running
from tests.support.document import document

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}


def is_page(answer, lang="fr"):
    """Whether an answer is a page of ours, in a language, under the headers of pages."""
    return (
        answer.headers["content-type"] == "text/html; charset=utf-8"
        and f'<html lang="{lang}">' in answer.text
        and {name: answer.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
        and "x-request-id" in answer.headers
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 404),
        ("GET", "/consent", 404),
        ("GET", "/consent/", 404),
        ("GET", "/consent/none", 404),
        ("GET", "/consent/none/more", 404),
        ("PUT", "/consent/none", 405),
        ("DELETE", "/consent/none", 405),
        ("POST", "/consent/none", 400),
        ("GET", "/console/none", 404),
        ("GET", "/staff/none", 404),
        ("GET", "/assets/none", 400),
        ("GET", "/consents", 404),
        ("GET", "/nothing/here", 404),
    ],
)
def test_a_person_reads_a_page(shared, method, path, status):
    """No route, another method, no form: each in HTML, in the language that the browser wants."""
    nobody = shared.with_key(None).client
    answer = nobody.request(method, path, headers=BROWSER)
    assert answer.status_code == status
    assert is_page(answer)
    english = nobody.request(method, path, headers={**BROWSER, "Accept-Language": "en"})
    assert is_page(english, "en")


def test_the_methods_there_are_stay_told(shared):
    """A page of 405 keeps the field that names the methods."""
    answer = shared.with_key(None).client.put("/consent/none", headers=BROWSER)
    assert "GET" in answer.headers["allow"]


def test_too_long_is_a_page(database):
    """A body beyond the service's own bound, which is refused before any route."""
    with running(database) as api:
        answer = api.client.post("/consent/none", content=b"a" * (MOST_BODY_BYTES + 1), headers=BROWSER)
        assert answer.status_code == 413
        assert is_page(answer)
        assert "Rien n’a été enregistré." in answer.text


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Accept": "*/*"}),
        ("GET", "/nothing", {"Accept": "*/*"}),
        ("POST", "/nothing", BROWSER),
        ("GET", "/v1/none", BROWSER),
        ("GET", "/access/v1/none", BROWSER),
        ("GET", "/metrics/none", BROWSER),
    ],
)
def test_software_reads_problem_documents(shared, method, path, headers):
    """At addresses for programs always, at unknown ones without a wish for HTML, or where something is sent."""
    answer = shared.with_key(None).client.request(method, path, headers=headers)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        ("/consent/x", "*/*", True),
        ("/consent/x", "", True),
        ("/consent/x", "application/json", False),
        ("/consent/x/y", "application/problem+json", False),
        ("/consent/x", "application/json, text/html;q=0.5", True),
        ("/", "text/html", True),
        ("/", "*/*", False),
        ("/consentements", "text/html", True),
        ("/consentements", "*/*", False),
    ],
)
def test_who_is_a_person(path, accept, expected):
    """A request wants a page at a page's address unless it asks for JSON alone, and elsewhere if it asks for HTML."""
    headers = [(b"accept", accept.encode())] if accept else []
    assert wants_page({"type": "http", "method": "GET", "path": path, "headers": headers}) is expected


def test_an_operation_is_no_page():
    """What the OpenAPI document describes is answered as it says, problems too, whatever the client wants."""
    scope = {"type": "http", "method": "GET", "headers": [(b"accept", b"text/html")]}
    assert [path for path in document()["paths"] if wants_page({**scope, "path": path})] == []
