from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.article import Purpose
from app.core.errors import InvalidVersionError
from app.core.period import Retention
from app.core.processing import PartyMode, Recipient, Transfer, can_be_an_id
from app.core.register import (
    ControllerKind,
    Gated,
    GateProposal,
    RegisterApproval,
    Ruling,
    check_lawful,
    id_of_name,
    is_identifier,
    is_lei,
    is_siren,
    needs_approval,
    unusual,
    version_changes,
    warnings_of,
)
from tests.core.builders import version


@pytest.mark.parametrize("siren", ["732829320", "552081317", "542051180"])
def test_a_siren_is_nine_digits_with_their_check_digit(siren):
    """A SIREN that INSEE gave is valid, and invalid with any other last digit."""
    assert is_siren(siren)
    assert not any(is_siren(siren[:8] + str(digit)) for digit in range(10) if str(digit) != siren[8])


@pytest.mark.parametrize("text", ["", "73282932", "7328293200", "732 829 320", "000000000", "73282932a", "٧٣٢٨٢٩٣٢٠"])
def test_what_is_no_siren(text):
    """Fewer or more digits, spaces, letters, other digits and nothing but zeros are no SIREN."""
    assert not is_siren(text)


@pytest.mark.parametrize("lei", ["506700GE1G29325QX363", "7LTWFZYICNSX8D621K86"])
def test_a_lei_has_the_check_digits_of_iso_17442(lei):
    """A LEI of the global register is valid, and invalid with characters exchanged, another digit or small letters."""
    assert is_lei(lei)
    assert not is_lei(lei[1] + lei[0] + lei[2:])
    assert not is_lei(lei[:-1] + str((int(lei[-1]) + 1) % 10))
    assert not is_lei(lei.lower())


def test_an_identifier_is_one_of_its_kind():
    """A SIREN or LEI is required and checked; a controller of another kind may have none, or any."""
    assert is_identifier(ControllerKind.SIREN, "732829320")
    assert is_identifier(ControllerKind.LEI, "7LTWFZYICNSX8D621K86")
    assert not is_identifier(ControllerKind.SIREN, "7LTWFZYICNSX8D621K86")
    assert not is_identifier(ControllerKind.LEI, None)
    assert is_identifier(ControllerKind.OTHER, None)
    assert is_identifier(ControllerKind.OTHER, "RNA W751234567")


@pytest.mark.parametrize("name", ["Exemple SAS", "Société Générale d’Été", "株式会社", "-", "x" * 300, " é "])
def test_a_name_has_an_id_of_its_own(name):
    """Each legal name has an id that the register accepts, that is always equal, and that differs from other names'."""
    made = id_of_name(name)
    assert can_be_an_id(made)
    assert made == id_of_name(name) != id_of_name(name + ".")


def test_an_id_can_be_read():
    """An id begins with the name without accents and signs, or with `controller` if no letter is left."""
    assert id_of_name("Société d’Été, SA").startswith("societe-dete-sa-")
    assert id_of_name("株式会社").startswith("controller-")


STRONG = version(
    1, party_mode=PartyMode.ALL_LOCAL_USERS, retention=Retention.parse("P30D"), age_statement_required=True
)
MINOR = replace(STRONG, number=2, material=False)
MATERIAL = replace(STRONG, number=2, material=True)


@pytest.mark.parametrize(
    ("before", "after", "words", "one", "two"),
    [
        (None, STRONG, False, False, True),
        (STRONG, MINOR, False, False, False),
        (STRONG, MATERIAL, False, False, False),
        (STRONG, MINOR, True, True, True),
        (STRONG, MATERIAL, True, False, True),
        (STRONG, replace(MATERIAL, party_mode=PartyMode.USER_ONLY), False, False, True),
        (STRONG, replace(MATERIAL, storage_location="Singapour"), False, False, True),
        (STRONG, replace(MINOR, party_mode=PartyMode.ALL_PARTIES), False, False, False),
        (STRONG, replace(MINOR, retention=Retention.parse("P1D")), False, False, False),
        (STRONG, replace(MINOR, age_statement_required=False), False, False, True),
        (replace(STRONG, age_statement_required=False), MINOR, False, False, False),
    ],
)
def test_what_waits_for_a_second_person(before, after, words, one, two):
    """Minor changes of words always wait for a second person; with two required, so does each version that widens."""
    for approval, waits in ((RegisterApproval.ONE, one), (RegisterApproval.TWO, two)):
        assert needs_approval(approval, before, after, words_changed=words, struck=False, ahead=False) is waits


@pytest.mark.parametrize("approval", RegisterApproval)
@pytest.mark.parametrize("why", ["struck", "ahead"])
def test_a_narrowing_version_waits_after_an_invalidation_or_if_it_is_for_later(approval, why):
    """A narrowing version waits after an invalidation, or for later, only if two persons must decide."""
    narrower = replace(MINOR, retention=Retention.parse("P1D"))
    waits = needs_approval(
        approval, STRONG, narrower, words_changed=False, struck=why == "struck", ahead=why == "ahead"
    )
    assert waits is (approval is RegisterApproval.TWO)


