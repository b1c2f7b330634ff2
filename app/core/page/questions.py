"""The questions that the page answers about one version of a processing, from the register's facts and words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.article import Element, Purpose
from app.core.durations import period_in_words, retention_in_words
from app.core.page.changes import ToldChange, change_lines
from app.core.page.countries import country_name
from app.core.page.face import Face
from app.core.page.passages import COMPLAINTS, Answered, Mark, Passage, Texts, listed, paragraphs, reached, registered
from app.core.page.words import ELEMENT, PURPOSE, SAID, SUBJECT_LINE_ALONE
from app.core.version import Recipient, Told, Transfer


@dataclass(frozen=True, slots=True)
class Who:
    """A controller as people are told of it: legal name, postal address, how to reach it, data-protection officer."""

    name: str
    address: str | None = None
    contact: str | None = None
    officer: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What one version of a processing says to the person asked: told facts, and words that the operator chose.

    `told`: the facts of the version by name (`app.core.version.told`), the validity being the shortest of the periods
    that bound the consent. `words`: `name` and `notice` in each language, and the rest of `VersionRecord.words`. The
    page knows a version by these two alone, so that it shows nothing whose change would pass unnoticed. `changes`: what
    a material version changed since the person's answer, which was about version `changed_since`.
    """

    told: Told
    words: Mapping[str, Any]
    controllers: tuple[Who, ...]
    purpose: Purpose
    changes: tuple[ToldChange, ...] = ()
    changed_since: int | None = None

    @property
    def name(self) -> Texts:
        """What the processing is called, by language."""
        name: Texts = self.words["name"]
        return name

    @property
    def contact(self) -> str | None:
        """Whom to write to about one's data; None where none is registered."""
        return self.words.get("data_protection_contact")

    @property
    def languages(self) -> frozenset[str]:
        """The languages in which all of its words are there: the page offers no other."""
        texts = [self.words[each] for each in ("name", "notice", "consequences") if self.words.get(each) is not None]
        return frozenset.intersection(*(frozenset(each) for each in texts))


def questions(asked: Asked, language: str, face: Face) -> tuple[Answered, ...]:
    """Each question with its answers, in the order of the page, except those that the register says nothing about."""
    told = asked.told
    rows = (
        ("changed", _changed(asked, language)),
        ("who", _who(asked, language)),
        ("what_for", [_purpose(asked, language), *paragraphs(registered(asked.words["notice"], language))]),
        ("basis", [_passage("consent", language)]),
        ("what", _what(told, language)),
        ("decisions", _written(told["automated_decisions"])),
        ("how_long", _durations(told, language)),
        ("refuse", _refusing(asked, language, face)),
        ("withdraw", _withdrawing(asked, language)),
        ("others", _recipients(told["recipients"], language)),
        ("transfers", [line for each in sorted(told["transfers"]) for line in _transfer(each, language)]),
        ("where", _written(told["storage_location"])),
        ("rights", [_passage("access", language), _complaint(language)]),
        ("more", _links(asked, language)),
    )
    return tuple(Answered(topic, SAID[topic][language], tuple(answers)) for topic, answers in rows if answers)


def elements_in_words(elements: frozenset[Element], language: str) -> Passage:
    """What is analysed, in a sentence such as `Le contenu de vos messages et leur objet`."""
    told = listed([ELEMENT[element][language] for element in ELEMENT if element in elements], language)
    if Element.SUBJECT_LINE in elements and Element.CONTENT not in elements:
        told = told.replace(ELEMENT[Element.SUBJECT_LINE][language], SUBJECT_LINE_ALONE[language])
    return Passage(f"{told[:1].upper()}{told[1:]}.", language)


def _passage(word: str, language: str, **filled: str) -> Passage:
    return Passage(SAID[word][language].format(**filled), language)


def _named(word: str, language: str, marks: Sequence[Mark], **filled: str) -> Passage:
    return Passage(SAID[word][language].format(**filled), language, tuple(marks))


def _written(text: str | None) -> list[Passage]:
    """What the operator wrote, in French: the register keeps such texts in one language."""
    return paragraphs(Passage(text, "fr")) if text is not None else []


def _changed(asked: Asked, language: str) -> list[Passage]:
    if not asked.changes:
        return []
    since = _passage("changed_since", language, number=str(asked.changed_since))
    return [since, *change_lines(asked.changes, language)]


