"""The page of the staff notice: read by a person signed in, acknowledged by one press of a button."""

import re

import pytest

from app.core.staff import first_notice
from tests.support.api import running
from tests.support.console import SITE, Visitor
from tests.support.issuer import issuing
from tests.support.staff import ENOUGH, TEXT, covered, person, publish

SIGN_IN = "/staff/sign-in"


@pytest.fixture
def ada(staffed):
    """A person's id and key, who may see the console."""
    made = staffed.ok("POST", "/v1/keys", {"name": "Ada", "kind": "person", "scopes": ["audit:read"]})
    return made["id"], made["key"]


def standing(api, identifier):
    """How a person stands."""
    items = api.ok("GET", "/v1/staff/coverage?limit=500")["items"]
    return next(each["standing"] for each in items if each["id"] == identifier)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_notice_is_shown_whole(staffed, ada, lang):
    """Every word of the text, in the language that is read, with its fingerprint, and nothing pre-selected."""
    page = Visitor(staffed, lang).sign_in(ada[1], SIGN_IN)
    notice = staffed.ok("GET", "/v1/staff/notices")["items"][-1]["texts"][lang]
    words = re.sub(r"^(# |- )", "", notice["body"], flags=re.MULTILINE)
    text = page.text().replace("\N{NO-BREAK SPACE}", " ")
    assert " ".join(words.split()).replace("’", "'") in text
    assert notice["title"].replace("\N{NO-BREAK SPACE}", " ") in text
    assert notice["sha256"] in page.html
    assert not re.search(r"checkbox|checked|<script", page.html)
    assert page.html.count("<button") == 2  # confirm, sign out


def test_one_press_acknowledges(staffed, ada):
    """Pressing the button records the person, the version and the language, and the page says when."""
    identifier, key = ada
    visitor = Visitor(staffed)
    page = visitor.sign_in(key, SIGN_IN)
    assert "Read them, then confirm" in page.text()
    done = visitor.post("/staff/notice", page.fields)
    assert done.status == 200
    assert "You acknowledged this text on" in done.text()
    assert "confirm" not in done.fields
    (made,) = covered(staffed, identifier)["acknowledgements"]
    assert (made["way"], made["language"], made["notice"]) == ("page", "en", int(page.fields["notice"]))


def test_a_new_version_asks_again(staffed, ada):
    """A person who acknowledged the earlier text reads that it changed, and the new one."""
    identifier, key = ada
    visitor = Visitor(staffed)
    visitor.post("/staff/notice", visitor.sign_in(key, SIGN_IN).fields)
    publish(staffed)
    page = visitor.get("/staff/notice")
    assert "The text has changed since you acknowledged it" in page.text()
    assert standing(staffed, identifier) == "outdated"
    visitor.post("/staff/notice", page.fields)
    assert standing(staffed, identifier) == "acknowledged"


def test_a_text_that_changed_meanwhile_is_not_acknowledged(staffed, ada):
    """The form of an older text records nothing: the page shows the text of today and says so."""
    identifier, key = ada
    visitor = Visitor(staffed)
    page = visitor.sign_in(key, SIGN_IN)
    publish(staffed)
    answer = visitor.post("/staff/notice", page.fields)
    assert answer.status == 409
    assert "nothing was recorded" in answer.text()
    assert standing(staffed, identifier) == "missing"


def test_french_is_shown_where_there_is_no_english(database):
    """The French text stands for itself, marked as French, and is acknowledged as what it is."""
    with running(database) as api:
        identifier, ada = person(api)
        publish(api, fr=TEXT["fr"])
        visitor = Visitor(api, "en")
        page = visitor.sign_in(str(ada.key), SIGN_IN)
        assert "This text is in French only." in page.text()
        assert re.search(r'<article[^>]* lang="fr"', page.html)
        visitor.post("/staff/notice", page.fields)
        (made,) = covered(api, identifier)["acknowledgements"]
        assert made["language"] == "fr"


def test_text_of_the_operator_is_text(database):
    """An operator's text is shown as text and never run."""
    with running(database) as api:
        _, ada = person(api)
        publish(api, fr={"title": "<b>T</b>", "body": f"{ENOUGH['fr']}\n\n# <script>x</script>\n\n- <img src=x>"})
        page = Visitor(api, "fr").sign_in(str(ada.key), SIGN_IN)
    assert not re.search(r"<script|<img|<b>", page.html)
    assert "<script>x</script>" in page.text()


def test_a_program_is_not_let_in(staffed):
    """A machine's key opens nothing here, and the form says why."""
    page = Visitor(staffed).sign_in(staffed.new_key("audit:read"), SIGN_IN)
    assert page.status == 403
    assert "This key is a program's." in page.text()


