from typing import Any

import pytest

from app.core.article import Element, ProviderKind, Purpose
from app.core.errors import InvalidVersionError
from app.core.period import ConsentPeriod, Retention
from app.core.processing import PartyMode, Recipient, Status, StatusChange, Transfer, can_be_an_id, check_successor
from tests.core.builders import processing, utc, version

CONTENT = frozenset({Element.CONTENT})
MORE = frozenset({Element.CONTENT, Element.ATTACHMENTS})
AFTER = "2026-06-01T00:00:00"


def accepted(before, after):
    """Whether a version may follow another; refused ones raise."""
    check_successor(before, after)
    return True


def numbers(versions):
    """The numbers of versions."""
    return [each.number for each in versions]


def test_the_version_in_force_is_the_last_that_has_begun():
    """The version in force at an instant is the last one that has begun by then."""
    entry = processing(version(1, "2026-01-01"), version(2, "2026-02-01"), version(3, "2026-03-01"))
    moments = ["2025-12-31T23:59:59", "2026-01-01", "2026-01-31T23:59:59", "2026-02-01", "2026-03-01"]
    found = [entry.version_at(utc(moment)) for moment in moments]
    assert [each.number if each else None for each in found] == [None, 1, 1, 2, 3]


def test_a_version_is_found_by_its_number():
    """A number that the register does not hold finds nothing."""
    entry = processing(version(1), version(3))
    assert [entry.version(number) is not None for number in (0, 1, 2, 3)] == [False, True, False, True]


def test_a_processing_is_active_until_told_otherwise():
    """A status holds from its instant until the next change."""
    entry = processing(
        changes=[StatusChange(utc("2026-02-01"), Status.SUSPENDED), StatusChange(utc("2026-03-01"), Status.ACTIVE)]
    )
    moments = ["2026-01-31T23:59:59", "2026-02-01", "2026-02-28T23:59:59", "2026-03-01"]
    assert [entry.status_at(utc(each)) for each in moments] == ["active", "suspended", "suspended", "active"]


def test_a_version_is_material_when_it_says_so_or_adds_an_element_to_the_one_before():
    """Adding an element is material, even one that an earlier version had; dropping one is not."""
    entry = processing(
        version(1, material=False, elements=MORE),
        version(2, AFTER, material=False, elements=CONTENT),
        version(3, AFTER, material=False, elements=MORE),
        version(4, AFTER, material=True, elements=MORE),
    )
    assert numbers(entry.material_versions()) == [3, 4]
    assert numbers(entry.material_versions(after=3)) == [4]


def test_a_version_is_superseded_once_a_material_one_above_it_is_in_force():
    """A material version supersedes those below it, from its own instant, and not itself."""
    entry = processing(version(1), version(2, "2026-02-01"))
    assert not entry.superseded(1, utc("2026-01-31T23:59:59.999999"))
    assert entry.superseded(1, utc("2026-02-01"))
    assert not entry.superseded(2, utc("2026-02-01"))


@pytest.mark.parametrize("purpose", Purpose)
def test_a_purpose_is_exempt_rests_on_consent_or_neither(purpose):
    """III exempts five purposes, IV asks consent for three, `other` has neither."""
    entry = processing(purpose=purpose)
    exempt = {"display", "sorting", "routing", "unsolicited_content_detection", "malware_detection"}
    assert entry.is_exempt == (purpose in exempt)
    assert entry.rests_on_consent == (purpose in {"advertising", "statistics", "service_improvement"})


def test_a_processing_asks_others_where_one_of_its_versions_does():
    """A processing asks other parties if any of its versions does, unless its purpose is exempt."""
    both = (version(1, party_mode=PartyMode.USER_ONLY), version(2, AFTER, party_mode=PartyMode.ALL_PARTIES))
    assert processing(*both).asks_others
    assert not processing(both[0]).asks_others
    assert not processing(*both, purpose=Purpose.DISPLAY).asks_others


