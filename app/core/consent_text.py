"""The text that Sceau's own page shows before it asks for a consent, made from the register alone, and its hash.

What must be said: GDPR art. 13 (who, what for, recipients, how long, rights, complaint), art. 7(3) (withdrawal told
before), L32-3 IV (each processing on its own, a year at most). The text holds no date and no person: it is the same for
everyone asked the same way about the same versions in one language, and its hash proves what was shown.
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from app.core.article import Element, Purpose
from app.core.consent_link import FIRST, Choice, Face, Frame, Situation, choice_for, until_lines
from app.core.period import ConsentPeriod, Retention
from app.core.processing import UNION, Recipient, Told, Transfer
from app.core.register import FieldChange
from app.core.wording import (
    COMPLAINTS,
    COMPLAINTS_BY_POST,
    Answered,
    Audience,
    Mark,
    Passage,
    Voice,
    country_name,
    paragraphs,
    period_in_words,
    reached,
    registered,
    retention_in_words,
)
from app.words import Texts, listed

# The questions that the page answers about one version of a processing, from the register's facts and words.


def change_lines(changes: Sequence[FieldChange], voice: Voice) -> list[Passage]:
    """Return a sentence for each told fact that changed, with both values where they mean something to a person."""
    named = [(each, voice.changed(each.field)) for each in changes]
    return [_line(each, fact, voice) for each, fact in named if fact is not None]


def _line(change: FieldChange, fact: str, voice: Voice) -> Passage:
    fact = f"{fact[:1].upper()}{fact[1:]}"
    before, after = (_value(change.field, value, voice) for value in (change.before, change.after))
    if before is None or after is None:
        return voice.passage("fact_only", fact=fact)
    values = [value for value in (change.before, change.after) if change.field in _NAMES and value]
    marks = tuple(Mark(name) for value in values for name in _names(value, voice.language))
    return voice.passage("fact_between", marks, fact=fact, before=before, after=after)


_DURATIONS: Final = frozenset({"retention", "derived_data_erased_within"})
_NAMES: Final = frozenset({"recipients", "transfers", "controllers", "data_protection_contact", "storage_location"})


def _value(field: str, value: object, voice: Voice) -> str | None:
    """Return a value in words; None where the value itself would mean nothing to a person."""
    language = voice.language
    if field == "elements" and isinstance(value, list):
        return listed(voice.elements([Element(each) for each in value]), language)
    if field == "consent_validity":
        return period_in_words(ConsentPeriod.parse(str(value)), language)
    if field not in _DURATIONS | _NAMES:
        return None
    if value in (None, []):
        return voice.said("nothing")
    if field in _DURATIONS:
        return retention_in_words(Retention.parse(str(value)), language) or voice.said("at_once")
    return listed(_names(value, language), language)


def _names(value: object, language: str) -> list[str]:
    """Return the names in a value: a recipient with its role and country, a transfer by its country."""
    return [_name(each, language) for each in value] if isinstance(value, list) else [str(value)]


def _name(value: object, language: str) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    country = country_name(value["country"], language) if "country" in value else None
    about = ", ".join(str(each) for each in (value.get("role"), country) if each)
    name = value.get("name")
    return about if name is None else f"{name} ({about})" if about else str(name)


_NAMED_AT_ONCE: Final = 3
"""How many recipients the first layer names; if there are more, it gives their number."""


@dataclass(frozen=True, slots=True)
class Who:
    """A controller as people are told of it: legal name, postal address, contact, data-protection officer."""

    name: str
    address: str | None = None
    contact: str | None = None
    officer: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What one version of a processing says to the person asked: told facts, and words that the operator chose.

    `told`: the facts of the version by name (`processing.told`), the validity being the shortest of the periods that
    bound the consent. `words`: `name` and `notice` in each language, and the rest of `VersionRecord.words`. The page
    knows a version by these two alone, so it shows nothing whose change would go unnoticed. `changes`: what a material
    version changed since the person's answer, which was about version `changed_since`.
    """

    told: Told
    words: Mapping[str, Any]
    controllers: tuple[Who, ...]
    purpose: Purpose
    changes: tuple[FieldChange, ...] = ()
    changed_since: int | None = None

    @property
    def name(self) -> Texts:
        """The processing's name, by language."""
        name: Texts = self.words["name"]
        return name

    @property
    def contact(self) -> str | None:
        """The contact for questions about one's data; None where none is registered."""
        return self.words.get("data_protection_contact")

    @property
    def languages(self) -> frozenset[str]:
        """The languages in which all of its words exist: the page offers no other."""
        texts = [self.words[each] for each in ("name", "notice", "consequences") if self.words.get(each) is not None]
        return frozenset.intersection(*(frozenset(each) for each in texts))


