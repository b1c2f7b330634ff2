"""Forms of the console: from body to form and back, with a field for each member and words for each field."""

import pytest

from app.api.consents.routes import NewWithdrawal
from app.api.register.models import NewProcessing, NewVersion
from app.auth.callers import CallerKind, Scope
from app.core.article import Element, ProviderKind
from app.core.consent import AgeBand, CheckedHow, StatedBy
from app.core.consent_link import Authentication
from app.core.names import NameBasis
from app.core.processing import PartyMode
from app.core.register import ControllerKind
from app.core.wording import ELEMENT_WORDS
from app.pages.consents.overview import AGES, CHECKED
from app.pages.console import ACTS
from app.pages.console.callers import KINDS, SCOPES
from app.pages.console.controllers import KINDS as KNOWN_BY
from app.pages.console.fields import (
    HELP,
    LABELS,
    UNFIT,
    FormField,
    Kind,
    UnfitError,
    body_of,
    fitted,
    needed,
    sent_of,
    shown_fields,
)
from app.pages.console.frame import PROBLEMS
from app.pages.console.people import AUTHENTICATIONS, BASES, METHODS, STATED_BY
from app.pages.console.proposing import PARTY_MODES, PROVIDER_KINDS
from app.words import Language
from handbook.interface import domain_errors
from tests.support.api import running
from tests.support.databases import new_database
from tests.support.desk import Officer, forms_of

FIELDS = (
    FormField("name.fr"),
    FormField("name.en"),
    FormField("elements", Kind.BOXES, {"content": "Content", "subject_line": "Subject"}),
    FormField("automated", Kind.BOOLEAN),
    FormField("conditional", Kind.BOOLEAN),
    FormField("material", Kind.CHECK),
    FormField("version", Kind.NUMBER),
    FormField("persons", Kind.LINES),
    FormField("recipients", Kind.ROWS, members=("name", "role", "country")),
)
BODY = {
    "name": {"fr": "Nom"},
    "elements": ["content"],
    "automated": False,
    "material": True,
    "version": 12,
    "persons": ["abonnés", "correspondants"],
    "recipients": [{"name": "Régie", "country": "FR"}, {"name": "Autre"}],
}
ELSEWHERE = {"data_recipients", "dry_run"}
"""Members that a form says otherwise: recipients, with role and country, say it; a button shows the text beforehand."""
NOT_HERE = {
    *("consent-link-ended", "cursor-too-old", "form-already-sent", "form-outdated"),
    *("idempotency-key-reused", "import-not-approved", "import-of-another", "import-row-changed", "import-until"),
    *("invalid-cursor", "invalid-notice", "invalid-period", "invalid-url", "joint-consent-not-applicable"),
    *("nothing-to-renew", "quality-not-stated", "subject-erased", "text-changed", "too-many-endpoints"),
    *("too-many-consents", "too-many-forms", "invalid-evidence", "unknown-event-kind"),
}
"""Refusals of what the console has no form for."""


def test_there_and_back():
    """A body that is turned into a form's fields and back is unchanged."""
    assert body_of(FIELDS, sent_of(FIELDS, BODY)) == BODY


def test_what_is_left_empty_is_left_out():
    """An empty form makes a body without members, but for boxes that are ticked or not."""
    assert body_of(FIELDS, {}) == {"material": False}
    assert body_of(FIELDS, {"name.fr": "  ", "persons": "\r\n \r\n", "version": ""}) == {"material": False}


@pytest.mark.parametrize("text", ["٣", "1e3", "-1", "9" * 30, "x"])
def test_a_number_is_digits(text):
    """A text that is not a plain number reaches the API's model unchanged, which refuses it."""
    assert body_of(FIELDS, {"version": text})["version"] == text


def test_an_error_stands_at_its_field():
    """A wrong member is told at the field that it came from, in the language of the page; a missing one too."""
    fields = (needed("subject.id"), needed("subject.type"), FormField("method"))
    with pytest.raises(UnfitError) as refused:
        fitted(NewWithdrawal, fields, {"subject": {"id": ""}, "method": "shouted"}, Language.FR)
    words = UNFIT.in_language(Language.FR)
    assert refused.value.errors == {
        "subject.id": words["string_too_short"],
        "subject.type": words["missing"],
        "method": words["literal_error"],
    }


def test_a_row_at_fault_is_told_at_its_field():
    """A country that is none, in the second line of recipients, is told at the recipients."""
    with pytest.raises(UnfitError) as refused:
        fitted(NewProcessing, FIELDS, {"recipients": [{"name": "A"}, {"name": "B", "country": "fr"}]}, Language.EN)
    assert refused.value.errors["recipients"] == UNFIT["string_pattern_mismatch"]["en"]


def _missing(model, names):
    """The members of a body that a form has no field for."""
    groups = {name.split(".")[0] for name in names}
    return set(model.model_fields) - groups - ELSEWHERE


