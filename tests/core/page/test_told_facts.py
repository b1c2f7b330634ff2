"""The page, the comparison and the differences are made from one list of facts."""

from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest

from app.core import consent_text as texts
from app.core.article import Element, ProviderKind
from app.core.consent_text import consent_text
from app.core.period import ConsentPeriod, Retention
from app.core.processing import TOLD_FACTS, PartyMode, ProcessingVersion, Recipient, Transfer, material_changes, told
from app.core.register import version_changes
from app.core.wording import SENTENCES, Audience
from app.words import LANGUAGES
from tests.core.builders import utc, version
from tests.core.page.test_text import FACTS, asked

BEFORE = version(**FACTS)
OTHER: dict[str, Any] = {
    "controllers": frozenset({"another"}),
    "provider_kind": ProviderKind.ONLINE_SERVICE,
    "service": "chat",
    "elements": frozenset(Element),
    "categories_of_persons": ("abonnés",),
    "automated": False,
    "automated_decisions": "Une note est attribuée.",
    "party_mode": PartyMode.ALL_PARTIES,
    "consent_validity": ConsentPeriod.parse("P6M"),
    "recipients": frozenset({Recipient("Régie A", "processor", "FR")}),
    "transfers": frozenset({Transfer("US", "Clauses.")}),
    "storage_location": "Roubaix",
    "retention": Retention.parse("P31D"),
    "derived_data_erased_within": Retention.parse("P1D"),
    "conditional": True,
}
"""Each told fact as another version might have it."""
UNTOLD: dict[str, Any] = {
    "number": 7,
    "effective_from": utc("2026-01-01"),
    "started_on": date(2014, 5, 1),
    "material": False,
    "age_statement_required": True,
}
"""Facts that users are not told: they identify the version, or narrow what a grant is worth."""


def test_each_fact_of_a_version_is_told_or_known_not_to_be():
    """Each fact of a version is in the list of told facts, or in this file's list of untold ones."""
    names = {fact.name for fact in TOLD_FACTS}
    assert names == OTHER.keys()
    assert {each.name for each in fields(ProcessingVersion)} == names | UNTOLD.keys()


@pytest.mark.parametrize("name", [name for name in OTHER if name != "controllers"])
def test_the_page_shows_each_told_fact(name):
    """Another value of a told fact is another text in each language; controllers are shown by their records."""
    for language in LANGUAGES:
        assert consent_text(asked(**{name: OTHER[name]}), language).sha256 != consent_text(asked(), language).sha256


@pytest.mark.parametrize("name", UNTOLD)
def test_the_page_shows_nothing_else_of_a_version(name):
    """A fact that is not in the list is not given to the page."""
    assert told(replace(BEFORE, **{name: UNTOLD[name]})) == told(BEFORE)


def test_what_a_fact_lists_is_written_in_one_order():
    """Recipients and transfers, which are sets, are always written sorted."""
    written = {fact.name: fact.as_json for fact in TOLD_FACTS}
    names = [f"Régie {letter}" for letter in "HBGACFDE"]
    listed = written["recipients"](frozenset(Recipient(name, "processor", "FR") for name in names))
    assert [each["name"] for each in listed] == sorted(names)
    countries = ["US", "JP", "CA", "BR", "IN", "KR", "GB", "AR"]
    listed = written["transfers"](frozenset(Transfer(country, "Clauses.") for country in countries))
    assert [each["country"] for each in listed] == sorted(countries)


def test_a_fact_that_is_added_to_the_page_alone_fails(monkeypatch):
    """Control: a page that reads a fact which is not in the list fails."""
    shown = texts._what
    monkeypatch.setattr(texts, "_what", lambda facts, voice: [*shown(facts, voice), facts["started_on"]])
    with pytest.raises(KeyError, match="started_on"):
        consent_text(asked(), "fr")


@pytest.mark.parametrize("name", OTHER)
def test_a_change_of_a_told_fact_is_seen_there_and_back(name):
    """A change of a told fact is listed with both values, has its words, and is material in at least one direction."""
    after = replace(BEFORE, **{name: OTHER[name]})
    (change,) = version_changes(BEFORE, after, words_before={}, words_after={})
    assert change.field == name
    assert change.before != change.after
    assert set(SENTENCES[Audience.ALONE].changed[name]) == set(LANGUAGES)
    assert (name,) in {material_changes(BEFORE, after), material_changes(after, BEFORE)}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_nobody_is_told_is_never_material_by_itself(name):
    """A comparison finds no material change in a fact that users are not told."""
    assert material_changes(BEFORE, replace(BEFORE, **{name: UNTOLD[name]})) == ()