def questions(asked: Asked, voice: Voice, face: Face) -> tuple[Answered, ...]:
    """Return each question with its answers, in the order of the page, except those without an answer."""
    told = asked.told
    rows = (
        ("changed", _changed(asked, voice)),
        ("who", _who(asked, voice)),
        ("what_for", [_purpose(asked, voice), *paragraphs(registered(asked.words["notice"], voice.language))]),
        ("basis", [voice.passage("consent")]),
        ("what", _what(told, voice)),
        ("decisions", _written(told["automated_decisions"])),
        ("how_long", _durations(told, voice)),
        ("refuse", _refusing(asked, voice, face)),
        ("withdraw", _withdrawing(asked, voice)),
        ("others", _recipients(told["recipients"], voice)),
        ("transfers", [line for each in sorted(told["transfers"]) for line in _transfer(each, voice)]),
        ("where", _written(told["storage_location"])),
        ("rights", rights(voice)),
        ("more", _links(asked, voice)),
    )
    return tuple(Answered(topic, voice.said(topic), tuple(answers)) for topic, answers in rows if answers)


def elements_in_words(elements: frozenset[Element], voice: Voice) -> Passage:
    """Return what is analysed as a sentence, such as `Le contenu de vos messages et leur objet`."""
    return _sentence(listed(voice.elements(elements), voice.language), voice)


def who_receives(told: Told, voice: Voice) -> list[Passage]:
    """Return who else receives the data, and whether the data leave the Union; empty where no recipient is registered.

    A recipient whose country is not stated does not count as outside the Union; a transfer to a country of which no
    recipient is named is stated separately.
    """
    recipients, language = sorted(told["recipients"]), voice.language
    outside = [each for each in recipients if each.country and each.country not in UNION]
    unnamed = {each.country for each in told["transfers"]} - {each.country for each in outside}
    passages = []
    if recipients:
        names = list(dict.fromkeys(each.name for each in recipients))
        few = not names[_NAMED_AT_ONCE:]
        shown = listed(names, language) if few else voice.said("recipients", number=str(len(names)))
        marks = tuple(map(Mark, names)) if few else ()
        passages.append(voice.passage(_how_far(recipients, outside), marks, names=shown, number=str(len(outside))))
    if unnamed:
        countries = listed(sorted(country_name(each, language) for each in unnamed), language)
        passages.append(voice.passage("leaves", countries=countries))
    return passages


def _how_far(recipients: Sequence[Recipient], outside: Sequence[Recipient]) -> str:
    if not outside:
        return "sent_to"
    if len(outside) == len(recipients):
        return "sent_outside"
    return "sent_some_outside" if outside[1:] else "sent_one_outside"


def _sentence(text: str, voice: Voice) -> Passage:
    return Passage(f"{text[:1].upper()}{text[1:]}.", voice.language)


def _written(text: str | None) -> list[Passage]:
    """Return what the operator wrote, in French: the register keeps such texts in one language."""
    return paragraphs(Passage(text, "fr")) if text is not None else []


def _changed(asked: Asked, voice: Voice) -> list[Passage]:
    if not asked.changes:
        return []
    since = voice.passage("changed_since", number=str(asked.changed_since))
    return [since, *change_lines(asked.changes, voice)]


def _who(asked: Asked, voice: Voice) -> list[Passage]:
    parts = [f"{who.name}, {who.address}" if who.address else who.name for who in asked.controllers]
    word = "controllers" if asked.controllers[1:] else "controller"
    named = voice.passage(word, [Mark(part) for part in parts], controller=listed(parts, voice.language))
    passages = [named, _contact(asked, voice)]
    for who in asked.controllers:
        if who.contact is not None and who.contact != asked.contact:
            marks = [Mark(who.name), *reached(who.contact)]
            passages.append(voice.passage("reach", marks, controller=who.name, contact=who.contact))
        if who.officer is not None:
            marks = list(reached(who.officer)) or [Mark(who.officer)]
            passages.append(voice.passage("officer", marks, officer=who.officer))
    return list(dict.fromkeys(passages))


