"""The look of pages, and what stands around a processing's text: title, first lines, and buttons with what they do.

The same facts are asked with other buttons at a first request, at a renewal, and after an answer. Everything that is
read is part of the text that is hashed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from app.core.page.link import Act, Situation
from app.core.wording import Audience, Mark, Passage, Voice
from app.words import listed

if TYPE_CHECKING:
    from app.core.page.questions import Asked

# How pages look like the operator's: a name that people know, and one accent colour on which text can be read.

LIGHT, DARK, WHITE = "#ffffff", "#16181c", "#ffffff"
"""The background of pages (`--paper` of the style sheet), light and dark, and the white for text on the accent."""
ENOUGH: Final = 4.5
"""Contrast of text with its background (WCAG 2.2, 1.4.3); the contrast of controls needs less (1.4.11)."""

_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST: Final = 60
_STEPS: Final = 20
_LINEAR_BELOW: Final = 0.04045


@dataclass(frozen=True, slots=True)
class Brand:
    """The name by which people know the service; `accent`: the colour of buttons and of the line above a page."""

    name: str
    accent: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `Exemple Messagerie`, or `Exemple Messagerie, #0b5d4e`.

        Raises:
            ValueError: there is no valid name, or white text could not be read on the colour.

        """
        name, comma, last = text.rpartition(",")
        accent = last.strip().lower() if comma and last.strip().startswith("#") else None
        name = (text if accent is None else name).strip()
        if not 0 < len(name) <= _LONGEST or not name.isprintable():
            raise ValueError
        if accent is not None and (_COLOUR.fullmatch(accent) is None or contrast(accent, LIGHT) < ENOUGH):
            raise ValueError
        return cls(name, accent)

    @property
    def style(self) -> str:
        """The additions to the style sheet; empty without an accent colour.

        For dark paper the colour is mixed with white until it contrasts as much there.
        """
        if self.accent is None:
            return ""
        mixed = (_mixed(self.accent, WHITE, step / _STEPS) for step in range(_STEPS + 1))
        dark = next(each for each in mixed if contrast(each, DARK) >= ENOUGH)
        return (
            f"\n:root {{ {_variables(self.accent, WHITE)} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark, DARK)} }} }}\n"
        )


def _variables(colour: str, ink: str) -> str:
    return f"--act: {colour}; --act-ink: {ink}; --accent: {colour};"


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours such as `#1a4a9c` (WCAG 2.2): 1 if equal, 21 for black and white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _luminance(colour: str) -> float:
    shares = (part / 255 for part in _parts(colour))
    linear = [each / 12.92 if each <= _LINEAR_BELOW else ((each + 0.055) / 1.055) ** 2.4 for each in shares]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)


_ORDER: Final = (Act.ACCEPT, Act.REFUSE, Act.DECLINE, Act.WITHDRAW)


ASKING: Final = frozenset({"title_decide", "title_renew"})
"""The titles of pages that await an answer."""


class AnsweringAs(StrEnum):
    """In which capacity somebody answers for a child (LIL art. 45)."""

    PARENT = "holder_of_parental_responsibility"
    GUARDIAN = "guardian"


