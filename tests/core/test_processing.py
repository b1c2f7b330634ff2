from typing import Any

import pytest

from app.core.article import Element, ProviderKind, Purpose
from app.core.errors import InvalidVersionError
from app.core.period import ConsentPeriod, Retention
from app.core.processing import PartyMode, Recipient, Transfer, can_be_an_id, check_successor
from tests.core.builders import processing, version

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


def test_a_version_is_found_by_its_number():
    """A number that the register does not hold finds nothing."""
    entry = processing(version(1), version(3))
    assert [entry.version(number) is not None for number in (0, 1, 2, 3)] == [False, True, False, True]


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


def test_a_version_cannot_begin_before_the_one_it_follows():
    """A later number begins at the same instant or later."""
    before = version(1, "2026-02-01")
    assert accepted(before, version(2, "2026-02-01"))
    assert accepted(version(1), version(2, "2026-02-01"))
    for begins in ("2026-01-31T23:59:59", None):
        with pytest.raises(InvalidVersionError) as caught:
            check_successor(before, version(2, begins))
        assert caught.value.field == "effective_from"


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