def test_forms_of_other_sites_and_sessions_are_refused(staffed, ada):
    """A form without this session's value, or from another site, acknowledges nothing."""
    identifier, key = ada
    visitor = Visitor(staffed)
    fields = visitor.sign_in(key, SIGN_IN).fields
    assert visitor.post("/staff/notice", fields, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert visitor.post("/staff/notice", {**fields, "proof": "0" * 64}).status == 400
    assert visitor.post("/staff/notice", {**fields, "notice": "one"}).status == 400
    assert visitor.post("/staff/notice", {**fields, "more": "1"}).status == 400
    staffed.client.cookies.clear()
    assert "sign in" in visitor.post("/staff/notice", fields).text()
    assert standing(staffed, identifier) == "missing"


def test_one_session_serves_both_pages(staffed, ada):
    """Who signed in to the console confirms the notice without signing in again."""
    visitor = Visitor(staffed)
    assert "<h1>Console" in visitor.sign_in(ada[1]).html
    done = visitor.post("/staff/notice", visitor.get("/staff/notice").fields)
    assert (done.status, '/console?lang=en">Go to the console<' in done.html) == (200, True)
    assert standing(staffed, ada[0]) == "acknowledged"


def test_a_session_of_the_notice_opens_no_console(staffed):
    """Who may do nothing in the console is signed in for the notice, and for nothing else."""
    _, bob = person(staffed, "decisions:evaluate")
    visitor = Visitor(staffed)
    visitor.post("/staff/notice", visitor.sign_in(str(bob.key), SIGN_IN).fields)
    assert "Console: sign in" in visitor.get("/console").text()
    assert "data-section" not in visitor.get("/console").html
    assert "Go to the console" not in visitor.get("/staff/notice").text()


def registered(api, provider):
    """Register a person by the tokens of a provider, with two scopes; her id."""
    body = {"name": "Ada", "kind": "person", "scopes": ["audit:read", "register:read"]}
    identity = {"issuer": provider.url, "subject": "ada"}
    return api.ok("POST", "/v1/keys", {**body, "identity": identity})["id"]


def test_a_person_known_by_tokens_acknowledges_too(database):
    """An access token opens the page as a key does; what was acknowledged counts for every token of that identity."""
    with issuing() as provider, running(database, **provider.settings) as api:
        publish(api)
        identifier = registered(api, provider)
        visitor = Visitor(api)
        visitor.post("/staff/notice", visitor.sign_in(provider.token("ada"), SIGN_IN).fields)
        assert standing(api, identifier) == "acknowledged"


def test_a_narrowed_token_opens_no_console_by_way_of_the_notice(database):
    """A session for the notice, opened by a narrowed token, does not open the console."""
    with issuing() as provider, running(database, **provider.settings) as api:
        registered(api, provider)
        visitor = Visitor(api)
        narrowed = provider.token("ada", scope="register:read")
        visitor.post("/staff/notice", visitor.sign_in(narrowed, SIGN_IN).fields)
        assert "Console: sign in" in visitor.get("/console").text()
        assert "<h1>Console" in Visitor(api).sign_in(provider.token("ada")).html


def test_an_issuer_that_is_away_is_told_as_an_outage(database):
    """A token whose issuer cannot be asked is neither right nor wrong: 503, and the form may be tried again."""
    with issuing() as provider:
        provider.mode = "error"
        with running(database, **provider.settings) as api:
            registered(api, provider)
            assert Visitor(api).sign_in(provider.token("ada"), SIGN_IN).status == 503


def test_signing_out(staffed, ada):
    """The session ends for both pages."""
    visitor = Visitor(staffed)
    page = visitor.sign_in(ada[1], SIGN_IN)
    answer = visitor.post("/staff/sign-out", {"proof": page.fields["proof"]})
    assert "Staff notice: sign in" in answer.text()
    assert "your personal API key, or an access token" in visitor.get("/staff/notice").text()


def test_the_public_path_stands_before_its_addresses(database):
    """Behind a proxy under a path, forms and redirects keep to it."""
    with running(database, public_url="https://example.fr/sceau") as api:
        answer = api.client.get(f"{SITE}/staff/notice?lang=en", follow_redirects=False)
        assert answer.headers["location"] == "/sceau/staff/sign-in?lang=en"
        assert 'action="/sceau/staff/sign-in?lang=en"' in api.client.get(f"{SITE}/staff/sign-in?lang=en").text


def test_the_text_that_ships_is_what_a_person_sees_first(api):
    """Before an operator wrote anything there is a notice to read."""
    _, ada = person(api)
    assert first_notice()["en"].title in Visitor(api).sign_in(str(ada.key), SIGN_IN).text()