@dataclass(frozen=True, slots=True)
class Choice:
    """What must be chosen before a consent can be given: the question, and the options as (value, label)."""

    asks: str
    options: tuple[tuple[str, str], ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The texts that are hashed: the question and the labels of the options."""
        return (self.asks, *(label for _, label in self.options))


def choice_for(face: "Face", voice: Voice) -> Choice | None:
    """Return the capacity that a parent or guardian states with their consent; None for any other reader.

    Refusing or withdrawing needs no choice: saying no is never harder than saying yes.
    """
    if voice.audience is not Audience.PARENT or not face.accepts:
        return None
    return Choice(voice.frame("answering_as"), tuple((each.value, voice.frame(each.value)) for each in AnsweringAs))


@dataclass(frozen=True, slots=True)
class Face:
    """The buttons of a processing, given where the person stands; `declined`: they said not to renew."""

    acts: frozenset[Act]
    situation: Situation = Situation.UNDECIDED
    declined: bool = False

    @property
    def accepts(self) -> bool:
        """Whether a consent can be given by these buttons."""
        return Act.ACCEPT in self.acts

    @property
    def renews(self) -> bool:
        """Whether giving it renews a consent that holds."""
        return self.accepts and self.situation is Situation.HOLDS

    @property
    def open(self) -> bool:
        """Whether an answer is awaited; otherwise the page folds, and offers a change of mind."""
        return self.accepts and bool({Act.REFUSE, Act.DECLINE} & self.acts)

    def buttons(self, voice: Voice) -> tuple[tuple[str, str], ...]:
        """Return the buttons as (act, label), in the order of reading."""
        return tuple((act.value, voice.frame(self._word(act))) for act in _ORDER if act in self.acts)

    def saying_no(self, voice: Voice) -> str | None:
        """Return how to say no with these buttons; None where no consent can be given."""
        if not self.accepts:
            return None
        if Act.REFUSE in self.acts:
            return voice.frame("to_refuse")
        if self.situation is Situation.HOLDS:
            return voice.frame("to_let_end" if Act.DECLINE in self.acts else "to_let_end_declined")
        return voice.frame("to_stay_refused" if self.situation is Situation.REFUSED else "to_stay_withdrawn")

    def _word(self, act: Act) -> str:
        return "renew" if act is Act.ACCEPT and self.renews else act.value


FIRST: Final = Face(frozenset({Act.ACCEPT, Act.REFUSE}))
"""The buttons of a first request."""


def until_lines(face: Face, voice: Voice) -> list[Passage]:
    """Return how long a consent given now would last; empty after a no, so as not to argue with it."""
    if not (face.open or face.renews):
        return []
    return [Passage(voice.frame("if_renewed" if face.renews else "if_accepted"), voice.language, dated=True)]


@dataclass(frozen=True, slots=True)
class Frame:
    """The page's title and its first lines: who asks; what for and until when; and who must not answer alone."""

    title: str
    who: Passage
    what: Passage
    more: tuple[Passage, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The texts that are hashed: title and first lines."""
        return (self.title, self.who.text, self.what.text, *(each.text for each in self.more))

    @classmethod
    def of(cls, shown: Sequence[tuple["Asked", Face]], voice: Voice, title: str) -> "Frame":
        """Return the frame of a page about these processings, each with its buttons, under the named title."""
        asking = any(face.accepts for _, face in shown)
        awaited = asking and title in ASKING
        word, about = _who_is_named(shown, title, awaited=awaited)
        names = tuple(dict.fromkeys(who.name for each in about for who in each.controllers))
        if word == "asks" and names[1:]:
            word = "ask_together"
        who = voice.frame(word, controller=listed(names, voice.language))
        more = [voice.frame("one_by_one")] if awaited and shown[1:] else []
        more += [voice.frame("age")] if asking else []
        return cls(
            voice.frame(title),
            Passage(who, voice.language, tuple(map(Mark, names))),
            _what([each for each, _ in shown], voice, awaited=awaited),
            tuple(Passage(each, voice.language) for each in more),
        )


_NOTHING_SAID: Final = frozenset({Situation.UNDECIDED, Situation.INVALID})


def _who_is_named(shown: Sequence[tuple["Asked", Face]], title: str, *, awaited: bool) -> tuple[str, Sequence["Asked"]]:
    """Return the word of the first line, and the processings whose controllers it names.

    A person who withdraws or has answered is asked nothing: the line then says to whom the consent or answer was given.
    """
    everything = [each for each, _ in shown]
    given = [each for each, face in shown if Act.WITHDRAW in face.acts]
    if awaited:
        return "asks", everything
    if given and (title == "title_withdraw" or len(given) == len(shown)):
        return "given", given
    answered = any(face.situation not in _NOTHING_SAID for _, face in shown)
    return ("answered" if answered else "asked"), everything


def _what(asked: Sequence["Asked"], voice: Voice, *, awaited: bool) -> Passage:
    purposes = listed(list(dict.fromkeys(voice.purpose(each.purpose) for each in asked)), voice.language)
    said = voice.frame("until" if awaited else "purposes", purposes=f"{purposes[:1].upper()}{purposes[1:]}")
    return Passage(said, voice.language, dated=awaited)
