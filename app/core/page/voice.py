"""How a page speaks: in a language, to a reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.core.article import Element, Purpose
from app.core.page.catalogue import SENTENCES, Audience, Sentences
from app.core.page.passages import Mark, Passage
from app.words import Texts


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
