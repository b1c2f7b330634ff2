"""What a material version changed since a person answered, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.core.article import Element
from app.core.durations import period_in_words, retention_in_words
from app.core.page.countries import country_name
from app.core.page.passages import Mark, Passage, Texts, listed
from app.core.page.voice import Voice
from app.core.period import ConsentPeriod
from app.core.retention import Retention

_BETWEEN: Final[Texts] = {
    "fr": "{fact} : avant, {before} ; maintenant, {after}.",
    "en": "{fact}: before, {before}; now, {after}.",
}
_ONLY: Final[Texts] = {"fr": "{fact}.", "en": "{fact}."}
_AT_ONCE: Final[Texts] = {"fr": "aussitôt", "en": "at once"}
_NONE: Final[Texts] = {"fr": "rien", "en": "nothing"}


@dataclass(frozen=True, slots=True)
class ToldChange:
    """One fact that differs, by its field in the register; values as JSON has them, None where there is nothing."""

    field: str
    before: object = None
    after: object = None


def change_lines(changes: Sequence[ToldChange], voice: Voice) -> list[Passage]:
    """A sentence for each fact that people are told of; both values where they say something to a person."""
    named = [(each, voice.changed(each.field)) for each in changes]
    return [_line(each, fact, voice) for each, fact in named if fact is not None]


def _line(change: ToldChange, fact: str, voice: Voice) -> Passage:
    language = voice.language
    fact = f"{fact[:1].upper()}{fact[1:]}"
    before, after = (_value(change.field, value, voice) for value in (change.before, change.after))
    if before is None or after is None:
        return Passage(_ONLY[language].format(fact=fact), language)
    values = [value for value in (change.before, change.after) if change.field in _NAMES and value]
    marks = tuple(Mark(name) for value in values for name in _names(value, language))
    return Passage(_BETWEEN[language].format(fact=fact, before=before, after=after), language, marks)


_DURATIONS: Final = frozenset({"retention", "derived_data_erased_within"})
_NAMES: Final = frozenset({"recipients", "transfers", "controllers", "data_protection_contact", "storage_location"})


def _value(field: str, value: object, voice: Voice) -> str | None:
    """A value in words; None where its own form would say nothing to a person."""
    language = voice.language
    if field == "elements" and isinstance(value, list):
        return listed(voice.elements([Element(each) for each in value]), language)
    if field == "consent_validity":
        return period_in_words(ConsentPeriod.parse(str(value)), language)
    if field in _DURATIONS or field in _NAMES:
        return _duration_or_name(field, value, language) if value not in (None, []) else _NONE[language]
    return None


def _duration_or_name(field: str, value: object, language: str) -> str:
    if field in _DURATIONS:
        return retention_in_words(Retention.parse(str(value)), language) or _AT_ONCE[language]
    return listed(_names(value, language), language)


def _names(value: object, language: str) -> list[str]:
    """What names stand in a value: a recipient is told with its role and country, a transfer by its country."""
    return [_name(each, language) for each in value] if isinstance(value, list) else [str(value)]


def _name(value: object, language: str) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    country = country_name(value["country"], language) if "country" in value else None
    about = ", ".join(str(each) for each in (value.get("role"), country) if each)
    name = value.get("name")
    return about if name is None else f"{name} ({about})" if about else str(name)
