"""The text that Sceau's own page shows before it asks for a consent, made from the register alone, and its hash.

What must be said: GDPR art. 13 (who, what for, recipients, how long, rights, complaint), art. 7(3) (withdrawal told
before), L32-3 IV (each processing on its own, a year at most). No date and no person stands in the text, so that it
is one and the same for everyone asked about one version in one language, and its hash proves what was shown.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from app.core.article import Element, Purpose
from app.core.durations import period_in_words, retention_in_words
from app.core.period import ConsentPeriod
from app.core.retention import Retention

Texts = Mapping[str, str]
LANGUAGES: Final = ("fr", "en")

_PURPOSE: Final[Mapping[Purpose, Texts]] = {
    Purpose.ADVERTISING: {"fr": "À des fins publicitaires.", "en": "For advertising."},
    Purpose.STATISTICS: {"fr": "À des fins statistiques.", "en": "For statistics."},
    Purpose.SERVICE_IMPROVEMENT: {
        "fr": "Pour améliorer le service qui vous est rendu.",
        "en": "To improve the service that you are given.",
    },
}

_ELEMENT: Final[Mapping[Element, Texts]] = {
    Element.CONTENT: {"fr": "le contenu de vos messages", "en": "the content of your messages"},
    Element.SUBJECT_LINE: {"fr": "leur objet", "en": "their subject line"},
    Element.CORRESPONDENT_IDENTITY: {
        "fr": "l’identité de vos correspondants",
        "en": "the identity of the people you correspond with",
    },
    Element.ATTACHMENTS: {"fr": "les pièces jointes", "en": "attachments"},
}

_SAID: Final[Mapping[str, Texts]] = {
    "who": {"fr": "Qui est responsable ?", "en": "Who is responsible?"},
    "controller": {
        "fr": "{controller}, responsable du traitement.",
        "en": "{controller}, the data controller.",
    },
    "controllers": {
        "fr": "{controller}, responsables conjoints de ce traitement.",
        "en": "{controller}, the joint controllers of this processing.",
    },
    "contact": {
        "fr": "Contact pour la protection de vos données : {contact}",
        "en": "Data-protection contact: {contact}",
    },
    "no_contact": {
        "fr": "Aucun contact dédié à la protection des données n’a été déclaré ici : adressez-vous au responsable.",
        "en": "No dedicated data-protection contact has been registered here: write to the controller itself.",
    },
    "basis": {
        "fr": "Base légale : votre consentement (RGPD, article 6, paragraphe 1, point a ; code des postes et des "
        "communications électroniques, article L32-3, IV).",
        "en": "Legal basis: your consent (GDPR, article 6(1)(a); French Post and Electronic Communications Code, "
        "article L32-3, IV).",
    },
    "what_for": {"fr": "Pour quoi faire ?", "en": "What for?"},
    "what": {"fr": "Qu’est-ce qui est analysé ?", "en": "What is analysed?"},
    "automated": {
        "fr": "L’analyse est entièrement automatisée : pour ce traitement, aucune personne ne lit vos messages.",
        "en": "The analysis is fully automated: for this processing, no person reads your messages.",
    },
    "how_long": {"fr": "Jusqu’à quand ?", "en": "Until when?"},
    "validity": {
        "fr": "Votre consentement est valable {period} au plus, puis prend fin automatiquement. Il n’est renouvelé "
        "que si vous répondez de nouveau.",
        "en": "Your consent lasts {period} at most, then ends automatically. It is renewed only if you answer again.",
    },
    "kept": {
        "fr": "Les données tirées de l’analyse sont conservées {retention}.",
        "en": "The data drawn from the analysis are kept for {retention}.",
    },
    "not_kept": {
        "fr": "Les données tirées de l’analyse ne sont pas conservées.",
        "en": "The data drawn from the analysis are not kept.",
    },
    "refuse": {"fr": "Et si je refuse ?", "en": "What if I refuse?"},
    "refusing": {
        "fr": "Sans réponse de votre part, aucun nouvel accord n’est donné ; un consentement déjà donné reste valable "
        "jusqu’à sa date de fin, sauf si vous le retirez.",
        "en": "If you do not answer, no new consent is given; a consent already given stays valid until its end date, "
        "unless you withdraw it.",
    },
    "withdraw": {"fr": "Et si je change d’avis ?", "en": "What if I change my mind?"},
    "withdrawing": {
        "fr": "Vous pouvez retirer votre accord à tout moment, aussi facilement que vous l’avez donné : conservez le "
        "lien de cette page : vous y trouverez le bouton « Je retire mon accord ». Le retrait prend effet aussitôt, "
        "sans remettre en cause la licéité de ce qui a été fait avant.",
        "en": "You can withdraw your consent at any time, as easily as you gave it: keep the link to this page: "
        "you will find the button “I withdraw my consent” there. Withdrawing takes effect at once. It does not "
        "affect the lawfulness of what was done before (GDPR, article 7(3)).",
    },
    "others": {"fr": "Qui d’autre reçoit ces données ?", "en": "Who else receives these data?"},
    "nobody": {
        "fr": "Aucun destinataire n’est déclaré.",
        "en": "No recipient is registered.",
    },
    "rights": {"fr": "Quels sont mes droits ?", "en": "What are my rights?"},
    "access": {
        "fr": "Vous pouvez demander au responsable l’accès à vos données, leur rectification, leur effacement, leur "
        "portabilité ou la limitation de leur traitement (RGPD, articles 15 à 20).",
        "en": "You can ask the controller for access to your data, and for them to be corrected, erased, "
        "transferred to you, or their processing restricted (GDPR, articles 15 to 20).",
    },
    "complaint": {
        "fr": "Vous pouvez introduire une réclamation auprès de la CNIL : www.cnil.fr/fr/plaintes, ou 3 place de "
        "Fontenoy, TSA 80715, 75334 Paris Cedex 07.",
        "en": "You can complain to the French data-protection authority, the CNIL: www.cnil.fr/fr/plaintes, or "
        "3 place de Fontenoy, TSA 80715, 75334 Paris Cedex 07, France.",
    },
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one version of a processing says to the person asked: facts and registered words.

    `controller` names all of them; `joint`: they are several. `contact` None: none is registered. `validity` is the
    shortest of the periods that bound the consent.
    """

    controller: str
    contact: str | None
    purpose: Purpose
    elements: frozenset[Element]
    automated: bool
    recipients: frozenset[str]
    validity: ConsentPeriod
    retention: Retention | None
    name: Texts
    notice: Texts
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the text, and the language that it is in: a text registered in French only stays French."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Answered:
    """One question that the page answers before anything is chosen. `topic` is its word in this module."""

    topic: str
    question: str
    answers: tuple[Passage, ...]


