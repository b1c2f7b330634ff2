import pytest

from app.api.http.exchange import preferred

OFFERED = ("application/json", "text/plain")
RECEIPTS = ("application/jwt", "application/ld+json", "text/html")


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain",
        "TEXT/Plain",
        "text/*",
        "text/plain, */*;q=0.5",
        "text/plain;charset=utf-8",
        "text/plain; q=0.9, application/json; q=0.8",
        "application/json;q=0.1, text/plain;q=0.2",
        "application/json;q=0, */*",
        "application/*;q=0.3, text/*;q=0.4",
        "application/problem+json, text/plain",
        "text/html, text/plain;q=0.001",
        "*/*;q=0.1, text/plain",
    ],
)
def test_text_is_worth_more(accept):
    """The word is sent where its most specific range has the greater weight (RFC 9110, 12.5.1)."""
    assert preferred(accept, OFFERED) == "text/plain"


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/json, text/plain",
        "text/plain, application/json",
        "text/plain;q=0.5, application/json;q=0.5",
        "text/plain;q=0.5, application/*",
        "text/plain;q=0, */*",
        "text/plain;q=0",
        "text/html, */*;q=0.8",
        "text/plain;q=2",
        "text/plain;q=x",
        "text/plain;format=flowed",
        "text/plain;q=0.2, */*;q=0.5",
        "image/png",
        "text/plain," + "x" * 1_024,
    ],
)
def test_json_is_the_answer(accept):
    """JSON is sent if it is worth more or as much, if neither type is accepted, and if the field makes no sense."""
    assert preferred(accept, OFFERED) == "application/json"


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        ("", "application/jwt"),
        ("*/*", "application/jwt"),
        ("application/jwt, application/ld+json", "application/jwt"),
        ("Application/LD+JSON", "application/ld+json"),
        ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"', "application/ld+json"),
        ("application/ld+json;q=0.1, text/html", "text/html"),
        ("application/ld+json;q=0, application/jwt", "application/jwt"),
        ("application/x-application/ld+json", "application/jwt"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html;q=0, */*", "application/jwt"),
    ],
)
def test_a_receipt_comes_as_the_type_that_is_worth_most(accept, sent):
    """A type that the client refuses is not sent because its name stands in the field."""
    assert preferred(accept, RECEIPTS) == sent
