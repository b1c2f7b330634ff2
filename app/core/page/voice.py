"""How a page speaks: in a language, to a reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from app.core.article import Element, Purpose
from app.core.page.passages import Mark, Passage
from app.words import Catalogue, Texts


class Audience(StrEnum):
    """Who reads the page.

    `alone`: an adult, or somebody whose age nobody stated; `teen`: somebody of 15 to 17, who decides alone too;
    `child` and `parent`: the two who decide together under fifteen.
    """

    ALONE = "alone"
    TEEN = "teen"
    CHILD = "child"
    PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences by their names, each in every language; `{…}` is filled from the register.

    `said`: questions by their topic, and the sentences that answer them. `frame`: what stands around those answers:
    title, the first lines, age, buttons. `changed`: the facts of a version whose change is told. `purpose` and
    `element`: by the register's words.
    """

    purpose: Catalogue
    element: Catalogue
    said: Catalogue
    frame: Catalogue
    changed: Catalogue

    @classmethod
    def of(cls, *readers: str) -> Self:
        """The sentences of parts such as `asking`; a later one says what it has in the place of an earlier one."""

        def words(name: str) -> Catalogue:
            first, *others = (f"{reader}.{name}" for reader in readers)
            return Catalogue(first, *others)

        return cls(*map(words, ("purpose", "element", "said", "frame", "changed")))


SENTENCES: Final[Mapping[Audience, Sentences]] = {
    Audience.ALONE: Sentences.of("asking"),
    Audience.TEEN: Sentences.of("asking", "asking_teen"),
    Audience.CHILD: Sentences.of("asking", "asking_teen", "asking_child"),
    Audience.PARENT: Sentences.of("asking", "asking_parent"),
}
"""What a reader has no sentence of their own for, adults' words say."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Says Sceau's own sentences in `fr` or `en` to a reader."""

    language: str
    audience: Audience = Audience.ALONE

    def said(self, word: str, **filled: str) -> str:
        """A question, or a sentence that answers one."""
        return self._of(self._words.said, word).format(**filled)

    def passage(self, word: str, marks: Sequence[Mark] = (), **filled: str) -> Passage:
        """The same as a passage, in which words from elsewhere are marked."""
        return Passage(self.said(word, **filled), self.language, tuple(marks))

    def frame(self, word: str, **filled: str) -> str:
        """A sentence that stands around the answers."""
        return self._of(self._words.frame, word).format(**filled)

    def purpose(self, purpose: Purpose) -> str:
        """What for, such as `à des fins publicitaires`."""
        return self._words.purpose[purpose][self.language]

    def elements(self, elements: frozenset[Element] | Sequence[Element]) -> list[str]:
        """What is analysed, in the one order; the subject line refers to the content only where that stands before."""
        words = self._words
        named = [each for each in words.element if each in elements]
        told = {each: words.element[each][self.language] for each in named}
        if Element.SUBJECT_LINE in told and Element.CONTENT not in told:
            told[Element.SUBJECT_LINE] = self.said("subject_line_alone")
        return list(told.values())

    def changed(self, field: str) -> str | None:
        """The name of a fact whose change is told; None for one of which only the whole text tells."""
        texts = self._words.changed.get(field)
        return texts[self.language] if texts is not None else None

    @property
    def _words(self) -> Sentences:
        return SENTENCES[self.audience]

    def _of(self, texts: Mapping[str, Texts], word: str) -> str:
        return texts[word][self.language]
