from dataclasses import replace

import pytest

from app.core.article import Purpose
from app.core.processing import PartyMode, can_be_an_id
from app.core.register.approval import RegisterApproval, needs_approval, warnings_of
from app.core.register.controllers import ControllerKind, id_of_name, is_identifier, is_lei, is_siren
from app.core.register.version_diff import version_changes
from app.core.retention import Retention
from tests.core.builders import version


@pytest.mark.parametrize("siren", ["732829320", "552081317", "542051180"])
def test_a_siren_is_nine_digits_with_their_check_digit(siren):
    """A SIREN that INSEE gave is one; with any other last digit it is none."""
    assert is_siren(siren)
    assert not any(is_siren(siren[:8] + str(digit)) for digit in range(10) if str(digit) != siren[8])


@pytest.mark.parametrize("text", ["", "73282932", "7328293200", "732 829 320", "000000000", "73282932a", "٧٣٢٨٢٩٣٢٠"])
def test_what_is_no_siren(text):
    """Fewer or more digits, spaces, letters, other digits and nothing but zeros are no SIREN."""
    assert not is_siren(text)


@pytest.mark.parametrize("lei", ["506700GE1G29325QX363", "7LTWFZYICNSX8D621K86"])
def test_a_lei_has_the_check_digits_of_iso_17442(lei):
    """A LEI of the global register is one; with two characters exchanged, or another digit, it is none."""
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
    """Any legal name has an id that may stand in the register, the same each time, and no other name's."""
    made = id_of_name(name)
    assert can_be_an_id(made)
    assert made == id_of_name(name) != id_of_name(name + ".")


def test_an_id_can_be_read():
    """Accents and signs go, the hash stays."""
    assert id_of_name("Société d’Été, SA").startswith("societe-dete-sa-")
    assert id_of_name("株式会社").startswith("controller-")


STRONG = version(1, party_mode=PartyMode.ALL_LOCAL_USERS)
MINOR = replace(STRONG, number=2, material=False)
WEAKER = replace(STRONG, number=2, material=True, party_mode=PartyMode.USER_ONLY)


@pytest.mark.parametrize(
    ("before", "after", "texts", "one", "two"),
    [
        (None, STRONG, False, False, True),
        (STRONG, MINOR, False, False, False),
        (STRONG, MINOR, True, True, True),
        (STRONG, replace(MINOR, material=True), True, False, False),
        (STRONG, WEAKER, False, False, True),
        (STRONG, replace(MINOR, party_mode=PartyMode.ALL_PARTIES), False, False, False),
    ],
    ids=["new", "minor", "other texts", "material with other texts", "weaker", "stronger"],
)
def test_what_waits_for_a_second_person(before, after, texts, one, two):
    """Other texts said to be minor always wait; a new processing and a weaker mode where two persons are asked for."""
    for asked, waits in ((RegisterApproval.ONE, one), (RegisterApproval.TWO, two)):
        assert needs_approval(asked, before, after, texts_changed=texts) is waits


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
    """A purpose of III is warned of when others receive its data or they are kept over 30 days; no other purpose is."""
    assert warnings_of(Purpose.SORTING, version(1, **more)) == warnings
    assert warnings_of(Purpose.ADVERTISING, version(1, **more)) == ()
    assert warnings_of(Purpose.OTHER, version(1, **more)) == ()


def test_other_controllers_are_a_material_change():
    """What changed is told with each fact before and after; another set of controllers is material by itself."""
    before = version(1, controllers=frozenset({"a"}))
    after = version(2, "2026-06-01", controllers=frozenset({"a", "b"}), retention=Retention.parse("P7D"))
    told = {"name": {"fr": "Nom"}}
    found = version_changes(before, after, told_before=told, told_after={**told, "logo": "https://x.example/"})
    assert [(each.field, each.before, each.after, each.material) for each in found] == [
        ("controllers", ["a"], ["a", "b"], True),
        ("retention", None if before.retention is None else str(before.retention), "P7D", False),
        ("logo", None, "https://x.example/", False),
    ]
    assert version_changes(before, before, told_before=told, told_after=told) == ()
