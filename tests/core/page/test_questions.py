"""The answers of the second layer of the consent page, for all that the register can hold."""

import pytest

from app.core.consent_text import Who, consent_text
from app.core.period import Retention
from app.core.processing import Recipient, Transfer
from app.core.register import FieldChange
from app.core.wording import country_name, reached
from app.words import LANGUAGES
from tests.core.page.test_text import answers, asked

WHOLE = {
    "controllers": (
        Who("Exemple SAS", "1 rue de la Paix, 75002 Paris", "+33 1 23 45 67 89", "Mme Dupont, dpo@exemple.example"),
    ),
    "recipients": frozenset({Recipient("Régie B", "processor", "FR"), Recipient("Adtech Inc.", "third party", "US")}),
    "categories_of_persons": ("abonnés",),
    "transfers": frozenset({Transfer("US", "Clauses contractuelles types.")}),
    "storage_location": "Roubaix.\nGravelines.",
    "automated_decisions": "Aucune.",
    "consequences": {"fr": "Vous verrez d’autres publicités.", "en": "You will see other advertisements."},
    "conditional": False,
    "derived_data_erased_within": Retention.parse("P30D"),
    "privacy_policy": "https://www.exemple.example/privacy",
    "legal_notice": "https://www.exemple.example/legal",
    "accessibility_statement": "https://www.exemple.example/a11y",
}


NO_CONTACT = (
    "Aucun contact dédié à la protection des données n’a été déclaré ici : adressez-vous au responsable, à l’adresse "
    "ci-dessus."
)


def marks(text, topic):
    """The addresses that the operator's words in the answers to a question lead to."""
    marks = (mark for row in text.rows if row.topic == topic for answer in row.answers for mark in answer.marks)
    return {mark.text: mark.address for mark in marks}


def test_everything_that_the_register_holds_is_told():
    """The French page tells each fact of the register: from addresses and officers to transfers, erasure and links."""
    text = consent_text(asked(**WHOLE), "fr")
    assert answers(text, "who") == [
        "Exemple SAS, 1 rue de la Paix, 75002 Paris, responsable du traitement.",
        "Contact pour la protection de vos données : dpo@exemple.example",
        "Pour joindre Exemple SAS : +33 1 23 45 67 89",
        "Délégué à la protection des données : Mme Dupont, dpo@exemple.example",
    ]
    assert answers(text, "others") == ["Adtech Inc., third party, États-Unis.", "Régie B, processor, France."]
    assert answers(text, "transfers") == ["Vers ce pays : États-Unis. Garanties :", "Clauses contractuelles types."]
    assert answers(text, "where") == ["Roubaix.", "Gravelines."]
    assert answers(text, "decisions") == ["Aucune."]
    assert answers(text, "what")[4] == "Personnes concernées : abonnés."
    assert answers(text, "refuse")[1:4] == [
        "Conséquences d’un refus, selon le responsable :",
        "Vous verrez d’autres publicités.",
        "Le responsable déclare qu’aucun service ne dépend de cet accord.",
    ]
    erased = "Après un retrait, les données tirées de l’analyse sont effacées sous 30 jours."
    assert answers(text, "withdraw")[1] == erased
    assert answers(text, "more") == ["Politique de confidentialité", "Mentions légales", "Déclaration d’accessibilité"]


def test_addresses_are_links_and_names_are_set_apart():
    """E-mail, telephone and https addresses become links; the operator's names are marked and are no links."""
    text = consent_text(asked(**WHOLE), "en")
    assert marks(text, "who") == {
        "Exemple SAS, 1 rue de la Paix, 75002 Paris": None,
        "Exemple SAS": None,
        "dpo@exemple.example": "mailto:dpo@exemple.example",
        "+33 1 23 45 67 89": "tel:+33123456789",
    }
    assert marks(text, "more")["Legal notice"] == "https://www.exemple.example/legal"
    assert marks(text, "rights") == {
        "www.cnil.fr/fr/plaintes": "https://www.cnil.fr/fr/plaintes",
        "3 place de Fontenoy, TSA 80715, 75334 Paris Cedex 07": None,
    }
    assert marks(text, "others") == dict.fromkeys(("Régie B", "processor", "Adtech Inc.", "third party"))


def test_what_the_operator_wrote_in_one_language_says_which():
    """On the English page, texts that are registered only in French are marked as French and as the operator's."""
    text = consent_text(asked(**WHOLE), "en")
    for topic in ("where", "decisions"):
        (row,) = [row for row in text.rows if row.topic == topic]
        assert {(answer.language, answer.own) for answer in row.answers} == {("fr", True)}
    (safeguards,) = [row.answers[1] for row in text.rows if row.topic == "transfers"]
    assert safeguards.language == "fr"