def _contact(asked: Asked, voice: Voice) -> Passage:
    if asked.contact is not None:
        marks = reached(asked.contact) or (Mark(asked.contact),)
        return voice.passage("contact", marks, contact=asked.contact)
    have_addresses = all(who.address is not None for who in asked.controllers)
    return voice.passage("no_contact_address" if have_addresses else "no_contact")


def _purpose(asked: Asked, voice: Voice) -> Passage:
    return _sentence(voice.purpose(asked.purpose), voice)


def _what(told: Told, voice: Voice) -> list[Passage]:
    passages = [elements_in_words(told["elements"], voice)]
    if told["automated"]:
        passages.append(voice.passage("automated"))
    passages.append(voice.passage("service", [Mark(told["service"])], service=told["service"]))
    passages.append(voice.passage(told["provider_kind"]))
    if told["categories_of_persons"]:
        marks = [Mark(each, language="fr") for each in told["categories_of_persons"]]
        persons = listed(told["categories_of_persons"], voice.language)
        passages.append(voice.passage("persons", marks, persons=persons))
    passages.append(voice.passage(told["party_mode"]))
    return passages


def _durations(told: Told, voice: Voice) -> list[Passage]:
    passages = [voice.passage("validity", period=period_in_words(told["consent_validity"], voice.language))]
    if told["retention"] is not None:
        kept = retention_in_words(told["retention"], voice.language)
        passages.append(voice.passage("not_kept") if kept is None else voice.passage("kept", retention=kept))
    return passages


def _refusing(asked: Asked, voice: Voice, face: Face) -> list[Passage]:
    passages = [voice.passage("nothing_chosen")]
    consequences, conditional = asked.words.get("consequences"), asked.told["conditional"]
    if consequences is not None:
        passages += [voice.passage("asserted"), *paragraphs(registered(consequences, voice.language))]
    if conditional is not None:
        passages.append(voice.passage("conditional" if conditional else "unconditional"))
    if face.situation is Situation.HOLDS:
        passages.append(voice.passage("refusing_holds"))
    elif face.open:
        passages.append(voice.passage("refusing"))
    how = face.saying_no(voice)
    return [*passages, *([Passage(how, voice.language)] if how is not None else [])]


def _withdrawing(asked: Asked, voice: Voice) -> list[Passage]:
    passages, erased_within = [voice.passage("withdrawing")], asked.told["derived_data_erased_within"]
    if erased_within is not None:
        delay = retention_in_words(erased_within, voice.language)
        passages.append(voice.passage("erased_at_once") if delay is None else voice.passage("erased", delay=delay))
    return passages


def _recipients(recipients: Collection[Recipient], voice: Voice) -> list[Passage]:
    language = voice.language
    if not recipients:
        return [voice.passage("nobody")]
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


def _transfer(transfer: Transfer, voice: Voice) -> list[Passage]:
    country = country_name(transfer.country, voice.language)
    safeguards = _written(transfer.safeguards or None)
    word = "transfer" if safeguards else "transfer_unsafe"
    return [voice.passage(word, country=country), *safeguards]


def rights(voice: Voice) -> list[Passage]:
    """Return what a person may ask for (GDPR art. 15 to 20, LIL art. 84 to 86), and where to complain (art. 77)."""
    marks = [Mark(COMPLAINTS, f"https://{COMPLAINTS}"), Mark(COMPLAINTS_BY_POST, language="fr")]
    complaint = voice.passage("complaint", marks, site=COMPLAINTS, address=COMPLAINTS_BY_POST)
    return [voice.passage("access"), voice.passage("directives"), complaint]


def _links(asked: Asked, voice: Voice) -> list[Passage]:
    named = [(word, asked.words.get(word)) for word in ("privacy_policy", "legal_notice", "accessibility_statement")]
    return [voice.passage(word, [Mark(voice.said(word), address)]) for word, address in named if address is not None]


# The whole text, on one page.