@pytest.fixture(scope="module")
def proposed():
    """What the forms of a new processing and of a new version would send."""
    with new_database() as database, running(database) as api:
        api.register("ads")
        officer = Officer(api, api.new_key("register:read", "register:write"))
        pages = (officer.open("/console/propose"), officer.open("/console/register/ads/new"))
        yield {act: page.html for page in pages for act, _ in forms_of(page)}


@pytest.mark.parametrize(("act", "model"), [("propose", NewProcessing), ("propose_version", NewVersion)])
def test_every_fact_can_be_proposed_by_form(proposed, act, model):
    """Each member that the API takes of a version has a field in the form."""
    names = {part.split('"')[0] for part in proposed[act].split(' name="')[1:]}
    assert _missing(model, names) == set()


def test_a_fact_without_a_field_is_seen():
    """Control: a member that no field stands for is named."""
    assert _missing(NewVersion, {"controller", "name.fr"}) >= {"retention", "material"}


def test_every_word_that_is_looked_up_is_there():
    """Each scope, kind and way has its words; each help is of a label; each act its title."""
    assert set(SCOPES) == {each.value for each in Scope}
    offered = [(KINDS, CallerKind), (AGES, AgeBand), (STATED_BY, StatedBy), (CHECKED, CheckedHow), (BASES, NameBasis)]
    offered += [(PROVIDER_KINDS, ProviderKind), (ELEMENT_WORDS, Element), (PARTY_MODES, PartyMode)]
    for words, values in [*offered, (KNOWN_BY, ControllerKind)]:
        assert list(words) == [each.value for each in values]
    assert set(AUTHENTICATIONS) == {each.value for each in Authentication}
    assert set(METHODS) <= {"web_form", "in_app", "api", "paper", "phone"}
    assert set(HELP) <= set(LABELS)
    for act in ACTS.values():
        if not callable(act.fields):
            assert {each.word or each.name for each in act.fields} <= set(LABELS)


def test_every_refusal_is_worded():
    """What the API refuses has its words in both languages, but for what the console has no form for."""
    slugs = {error.slug for error in domain_errors() if "slug" in vars(error)}  # the others are kinds of errors
    assert slugs - {name.partition(":")[0] for name in PROBLEMS} == NOT_HERE


def test_what_was_typed_is_shown_as_it_was():
    """A field that was refused keeps its value and says what is wrong; one that was not says nothing."""
    fields = (needed("retention"), FormField("service"))
    wrong, right = shown_fields("x", fields, {"retention": "<b>"}, {"retention": "Non."}, Language.FR)
    assert (wrong["value"], wrong["error"], wrong["required"]) == ("<b>", "Non.", True)
    assert (right["value"], right["error"], right["required"]) == ("", "", False)


FEW = [
    ("staff:write",),
    ("subjects:read",),
    ("keys:manage",),
    ("register:approve",),
    ("consents:write",),
    ("audit:read",),
]


OF_A_PAGE = {(act.back, callable(act.fields) and act.fields): name for name, act in ACTS.items()}.values()
"""An act for each page that a refusal shows again and each way in which its fields are found."""


@pytest.fixture(scope="module")
def marked():
    """A register whose one processing and controller bear a mark, and officers with a scope each."""
    with new_database() as database, running(database) as api:
        api.register("ads", name={"fr": "zq-marked", "en": "zq-marked"}, controller="zq-controller")
        officers = [Officer(api, api.new_key(*scopes)) for scopes in FEW]
        seen = [[each.open(f"/console{page}") for page in ("", "/register", "/controllers")] for each in officers]
        refused = [any(page.status == 403 for page in pages) for pages in seen]
        assert any(refused)
        yield list(zip(officers, [home.proof for home, *_ in seen], refused, strict=True))


@pytest.mark.parametrize("act", ACTS)
def test_a_refused_act_shows_no_page_that_its_sender_may_not_open(marked, act):
    """A refused form shows nothing of a page that its sender may not open, and is never a 500."""
    for officer, proof, is_refused in marked:
        officer._take_seat()
        for about in ("", "ads", "ads 1") if act in OF_A_PAGE else ("ads",):
            seen = officer.post(f"/console/acts/{act}", {"proof": proof, "about": about})
            assert seen.status < 500, (act, about)
            assert not is_refused or "zq-" not in seen.html, (act, about)


def test_a_form_that_is_opened_is_counted(database):
    """The form of a new processing counts against its caller's quota, as each page of the menu does."""
    with running(database, rate_limits="administration=5/600") as api:
        officer = Officer(api, api.new_key("register:read", "register:write"))
        assert [officer.get("/console/propose").status for _ in range(8)][-1] == 429


def test_what_is_refused_is_counted(database):
    """A refused form counts against its caller's quota, for any refusal."""
    with running(database, rate_limits="administration=5/600") as api:
        officer = Officer(api, api.new_key("staff:write"))
        proof = officer.open("/console").proof
        statuses = [officer.post("/console/acts/suspend", {"proof": proof, "about": "ads"}).status for _ in range(8)]
    assert set(statuses[-2:]) == {429}