@pytest.mark.parametrize(
    ("more", "topic", "expected"),
    [
        ({"conditional": True}, "refuse", "Le responsable déclare qu’un service dépend de cet accord."),
        (
            {"derived_data_erased_within": Retention.parse("PT0S")},
            "withdraw",
            "Après un retrait, les données tirées de l’analyse sont effacées aussitôt.",
        ),
        (
            {"data_protection_contact": None, "controllers": WHOLE["controllers"]},
            "who",
            NO_CONTACT,
        ),
        ({"data_protection_contact": "Mme Dupont"}, "who", "Contact pour la protection de vos données : Mme Dupont"),
        (
            {"controllers": (Who("A"), Who("B", officer="DPO de B"))},
            "who",
            "A et B, responsables conjoints de ce traitement.",
        ),
        ({"recipients": frozenset({Recipient("Régie", country="XX")})}, "others", "Régie, XX."),
    ],
)
def test_what_the_operator_asserts_is_told_as_theirs(more, topic, expected):
    """Each assertion of the operator in the register has its sentence on the page."""
    assert expected in answers(consent_text(asked(**more), "fr"), topic)


def test_a_page_is_offered_only_in_languages_that_are_whole():
    """The English page is not offered if a name, a notice or a consequence has no English text."""
    assert asked().languages == set(LANGUAGES)
    for more in ({"name": {"fr": "A"}}, {"notice": {"fr": "A"}}, {"consequences": {"fr": "A"}}):
        assert asked(**more).languages == {"fr"}
    assert asked(consequences={"fr": "A", "en": "A"}).languages == set(LANGUAGES)


def test_what_a_material_version_changed_is_told_first():
    """A page first tells each shown fact that has changed, before and after, in its own language, and no other fact."""
    changes = (
        FieldChange("elements", ["subject_line"], ["content", "subject_line"]),
        FieldChange("retention", "P30D", "P1Y"),
        FieldChange("consent_validity", "P1Y", "P6M"),
        FieldChange("recipients", [], [{"name": "Régie A", "role": "processor", "country": "FR"}]),
        FieldChange("transfers", [], [{"country": "US", "safeguards": "Clauses."}]),
        FieldChange("data_protection_contact", "a@exemple.example", None),
        FieldChange("derived_data_erased_within", None, "PT0S"),
        FieldChange("notice", {"fr": "a"}, {"fr": "b"}),
        FieldChange("storage_location", "Roubaix", "Gravelines"),
        FieldChange("controllers", ["Exemple SAS"], ["Exemple SAS", "Autre SA"]),
        FieldChange("justification", None, "Because."),
    )
    text = consent_text(asked(changes=changes, changed_since=2), "en")
    assert (text.language, text.rows[0].topic) == ("en", "changed")
    assert answers(text, "changed") == [
        "Your earlier answer was about version 2. Since then:",
        (
            "What is analysed: before, the subject line of your messages; now, the content of your messages and their "
            "subject line."
        ),
        "How long the data are kept: before, 30 days; now, 1 year.",
        "How long your consent lasts: before, 1 year; now, 6 months.",
        "The recipients: before, nothing; now, Régie A (processor, France).",
        "The transfers out of the European Union: before, nothing; now, United States.",
        "The data-protection contact: before, a@exemple.example; now, nothing.",
        "How soon the data are erased: before, nothing; now, at once.",
        "The text that describes it.",
        "Where the data are kept: before, Roubaix; now, Gravelines.",
        "The data controller: before, Exemple SAS; now, Exemple SAS and Autre SA.",
    ]
    assert marks(text, "changed") == dict.fromkeys(
        (
            *("Régie A (processor, France)", "United States"),
            "a@exemple.example",
            "Roubaix",
            "Gravelines",
            *("Exemple SAS", "Autre SA"),
        )
    )
    assert "jusqu’à" not in text.plain
    assert not any(row.topic == "changed" for row in consent_text(asked(), "en").rows)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("dpo@exemple.example", "mailto:dpo@exemple.example"),
        ("a%b@exemple.example", "mailto:a%25b@exemple.example"),
        ("Tél. 01 23 45 67 89", "tel:0123456789"),
        ("https://exemple.example/dpo?x=1", "https://exemple.example/dpo?x=1"),
        ("javascript:alert(1)", None),
        ("http://exemple.example", None),
        ("75002 Paris", None),
        ("Mme Dupont", None),
    ],
)
def test_how_somebody_is_reached(text, address):
    """E-mail, telephone and https addresses are recognised within a contact; nothing else becomes a link."""
    assert [mark.address for mark in reached(text)] == ([address] if address else [])


def test_countries():
    """A known country has a name in both languages; an unknown one is shown by its code."""
    assert (country_name("US", "fr"), country_name("US", "en"), country_name("XX", "fr")) == (
        "États-Unis",
        "United States",
        "XX",
    )