@dataclass(frozen=True)
class ConsentText:
    """The whole text about one processing in one language for one kind of reader, in the order of the page.

    `frame` stands around every processing of the page, and `common` is answered once for all of them. Then come the
    processing's name, what is seen at once (`first`), its buttons, and the questions with their answers. The questions
    come before the buttons while an answer is awaited (`face.open`), else after them; where no consent can be given,
    `first` is folded with the questions. `choice` stands at the buttons, where there is one.
    """

    voice: Voice
    name: Passage
    first: tuple[Passage, ...]
    rows: tuple[Answered, ...]
    face: Face = FIRST
    frame: Frame | None = None
    common: tuple[Answered, ...] = ()

    @property
    def language(self) -> str:
        """`fr` or `en`."""
        return self.voice.language

    @property
    def labels(self) -> dict[str, str]:
        """The visible labels of the buttons, by act."""
        return dict(self.face.buttons(self.voice))

    @property
    def choice(self) -> Choice | None:
        """What must be chosen before these buttons can give a consent."""
        return choice_for(self.face, self.voice)

    @property
    def buttons(self) -> tuple[tuple[str, str], ...]:
        """The buttons as (act, text read aloud): each names its processing."""
        return tuple((act, f"{label}{self.voice.frame('of')}{self.name.text}") for act, label in self.labels.items())

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines that are hashed: each text in the order of the page, with each run of white space as one space."""
        frame = self.frame.lines if self.frame is not None else ()
        own, choice = _lines(self.rows), self.choice.lines if self.choice is not None else ()
        buttons = (*choice, *(label for _, label in self.buttons))
        first = tuple(each.text for each in self.first)
        if self.face.open:
            rest = (*first, *own, *buttons)
        else:
            rest = (*first, *buttons, *own) if self.face.accepts else (*buttons, *first, *own)
        texts = (*frame, *_lines(self.common), self.name.text, *rest)
        return tuple(unicodedata.normalize("NFC", " ".join(line.split())) for line in texts)

    @property
    def plain(self) -> str:
        """The text that is hashed: `lines`, joined by U+000A, without a final one."""
        return "\n".join(self.lines)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of `plain` in UTF-8."""
        return sha256(self.plain.encode()).hexdigest()

    @property
    def body(self) -> tuple[str, ...]:
        """The lines that come from the register, whichever buttons stand beside them."""
        texts = (self.name.text, *_lines([row for row in (*self.common, *self.rows) if row.topic not in _BY_STANDING]))
        return tuple(unicodedata.normalize("NFC", " ".join(line.split())) for line in texts)


_BY_STANDING = frozenset({"changed", "refuse"})
"""The questions whose answers depend on where the person stands."""


def consent_text(asked: Asked, language: str, face: Face = FIRST) -> ConsentText:
    """Return the text that asks for consent to one version of a processing, in `fr` or `en`, alone on its page."""
    return on_one_page([(asked, face)], language)[0]


def on_one_page(
    shown: Sequence[tuple[Asked, Face]],
    language: str,
    *,
    title: str = "title_decide",
    audience: Audience = Audience.ALONE,
) -> tuple[ConsentText, ...]:
    """Return the texts of the processings that one page shows; what they have in common is said once.

    Args:
        shown: each processing, with its buttons.
        language: `fr` or `en`.
        title: the word of the page's title, among those of `Sentences.frame`.
        audience: who reads it.

    """
    voice = Voice(language, audience)
    frame = Frame.of(shown, voice, title)
    texts = [_alone(each, voice, face) for each, face in shown]
    common = _common(texts)
    return tuple(
        replace(text, frame=frame, common=common, rows=tuple(row for row in text.rows if row not in common))
        for text in texts
    )


def _common(texts: Sequence[ConsentText]) -> tuple[Answered, ...]:
    """Return the questions that all texts answer alike, where there are several texts."""
    if not texts[1:]:
        return ()
    return tuple(row for row in texts[0].rows if all(row in other.rows for other in texts[1:]))


def _alone(asked: Asked, voice: Voice, face: Face) -> ConsentText:
    told = asked.told
    first = [elements_in_words(told["elements"], voice), *who_receives(told, voice), *until_lines(face, voice)]
    return ConsentText(voice, registered(asked.name, voice.language), tuple(first), questions(asked, voice, face), face)


def _lines(rows: Sequence[Answered]) -> tuple[str, ...]:
    return tuple(line for row in rows for line in (row.question, *(answer.text for answer in row.answers)))