SAME: dict[str, Any] = {
    "elements": CONTENT,
    "recipients": frozenset({Recipient("Regie")}),
    "retention": Retention.parse("P30D"),
    "derived_data_erased_within": Retention.parse("P30D"),
    "consent_validity": ConsentPeriod.parse("P6M"),
    "party_mode": PartyMode.ALL_LOCAL_USERS,
    "controllers": frozenset({"a", "b"}),
    "transfers": frozenset({Transfer("US", "Clauses.")}),
}
BEFORE = version(1, **SAME)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("elements", MORE),
        ("elements", frozenset({Element.ATTACHMENTS})),
        ("recipients", frozenset({Recipient("Regie"), Recipient("Other")})),
        ("recipients", frozenset({Recipient("Regie", country="US")})),
        ("retention", Retention.parse("P31D")),
        ("derived_data_erased_within", Retention.parse("P31D")),
        ("consent_validity", ConsentPeriod.parse("P1Y")),
        ("controllers", frozenset({"x"})),
        ("transfers", frozenset({Transfer("SG", "Clauses.")})),
        ("transfers", frozenset({Transfer("US", "Other clauses.")})),
        ("storage_location", "Singapour"),
        ("automated_decisions", "Une note."),
        ("categories_of_persons", ("abonnés",)),
        ("conditional", True),
        ("party_mode", PartyMode.USER_ONLY),
        ("service", "chat"),
        ("provider_kind", ProviderKind.ONLINE_SERVICE),
    ],
)
def test_a_wider_version_that_calls_itself_minor_is_refused(field, change):
    """Each change that is always material is refused as a minor one, and the field is named."""
    after = {**SAME, field: change}
    with pytest.raises(InvalidVersionError, match="material") as caught:
        check_successor(BEFORE, version(2, AFTER, material=False, **after))
    assert caught.value.field == field
    assert accepted(BEFORE, version(2, AFTER, material=True, **after))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"recipients": frozenset()},
        {"transfers": frozenset()},
        {"controllers": frozenset({"a"})},
        {"automated": False},
        {"retention": Retention.parse("P29D")},
        {"derived_data_erased_within": Retention.parse("P29D")},
        {"consent_validity": ConsentPeriod.parse("P90D")},
        {"party_mode": PartyMode.ALL_PARTIES},
    ],
)
def test_a_version_that_is_no_wider_may_be_minor(change):
    """A version with less of a fact, a shorter time or a stricter party mode than the one before may be minor."""
    assert accepted(BEFORE, version(2, AFTER, material=False, **{**SAME, **change}))


def test_a_validity_in_days_is_compared_by_its_days():
    """A consent that is to last ninety days in the place of thirty is material, and the other way round is not."""
    short, long = (ConsentPeriod.parse(period) for period in ("P30D", "P90D"))
    assert accepted(version(1, consent_validity=long), version(2, AFTER, material=False, consent_validity=short))
    with pytest.raises(InvalidVersionError) as caught:
        check_successor(version(1, consent_validity=short), version(2, AFTER, material=False, consent_validity=long))
    assert caught.value.field == "consent_validity"


def test_a_retention_that_is_no_longer_stated_is_lengthened():
    """Leaving out a retention that the version before stated is a material change; stating one anew is not."""
    days = Retention.parse("P30D")
    assert accepted(version(1), version(2, AFTER, material=False))
    assert accepted(version(1), version(2, AFTER, material=False, retention=days))
    with pytest.raises(InvalidVersionError) as caught:
        check_successor(version(1, retention=days), version(2, AFTER, material=False))
    assert caught.value.field == "retention"


def test_a_version_cannot_begin_before_the_one_it_follows():
    """A later number begins at the same instant or later."""
    before = version(1, "2026-02-01")
    assert accepted(before, version(2, "2026-02-01"))
    assert accepted(version(1), version(2, "2026-02-01"))
    for begins in ("2026-01-31T23:59:59", None):
        with pytest.raises(InvalidVersionError) as caught:
            check_successor(before, version(2, begins))
        assert caught.value.field == "effective_from"


def test_party_modes_are_ordered_from_the_statutes_words_to_the_widest():
    """`user_only` is weaker than `all_local_users`, which is weaker than `all_parties`."""
    assert list(PartyMode) == ["user_only", "all_local_users", "all_parties"]
    strong, weak = version(1, party_mode=PartyMode.ALL_PARTIES), PartyMode.ALL_LOCAL_USERS
    with pytest.raises(InvalidVersionError):
        check_successor(strong, version(2, AFTER, material=False, party_mode=weak))


@pytest.mark.parametrize("text", ["a", "0", "ads-mail", "a.b_c-d", "a" * 100])
def test_what_can_be_an_id(text):
    """An id has up to a hundred small letters, digits and `.`, `_` or `-`, and begins with a letter or digit."""
    assert can_be_an_id(text)


@pytest.mark.parametrize("text", ["", "A", ".a", "-a", "_a", "a" * 101, "alice@example.fr", "a b", "a\n", "é"])
def test_what_cannot_be_an_id(text):
    """An id cannot be an address, nor hold capitals, blanks or accents, begin with a sign or exceed 100 characters."""
    assert not can_be_an_id(text)


def test_the_first_material_change_is_named():
    """If a version calls several material changes minor, the first of them in the fixed order is the field at fault."""
    with pytest.raises(InvalidVersionError) as caught:
        check_successor(BEFORE, version(2, AFTER, material=False, **{**SAME, "elements": MORE, "service": "chat"}))
    assert caught.value.field == "service"