def test_a_service_may_not_depend_on_a_consent():
    """A version on which a service depends is refused under IV, and accepted under III."""
    with pytest.raises(InvalidVersionError, match="freely given") as caught:
        check_lawful(Purpose.STATISTICS, version(conditional=True))
    assert caught.value.field == "conditional"
    check_lawful(Purpose.STATISTICS, version(conditional=False))
    check_lawful(Purpose.SORTING, version(conditional=True))


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"transfers": frozenset({Transfer("US", " ")})}, "transfers"),
        ({"recipients": frozenset({Recipient("Adtech", country="US")})}, "recipients"),
        (
            {
                "recipients": frozenset({Recipient("Adtech", country="US")}),
                "transfers": frozenset({Transfer("SG", "Clauses.")}),
            },
            "recipients",
        ),
        (
            {
                "recipients": frozenset({Recipient("Adtech", country="US")}),
                "transfers": frozenset({Transfer("US", "Clauses.")}),
            },
            None,
        ),
        ({"recipients": frozenset({Recipient("Régie", country="RE"), Recipient("Hébergeur")})}, None),
    ],
)
def test_no_data_leave_the_union_without_safeguards(facts, field):
    """A transfer states its safeguards, and a recipient outside the Union has a transfer to its country."""
    if field is None:
        check_lawful(Purpose.SORTING, version(**facts))
        return
    with pytest.raises(InvalidVersionError) as caught:
        check_lawful(Purpose.SORTING, version(**facts))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("more", "warnings"),
    [
        ({"retention": Retention.parse("P30D")}, ()),
        ({"retention": Retention.parse("P31D")}, ("retention",)),
        ({"retention": Retention.parse("P1M")}, ("retention",)),
        ({"retention": None}, ("retention",)),
        ({"retention": Retention.parse("PT0S"), "data_recipients": frozenset({"Régie"})}, ("data_recipients",)),
    ],
)
def test_what_is_unusual_under_iii(more, warnings):
    """Only for a purpose of III is there a warning of recipients, or of data kept over 30 days or without limit."""
    assert unusual(Purpose.SORTING, version(1, **more)) == warnings
    assert unusual(Purpose.ADVERTISING, version(1, **more)) == ()
    assert unusual(Purpose.OTHER, version(1, **more)) == ()


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("Nous ciblons des annonces.", True),
        ("Publicité", True),
        ("We build a profile of you.", True),
        ("Ads", True),
        ("Nous rangeons votre courrier dans des dossiers.", False),
        ("We add labels to letters.", False),
    ],
)
def test_words_of_advertising_under_iii_are_warned_of(text, warned):
    """A name or a notice that speaks of advertising or profiles gets a warning under III, and none under IV."""
    described = version(1, retention=Retention.parse("P1D"), storage_location="Lyon")
    for texts in ({"name": {"fr": text}}, {"notice": {"fr": "Tri.", "en": text}}):
        unversioned = {**texts, "dpia_reference": "D", "security_measures": "S"}
        assert warnings_of(Purpose.SORTING, described, unversioned) == (("advertising_words",) if warned else ())
        assert warnings_of(Purpose.ADVERTISING, described, unversioned) == ()


def test_what_is_not_stated_is_warned_of():
    """A version that states no place, no impact assessment or no security measures gets a warning for each."""
    assert warnings_of(Purpose.STATISTICS, version(1), {}) == ("location", "dpia", "security")
    abroad = version(1, transfers=frozenset({Transfer("US", "Standard clauses")}))
    assert warnings_of(Purpose.STATISTICS, abroad, {"dpia_reference": "D"}) == ("security",)


def test_what_changed_is_told_with_each_fact_before_and_after():
    """Changes are listed with both values: told facts first, then other facts, then words; material ones are marked."""
    before = version(1, controllers=frozenset({"a"}))
    after = version(2, "2026-06-01", controllers=frozenset({"a", "b"}), retention=Retention.parse("P7D"))
    words = {"name": {"fr": "Nom"}}
    more = {**words, "logo": "https://x.example/"}
    changes = version_changes(before, replace(after, age_statement_required=True), words_before=words, words_after=more)
    assert [(each.field, each.before, each.after, each.material) for each in changes] == [
        ("controllers", ["a"], ["a", "b"], True),
        ("retention", None, "P7D", False),
        ("age_statement_required", False, True, False),
        ("logo", None, "https://x.example/", False),
    ]
    assert version_changes(before, before, words_before=words, words_after=words) == ()


@pytest.mark.parametrize(("approved", "state"), [(None, "proposed"), (True, "approved"), (False, "rejected")])
def test_a_proposal_waits_until_a_second_person_has_answered(approved, state):
    """A proposal without a ruling is proposed; a ruling makes it approved or rejected."""
    at, by = datetime(2026, 6, 1, tzinfo=UTC), UUID(int=1)
    ruling = None if approved is None else Ruling(approved, "Read.", at, UUID(int=2))
    assert GateProposal(UUID(int=3), Gated.RETENTION, "", {}, at, by, ruling).state == state
