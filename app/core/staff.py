"""What a provider makes known to its staff (L32-3, V): the notice, whether it is complete, and who has seen it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from hashlib import sha256
from typing import Final
from unicodedata import combining, normalize
from uuid import UUID

from app.core.errors import ConflictError, DomainError
from app.words import LANGUAGES, Catalogue


class IncompleteNoticeError(DomainError):
    """The notice leaves out what staff must be told (CPCE art. L32-3, V, and D. 98-5 I)."""

    slug = "incomplete-notice"


class NoticeUnfinishedError(ConflictError):
    """This version of the notice is not complete, so nobody can acknowledge it: publish a complete one first."""

    slug = "notice-unfinished"


# Paragraph V: providers make the obligations of L32-3 known to their staff. A notice is a text in versions; a member
# who acknowledged the current version knows their obligations. A new version must be acknowledged again by everyone.
class NoticeStanding(StrEnum):
    """How a member of staff stands towards the notice of today."""

    ACKNOWLEDGED = "acknowledged"
    OUTDATED = "outdated"
    MISSING = "missing"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class NoticeText:
    """A notice in one language: a title, and a body of blocks with blank lines between.

    A block is a heading (`# `), a list (each line `- `), or a paragraph.
    """

    title: str
    body: str

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of title, line feed and body, in UTF-8: an acknowledgement is bound to it."""
        return sha256(f"{self.title}\n{self.body}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of the notice, by language (`fr`, and mostly `en`)."""

    number: int
    published_at: datetime
    texts: Mapping[str, NoticeText]

    def text(self, language: str) -> tuple[str, NoticeText]:
        """Return the text in a language, or in French if that is missing, together with its language."""
        chosen = language if language in self.texts else "fr"
        return chosen, self.texts[chosen]


def standing(current: int, acknowledged: int | None, *, left: bool = False) -> NoticeStanding:
    """Return the standing of a member whose latest valid acknowledgement was of that version (None: of none)."""
    if left:
        return NoticeStanding.LEFT
    if acknowledged is None:
        return NoticeStanding.MISSING
    return NoticeStanding.ACKNOWLEDGED if acknowledged >= current else NoticeStanding.OUTDATED


# The staff notice that ships: the obligations of L32-3 and the penalties, in French and in English. Sources: CPCE art.
# L32-3 (I to V) and D. 98-5 I, whose third paragraph requires the penalties to be stated; code pénal art. 226-13,
# 226-15 and 432-9. It says what the law says, for readers who are not lawyers; the operator completes it.


@cache
def first_notice() -> Mapping[str, NoticeText]:
    """Return version 1 of the notice, by language; it stands until an operator publishes another."""
    words = Catalogue("notice")
    return {language: NoticeText(words["title"][language], words["body"][language]) for language in LANGUAGES}


# What a staff notice must say before an acknowledgement of it counts (L32-3, V; D. 98-5 I, third paragraph). These
# checks look for words. They find a notice that was left unfinished, or that omits what is secret or a penalty; only a
# reader can say whether the text is good.
class Lack(StrEnum):
    """What a text leaves out; an article is left out as well where its penalty is."""

    PASSAGE_TO_COMPLETE = "passage_to_complete"
    FOUR_ELEMENTS = "four_elements"
    CODE_PENAL_226_13 = "code_penal_226_13"
    CODE_PENAL_226_15 = "code_penal_226_15"
    CODE_PENAL_432_9 = "code_penal_432_9"
    BOTH_PARAGRAPHS_OF_432_9 = "both_paragraphs_of_432_9"
    SECRECY_AFTER_LEAVING = "secrecy_after_leaving"


_PLACES_TO_COMPLETE: Final = re.compile(r"\[ ?(a completer|to be completed)")
_SIGNS: Final = str.maketrans(dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-") | {0x2019: "'"})
"""Maps hyphens, dashes, the minus sign and the apostrophe to the characters of a keyboard."""


@dataclass(frozen=True, slots=True)
class _NoticeWords:
    """The patterns of one language, which match text without accents and in lower case.

    `elements`: the four things that are secret, named in one paragraph or list. `one_year`, `three_years`: prison
    terms. `both`: a phrase that names both paragraphs; `each`: two patterns instead, one for each paragraph. `secrecy`
    and `after` must match in one sentence, which says that secrecy outlasts the job.
    """

    elements: tuple[re.Pattern[str], ...]
    one_year: re.Pattern[str]
    three_years: re.Pattern[str]
    both: re.Pattern[str]
    each: tuple[re.Pattern[str], re.Pattern[str]]
    secrecy: re.Pattern[str]
    after: re.Pattern[str]


_WORDS: Final[Mapping[str, _NoticeWords]] = {
    "fr": _NoticeWords(
        elements=(
            re.compile(r"\bcontenus?\b"),
            re.compile(r"\bidentites?\b"),
            re.compile(r"\b(intitules?|objets?)\b"),
            re.compile(r"\b(documents?|pieces?|fichiers?) joint(e|s|es)?\b"),
        ),
        one_year=re.compile(r"\b(un|1) an\b"),
        three_years=re.compile(r"\b(trois|3) ans\b"),
        both=re.compile(r"\b(deux alineas|(alineas?|al\.) ?1(er)? et 2|premier et (second|deuxieme) alineas?)\b"),
        each=(
            re.compile(r"\b((alinea|al\.) ?1(er)?|(premier|1er) alinea)\b"),
            re.compile(r"\b((alinea|al\.) ?2|(second|deuxieme|2e) alinea)\b"),
        ),
        secrecy=re.compile(r"\b(secrets?|tenue?s?|confidentialite|obligations?)\b"),
        after=re.compile(
            r"\b(apres|au-dela de|survi(t|vent) a|malgre)\b.{0,40}"
            r"\b(departs?|contrats?|fonctions?|emplois?|missions?|services?|relation de travail|cessation|fin)\b"
            r"|\bsans limit(e|ation) de (duree|temps)\b"
        ),
    ),
    "en": _NoticeWords(
        elements=(
            re.compile(r"\bcontents?\b"),
            re.compile(r"\bidentit(y|ies)\b"),
            re.compile(r"\b(subjects?|titles?)\b"),
            re.compile(r"\battach(ments?|ed)\b"),
        ),
        one_year=re.compile(r"\b(one|1|a) year\b"),
        three_years=re.compile(r"\b(three|3) years\b"),
        both=re.compile(r"\b(both (of its )?paragraphs|paragraphs 1 and 2|first and second paragraphs?)\b"),
        each=(
            re.compile(r"\b(paragraph 1|first paragraph)\b"),
            re.compile(r"\b(paragraph 2|second paragraph)\b"),
        ),
        secrecy=re.compile(r"\b(secrecy|secrets?|bound|confidentiality|dut(y|ies))\b"),
        after=re.compile(
            r"\b(after|beyond|outlasts?|survives?|outlives?)\b.{0,40}"
            r"\b(leave|leaving|left|departure|job|contract|employment|end|ends|office|work)\b"
            r"|\bwithout limit (of|in) time\b"
        ),
    ),
}


@lru_cache(maxsize=64)
def lacks_of(text: NoticeText, language: str) -> tuple[Lack, ...]:
    """Return what one text leaves out, in the order of `Lack`; empty when it is complete.

    Args:
        text: the title and the body.
        language: `fr` or `en`.

    """
    plain = _plain(f"{text.title}\n{text.body}")
    words = _WORDS[language]
    sentences = re.split(r"[.!?\n]", plain)
    checks = {
        Lack.PASSAGE_TO_COMPLETE: _PLACES_TO_COMPLETE.search(plain) is not None,
        Lack.FOUR_ELEMENTS: not any(
            all(pattern.search(block) for pattern in words.elements) for block in re.split(r"\n\s*\n", plain)
        ),
        Lack.CODE_PENAL_226_13: not _tells(plain, "226-13", words.one_year, 15),
        Lack.CODE_PENAL_226_15: not _tells(plain, "226-15", words.one_year, 45),
        Lack.CODE_PENAL_432_9: not _tells(plain, "432-9", words.three_years, 45),
        Lack.BOTH_PARAGRAPHS_OF_432_9: not _names_both(_lines_of(plain, "432-9"), words),
        Lack.SECRECY_AFTER_LEAVING: not any(
            words.secrecy.search(sentence) and words.after.search(sentence) for sentence in sentences
        ),
    }
    return tuple(lack for lack, is_lacking in checks.items() if is_lacking)


def lacking(texts: Mapping[str, NoticeText]) -> dict[str, tuple[Lack, ...]]:
    """Return what a notice leaves out, by language, without the languages that are complete."""
    by_language = {language: lacks_of(text, language) for language, text in texts.items()}
    return {language: lacks for language, lacks in by_language.items() if lacks}


def _lines_of(plain: str, article: str) -> str:
    """Return the lines that name an article."""
    return "\n".join(line for line in plain.split("\n") if re.search(rf"\b{article}\b", line))


def _tells(plain: str, article: str, years: re.Pattern[str], thousands: int) -> bool:
    """Return whether the lines that name an article also give its imprisonment and its fine (thousands of euros)."""
    lines = _lines_of(plain, article)
    fine = re.search(rf"\b{thousands}[ .,]?000\b", lines)
    return fine is not None and years.search(lines) is not None


def _names_both(lines: str, words: _NoticeWords) -> bool:
    return words.both.search(lines) is not None or all(pattern.search(lines) for pattern in words.each)


def _plain(text: str) -> str:
    """Return a text in lower case, without accents, with one kind of hyphen, apostrophe and space."""
    bare = "".join(each for each in normalize("NFKD", text.translate(_SIGNS)) if not combining(each))
    return re.sub(r"[^\S\n]+", " ", bare.translate(_SIGNS).lower())


DOUBTFUL_FOR: Final = timedelta(days=7)
"""How long after a rotation by another caller an acknowledgement is marked."""


@dataclass(frozen=True, slots=True)
class KeyMade:
    """When a key of a person was made, and by which caller (None: at the command line)."""

    at: datetime
    by: UUID | None


def rotated_by_other(member: UUID, keys: Sequence[KeyMade], acknowledged_at: datetime) -> bool:
    """Return whether another caller gave the member a new key in the week before an acknowledgement.

    Args:
        member: the person, by the id of their access.
        keys: every key they ever had, first one first. The first is no rotation: another caller always makes it.
        acknowledged_at: when they acknowledged, by their own access.

    """
    rotations = [each.at for each in keys[1:] if each.by != member]
    return any(at <= acknowledged_at < at + DOUBTFUL_FOR for at in rotations)
