import re

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from app.pages import words
from app.pages.rendering import HERE, error_page, render
from app.pages.words import SHARED, accepted
from app.words import Language
from tests.support.api import refusal_of, running
from tests.support.consent_page import link


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "fr"),
        ("en", "en"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("de, en;q=0.5, fr-CA;q=0.7", "fr"),
        ("de", "fr"),
        ("EN-us", "en"),
        ("en;q=0", "fr"),
        ("en;q=2", "fr"),
        ("en;q=x, fr;q=0.1", "fr"),
        ("en;" * 400, "fr"),
    ],
)
def test_accept_language(header, expected):
    """The better liked of French and English, French when the header prefers neither or is not one."""
    assert accepted(header) == Language(expected)


def test_style_sheet_fetches_nothing(shared):
    """The style sheet is served from here and names no other file or host."""
    answer = shared.with_key(None).call("GET", "/assets/sceau.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert not re.search(r"url\(|@import|https?:", answer.text)


def test_every_control_is_reached_by_keyboard():
    """No template takes a control out of the order of Tab, or puts one before its place; what has the focus is seen."""
    for template in (HERE / "templates").rglob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<(a|button|input|select|textarea|summary)\b[^>]*\btabindex", text), template.name
        assert set(re.findall(r'tabindex="([^"]*)"', text)) <= {"-1", "0"}, template.name
    styles = "".join(path.read_text(encoding="utf-8") for path in (HERE / "assets").glob("*.css"))
    assert ":focus-visible { outline: 3px solid" in styles
    assert re.findall(r"(.*) \{[^}]*outline: (?:none|0)", styles) == ["main:focus, main:focus-visible", ".card:focus"]


OWN_LOGO = '<img class="logo" src="{{ root }}/assets/logo.png" alt="" height="32">'
PICTURE = b"\x89PNG\r\n\x1a\n" + b"picture"


def test_the_logo_is_served_from_here(database, tmp_path):
    """With SCEAU_LOGO the consent page shows the operator's picture, from its own address; without, it shows none."""
    (tmp_path / "logo.png").write_bytes(PICTURE)
    with running(database, logo=str(tmp_path / "logo.png")) as api:
        api.register("ads")
        shown = api.with_key(None).call("GET", link(api, "alice", "ads"))
        assert 'src="/assets/logo.png"' in shown.text
        served = api.with_key(None).call("GET", "/assets/logo.png")
        assert (served.status_code, served.headers["content-type"], served.content) == (200, "image/png", PICTURE)
    with running(database) as api:
        assert "<img" not in api.with_key(None).call("GET", link(api, "alice", "ads")).text
        assert api.with_key(None).call("GET", "/assets/logo.png").status_code == 404


@pytest.mark.parametrize("written", [b"<svg/>", PICTURE + b"0" * 102_400, None])
def test_a_logo_that_is_none_is_refused(monkeypatch, tmp_path, written):
    """Only a PNG of 100 KiB at most is taken, and a file that is not there is not passed over."""
    if written is not None:
        (tmp_path / "logo.png").write_bytes(written)
    assert "SCEAU_LOGO" in refusal_of(monkeypatch, logo=str(tmp_path / "logo.png"))


SHUT_IN = (
    '<iframe class="shown" sandbox title="{{ t.text_number }} {{ number }}" style="block-size: {{ height }}rem" '
    'srcdoc="{{ page }}"></iframe>'
)


def test_no_template_runs_or_loads_anything():
    """No template has a script, a style or an event handler of its own, or an address of another site to load."""
    for template in (HERE / "templates").rglob("*.html"):
        # A page of before stands in the page of a bundle, shut in: in its frame nothing runs, and nothing is loaded.
        text = template.read_text(encoding="utf-8").replace(SHUT_IN, "")
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|<iframe|\|\s*safe", text), template.name
        assert set(re.findall(r"<img[^>]*>", text)) <= {OWN_LOGO}, template.name
        assert not re.search(r"(src|action)=\"https?:|<link[^>]+https?:", text), template.name


def test_every_error_has_its_words():
    """Each error page says a title and an explanation in both languages."""
    for catalogue in (*words.ERRORS.values(), *words.FAILED_AFTER_SENDING.values()):
        for language in Language:
            assert set(catalogue.in_language(language)) == {"title", "detail"}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_what_failed_after_a_form_was_sent_is_not_said_to_be_unrecorded(shared, status):
    """No error page says that nothing was recorded; after a form was sent, it says that this is not known."""
    for method, shown in (("POST", "we do not know whether what you sent was recorded"), ("GET", "cannot be shown")):
        scope = {"type": "http", "method": method, "app": shared.client.app, "headers": [], "query_string": b"lang=en"}
        page = bytes(error_page(Request(scope), status).body).decode()
        assert shown in page
        assert "Nothing was recorded" not in page


def test_a_template_cannot_leave_a_word_out(shared):
    """Control: a page whose template names something unknown is an error, not a gap."""
    request = Request({"type": "http", "app": shared.client.app, "headers": [], "query_string": b""})
    with pytest.raises(UndefinedError):
        render(request, "error.html", Language.FR, SHARED, {"title": "no detail"})
