"""The text that Sceau's own page shows before it asks for a consent, made from the register alone, and its hash.

What must be said: GDPR art. 13 (who, what for, recipients, how long, rights, complaint), art. 7(3) (withdrawal told
before), L32-3 IV (each processing on its own, a year at most). The text holds no date and no person: it is the same for
everyone asked the same way about the same versions in one language, and its hash proves what was shown.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

from app.core.page.face import FIRST, Choice, Face, Frame, choice_for, until_lines
from app.core.page.questions import Asked, elements_in_words, questions, who_receives
from app.core.wording import Answered, Audience, Passage, Voice, registered


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
        said = (*frame, *_lines(self.common), self.name.text, *rest)
        return tuple(unicodedata.normalize("NFC", " ".join(line.split())) for line in said)

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
        said = (self.name.text, *_lines([row for row in (*self.common, *self.rows) if row.topic not in _BY_STANDING]))
        return tuple(unicodedata.normalize("NFC", " ".join(line.split())) for line in said)


_BY_STANDING = frozenset({"changed", "refuse"})
"""The questions whose answers depend on where the person stands."""


def consent_text(asked: Asked, language: str, face: Face = FIRST) -> ConsentText:
    """Return the text that asks for consent to one version of a processing, in `fr` or `en`, alone on its page."""
    return on_one_page([(asked, face)], language)[0]


def on_one_page(
    asked: Sequence[tuple[Asked, Face]],
    language: str,
    *,
    title: str = "title_decide",
    audience: Audience = Audience.ALONE,
) -> tuple[ConsentText, ...]:
    """Return the texts of the processings that one page shows; what they have in common is said once.

    Args:
        asked: each processing, with its buttons.
        language: `fr` or `en`.
        title: the word of the page's title, among those of `Sentences.frame`.
        audience: who reads it.

    """
    voice = Voice(language, audience)
    frame = Frame.of(asked, voice, title)
    texts = [_alone(each, voice, face) for each, face in asked]
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
