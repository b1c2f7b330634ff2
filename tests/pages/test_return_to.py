"""The way back: to an address of a listed origin, after an answer, as a link and never by itself."""

from itertools import count

import pytest

from app.ledger.link_store import parse_origins
from tests.support.api import UNLIMITED, refusal_of, running
from tests.support.consent_page import Person, ask_link, link
from tests.support.databases import new_database

ORIGINS = parse_origins("https://mail.example.fr,https://www.example.fr:8443,http://127.0.0.1:9000")
BACK = "https://mail.example.fr/settings?from=consent"
_numbers = count(1)


@pytest.fixture(scope="module")
def listed():
    """An application that may send people back to three origins; each test asks another person."""
    with new_database() as database, running(database, return_to_origins=ORIGINS, **UNLIMITED) as api:
        api.register("ads-mail")
        yield api


@pytest.fixture
def goer():
    """A person of this test alone."""
    return f"goer-{next(_numbers)}"


@pytest.mark.parametrize("press", ["accept", "refuse", "withdraw"])
def test_the_way_back_is_a_link_after_an_answer(listed, goer, press):
    """The way back is shown only after an answer, as a link that says where it leads, and never as a redirect."""
    kind = "withdraw" if press == "withdraw" else "decide"
    if kind == "withdraw":
        listed.decide(goer, "ads-mail")
    person = Person(listed, link(listed, goer, "ads-mail", kind=kind, return_to=BACK))
    assert BACK not in person.open().links
    page = person.press(press, "ads-mail")
    assert BACK in page.links
    assert "Retourner à mail.example.fr" in page.text()
    assert 'http-equiv="refresh"' not in page.html


def test_no_other_origin_is_taken(listed, goer):
    """An address of another host, port, scheme or user, or one that only looks listed, is a 422 naming its field."""
    for address in (
        "https://evil.example/",
        "https://mail.example.fr.evil.example/",
        "https://mail.example.fr@evil.example/",
        "https://user@mail.example.fr/",
        "https://evil.example\\@mail.example.fr/",
        "https://evil.example/https://mail.example.fr/",
        "https://evil.example#@mail.example.fr/",
        "https://mail.example.fr:444/",
        "https://sub.mail.example.fr/",
        "http://mail.example.fr/",
        "http://127.0.0.1:9001/",
        "//mail.example.fr/",
        "/consent/other",
        "javascript:alert(document.domain)//https://mail.example.fr",
        "data:text/html,https://mail.example.fr",
        "https:///evil.example/",
        "https://mail.example.fr" + "/a" * 300,
        "",
    ):
        answer = ask_link(listed, goer, "ads-mail", return_to=address)
        assert answer.status_code == 422, address
        assert [each["field"] for each in answer.json()["errors"]] == ["return_to"], address


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://mail.example.fr", "https://mail.example.fr/"),
        ("https://MAIL.example.fr:443/a", "https://mail.example.fr/a"),
        ("https://www.example.fr:8443/a", "https://www.example.fr:8443/a"),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000/a"),
    ],
)
def test_what_is_listed_is_taken_as_a_browser_reads_it(listed, goer, address, kept):
    """The listed origins, however they are written; the page links to the address as it was parsed."""
    person = Person(listed, link(listed, goer, "ads-mail", return_to=address))
    assert kept in person.press("refuse", "ads-mail").links


def test_nothing_in_the_address_of_the_page_leads_elsewhere(listed, goer):
    """The page takes no address from its query: `return_to` there is not looked at."""
    person = Person(listed, link(listed, goer, "ads-mail"))
    person.press("refuse", "ads-mail")
    html = person.api.client.get(f"{person.path}?lang=fr&return_to={BACK}").text
    assert "mail.example.fr" not in html


def test_none_is_listed_unless_the_operator_says_so(shared):
    """By default no address is taken."""
    assert ask_link(shared, "goer", "ads-mail", return_to=BACK).status_code == 422


def test_an_origin_that_is_no_longer_listed_is_not_shown(database):
    """A link keeps its address; the page shows it only while the origin is listed."""
    with running(database, return_to_origins=ORIGINS) as api:
        api.register("ads-mail")
        path = link(api, "goer", "ads-mail", return_to=BACK)
    with running(database) as api:
        assert BACK not in Person(api, path).press("refuse", "ads-mail").links


@pytest.mark.parametrize("wrong", ["https://mail.example.fr/path", "mail.example.fr", "http://mail.example.fr", "*"])
def test_the_setting_takes_origins_only(monkeypatch, wrong):
    """A path, no scheme, plain HTTP of another machine, a wild card: refused at start."""
    assert "SCEAU_RETURN_TO_ORIGINS" in refusal_of(monkeypatch, return_to_origins=wrong)