@dataclass(frozen=True)
class ConsentText:
    """The whole text in one language: the processing's name, then questions with their answers."""

    language: str
    name: Passage
    rows: tuple[Answered, ...]

    @cached_property
    def plain(self) -> str:
        """The text that is hashed: one line for the name, each question and each answer, in the order of the page.

        In each line runs of white space are one space, none at its ends; lines are joined by U+000A, with none at
        the end; Unicode NFC.
        """
        lines = [self.name.text]
        for row in self.rows:
            lines += [row.question, *(answer.text for answer in row.answers)]
        return unicodedata.normalize("NFC", "\n".join(" ".join(line.split()) for line in lines))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of `plain` in UTF-8."""
        return sha256(self.plain.encode()).hexdigest()


def consent_text(asked: Asked, language: str) -> ConsentText:
    """The text that asks for consent to one version of a processing, in `fr` or `en`."""
    rows = (
        _row(language, "who", *_controller(asked, language)),
        _row(language, "what_for", *_purpose(asked, language)),
        _row(language, "what", Passage(_elements(asked.elements, language), language), *_reader(asked, language)),
        _row(language, "how_long", *_durations(asked, language)),
        _row(language, "refuse", _passage("refusing", language)),
        _row(language, "withdraw", _passage("withdrawing", language)),
        _row(language, "others", _recipients(asked, language)),
        _row(language, "rights", _passage("access", language), _passage("complaint", language)),
    )
    return ConsentText(language, registered(asked.name, language), rows)


def registered(texts: Texts, language: str) -> Passage:
    """A registered text in a language, or in French, which is always there."""
    return Passage(texts[language], language) if language in texts else Passage(texts["fr"], "fr")


def _row(language: str, topic: str, *answers: Passage) -> Answered:
    return Answered(topic, _SAID[topic][language], answers)


def _passage(word: str, language: str, **filled: str) -> Passage:
    return Passage(_SAID[word][language].format(**filled), language)


def _controller(asked: Asked, language: str) -> tuple[Passage, Passage]:
    contact = (
        _passage("no_contact", language)
        if asked.contact is None
        else _passage("contact", language, contact=asked.contact)
    )
    return _passage("controllers" if asked.joint else "controller", language, controller=asked.controller), contact


def _purpose(asked: Asked, language: str) -> list[Passage]:
    purpose = Passage(_PURPOSE[asked.purpose][language], language)
    return [purpose, *_notice(asked, language), _passage("basis", language)]


def _notice(asked: Asked, language: str) -> list[Passage]:
    notice = registered(asked.notice, language)
    return [Passage(part, notice.language) for part in notice.text.splitlines() if part.strip()]


def _elements(elements: frozenset[Element], language: str) -> str:
    told = listed([_ELEMENT[element][language] for element in _ELEMENT if element in elements], language)
    if Element.SUBJECT_LINE in elements and Element.CONTENT not in elements:
        told = told.replace(
            _ELEMENT[Element.SUBJECT_LINE][language],
            {"fr": "l’objet de vos messages", "en": "the subject line of your messages"}[language],
        )
    return f"{told[:1].upper()}{told[1:]}."


def _reader(asked: Asked, language: str) -> list[Passage]:
    return [_passage("automated", language)] if asked.automated else []


def _durations(asked: Asked, language: str) -> list[Passage]:
    said = [_passage("validity", language, period=period_in_words(asked.validity, language))]
    if asked.retention is not None:
        kept = retention_in_words(asked.retention, language)
        said.append(_passage("not_kept", language) if kept is None else _passage("kept", language, retention=kept))
    return said


def _recipients(asked: Asked, language: str) -> Passage:
    if not asked.recipients:
        return _passage("nobody", language)
    return Passage(f"{listed(sorted(asked.recipients), language)}.", language)


def listed(parts: Sequence[str], language: str) -> str:
    """Names one after the other: `A, B et C`, `A, B and C`."""
    last = {"fr": " et ", "en": " and "}[language]
    return last.join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])