def _who(asked: Asked, language: str) -> list[Passage]:
    parts = [f"{who.name}, {who.address}" if who.address else who.name for who in asked.controllers]
    word = "controllers" if asked.controllers[1:] else "controller"
    named = _named(word, language, [Mark(part) for part in parts], controller=listed(parts, language))
    said = [named, _contact(asked, language)]
    for who in asked.controllers:
        if who.contact is not None and who.contact != asked.contact:
            marks = [Mark(who.name), *reached(who.contact)]
            said.append(_named("reach", language, marks, controller=who.name, contact=who.contact))
        if who.officer is not None:
            marks = list(reached(who.officer)) or [Mark(who.officer)]
            said.append(_named("officer", language, marks, officer=who.officer))
    return list(dict.fromkeys(said))


def _contact(asked: Asked, language: str) -> Passage:
    if asked.contact is not None:
        marks = reached(asked.contact) or (Mark(asked.contact),)
        return _named("contact", language, marks, contact=asked.contact)
    known = all(who.address is not None for who in asked.controllers)
    return _passage("no_contact_address" if known else "no_contact", language)


def _purpose(asked: Asked, language: str) -> Passage:
    said = PURPOSE[asked.purpose][language]
    return Passage(f"{said[:1].upper()}{said[1:]}.", language)


def _what(told: Told, language: str) -> list[Passage]:
    said = [elements_in_words(told["elements"], language)]
    if told["automated"]:
        said.append(_passage("automated", language))
    said.append(_named("service", language, [Mark(told["service"])], service=told["service"]))
    said.append(_passage(told["provider_kind"], language))
    if told["categories_of_persons"]:
        marks = [Mark(each, language="fr") for each in told["categories_of_persons"]]
        persons = listed(told["categories_of_persons"], language)
        said.append(_named("persons", language, marks, persons=persons))
    said.append(_passage(told["party_mode"], language))
    return said


def _durations(told: Told, language: str) -> list[Passage]:
    said = [_passage("validity", language, period=period_in_words(told["consent_validity"], language))]
    if told["retention"] is not None:
        kept = retention_in_words(told["retention"], language)
        said.append(_passage("not_kept", language) if kept is None else _passage("kept", language, retention=kept))
    return said


def _refusing(asked: Asked, language: str, face: Face) -> list[Passage]:
    said = [_passage("nothing_chosen", language)]
    consequences, conditional = asked.words.get("consequences"), asked.told["conditional"]
    if consequences is not None:
        said += [_passage("asserted", language), *paragraphs(registered(consequences, language))]
    if conditional is not None:
        said.append(_passage("conditional" if conditional else "unconditional", language))
    said.append(_passage("refusing", language))
    how = face.saying_no(language)
    return [*said, *([Passage(how, language)] if how is not None else [])]


def _withdrawing(asked: Asked, language: str) -> list[Passage]:
    said, erased_within = [_passage("withdrawing", language)], asked.told["derived_data_erased_within"]
    if erased_within is not None:
        delay = retention_in_words(erased_within, language)
        at_once = delay is None
        said.append(
            _passage("erased_at_once", language) if at_once else _passage("erased", language, delay=delay or "")
        )
    return said


def _recipients(recipients: Collection[Recipient], language: str) -> list[Passage]:
    if not recipients:
        return [_passage("nobody", language)]
    ordered = sorted(recipients)
    if not any(each.role or each.country for each in ordered):
        names = [each.name for each in ordered]
        return [Passage(f"{listed(names, language)}.", language, tuple(map(Mark, names)))]
    return [_recipient(each, language) for each in ordered]


def _recipient(recipient: Recipient, language: str) -> Passage:
    country = country_name(recipient.country, language) if recipient.country else None
    parts = [each for each in (recipient.name, recipient.role, country) if each]
    marks = [Mark(each, language="fr" if each == recipient.role else None) for each in parts if each != country]
    return Passage(f"{', '.join(parts)}.", language, tuple(marks))


def _transfer(transfer: Transfer, language: str) -> list[Passage]:
    country = country_name(transfer.country, language)
    safeguards = _written(transfer.safeguards or None)
    word = "transfer" if safeguards else "transfer_unsafe"
    return [_passage(word, language, country=country), *safeguards]


def _complaint(language: str) -> Passage:
    return _named("complaint", language, [Mark(COMPLAINTS, f"https://{COMPLAINTS}")])


def _links(asked: Asked, language: str) -> list[Passage]:
    named = [(word, asked.words.get(word)) for word in ("privacy_policy", "legal_notice", "accessibility_statement")]
    return [
        _named(word, language, [Mark(SAID[word][language], address)]) for word, address in named if address is not None
    ]
