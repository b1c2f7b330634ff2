"""What the consent page says and asks once a version, or the text that it showed, was invalidated."""

from datetime import timedelta

import pytest

from tests.support.api import refused
from tests.support.consent_page import Person, ask_link, consents, link
from tests.support.consents import hash_of
from tests.support.invalidations import invalidate
from tests.support.two_persons import add

LOST = {
    "fr": "ce que vous aviez accepté a été invalidé",
    "en": "what you accepted has been invalidated",
}
NOT_ASKED = {"fr": "Ce qui vous était demandé a été invalidé", "en": "What was asked of you has been invalidated"}


@pytest.fixture(scope="module")
def api(moving):
    """An application for all of these: each registers a processing of its own."""
    return moving


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_page_says_that_the_consent_counts_no_more_and_asks_nothing(api, shared_clock, lang):
    """Who accepted an invalidated version reads so; there is no button, and no link that would ask is made."""
    about, alice, bob = f"version-{lang}", f"alice-{lang}", f"bob-{lang}"
    api.register(about)
    holder = Person(api, link(api, alice, about), lang)
    other = Person(api, link(api, bob, about), lang)
    holder.press("accept", about)
    shared_clock.at += timedelta(minutes=1)
    form = other.open().filled("accept", about)
    invalidate(api, about)
    page = holder.open()
    assert (LOST[lang] in page.text(), NOT_ASKED[lang] in page.text()) == (True, True)
    assert page.buttons == {}
    assert NOT_ASKED[lang] in other.open().text()
    assert other.open().buttons == {}
    assert consents(api, alice)[-1]["state"] == "invalidated"
    other.send(form)
    assert consents(api, bob) == []
    for reference in (None, "ticket-1"):
        page_link = ask_link(api, alice, about, by_person=reference is not None, request_reference=reference)
        assert refused(page_link) == (409, "version-invalidated")


def test_a_new_version_is_asked_for(api, shared_clock):
    """Once there is a version that is valid, the old link and new ones ask for it, and a consent to it counts."""
    api.register("renewed")
    alice = Person(api, link(api, "alice", "renewed"))
    alice.press("accept", "renewed")
    invalidate(api, "renewed")
    shared_clock.at += timedelta(minutes=1)
    assert add(api, "renewed", elements=["content"]).status_code == 201
    assert sorted(alice.open().buttons["renewed"]) == ["accept", "refuse"]
    assert sorted(Person(api, link(api, "alice", "renewed")).open().buttons["renewed"]) == ["accept", "refuse"]
    shared_clock.at += timedelta(minutes=1)
    alice.press("accept", "renewed")
    assert api.reason("alice", "renewed") == "consent_in_force"


def test_the_text_of_the_page_is_not_shown_again(api, shared_clock):
    """After its text is invalidated by its fingerprint, a page asks no more, and consents given by it are denied."""
    api.register("shown")
    alice, bob = Person(api, link(api, "alice", "shown")), Person(api, link(api, "bob", "shown"), "en")
    text = alice.open().fingerprint("shown")
    alice.press("accept", "shown")
    bob.press("accept", "shown")
    carol = Person(api, link(api, "carol", "shown"))
    shared_clock.at += timedelta(minutes=1)
    assert invalidate(api, "shown", text=text).status_code == 201
    assert (api.reason("alice", "shown"), api.reason("bob", "shown")) == ("consent_invalid", "consent_in_force")
    page = carol.open()
    assert (page.buttons, NOT_ASKED["fr"] in page.text()) == ({}, True)
    assert bob.open().buttons == {"shown": ["withdraw"]}


def test_a_notice_that_was_invalidated_is_not_asked_by(api):
    """The registered notice is part of what the page shows: no link is made by it, in any language."""
    api.register("noticed", notice={"fr": "Un texte.", "en": "A text."})
    assert invalidate(api, "noticed", text=hash_of("Un texte.")).status_code == 201
    assert refused(ask_link(api, "alice", "noticed")) == (409, "version-invalidated")


def test_a_notice_is_not_invalidated_by_its_hash_while_a_link_may_show_it(api):
    """A notice that a link may show cannot be invalidated by its hash; once its version is, the page asks no more."""
    api.register("linked", notice={"fr": "Un texte.", "en": "A text."})
    person = Person(api, link(api, "alice", "linked"), "en")
    assert refused(invalidate(api, "linked", text=hash_of("Un texte."))) == (409, "notice-on-pages")
    assert invalidate(api, "linked").status_code == 201
    assert person.open().buttons == {}


def test_a_version_that_is_valid_goes_on_asking(api):
    """Control: the invalidation of another processing's version takes no button away."""
    api.register("valid")
    api.register("else")
    person = Person(api, link(api, "alice", "valid"))
    invalidate(api, "else")
    assert sorted(person.open().buttons["valid"]) == ["accept", "refuse"]
