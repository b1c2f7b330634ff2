"""What stands around a processing's text: the page's title and first lines, and the buttons with what they do.

The same facts are asked with other buttons at a first request, at a renewal, and after an answer. Whatever is read is
part of the text that is hashed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from app.core.page.link import Act, Situation
from app.core.page.passages import Mark, Passage, listed
from app.core.page.words import FRAME, PURPOSE

if TYPE_CHECKING:
    from app.core.page.questions import Asked

_ORDER: Final = (Act.ACCEPT, Act.REFUSE, Act.DECLINE, Act.WITHDRAW)


class Audience(StrEnum):
    """Who reads the page: whoever decides alone, or one of the two who decide together under fifteen."""

    ALONE = "alone"
    CHILD = "child"
    PARENT = "parent"


ASKING: Final = frozenset({"title_decide", "title_renew", "title_child", "title_parent"})
"""The titles of pages that await an answer."""


@dataclass(frozen=True, slots=True)
class Face:
    """The buttons of a processing, in the light of where the person stands; `declined`: they said not to renew."""

    acts: frozenset[Act]
    situation: Situation = Situation.UNDECIDED
    declined: bool = False

    @property
    def accepts(self) -> bool:
        """Whether a consent can be given by it."""
        return Act.ACCEPT in self.acts

    @property
    def renews(self) -> bool:
        """Whether giving it renews a consent that holds."""
        return self.accepts and self.situation is Situation.HOLDS

    @property
    def open(self) -> bool:
        """Whether an answer is awaited: else the page folds, and offers a change of mind."""
        return self.accepts and bool({Act.REFUSE, Act.DECLINE} & self.acts)

    def buttons(self, language: str) -> tuple[tuple[str, str], ...]:
        """The buttons as (act, label), in the order of reading."""
        return tuple((act.value, FRAME[self._word(act)][language]) for act in _ORDER if act in self.acts)

    def saying_no(self, language: str) -> str | None:
        """How to say no with these buttons; None where no consent can be given."""
        if not self.accepts:
            return None
        if Act.REFUSE in self.acts:
            return FRAME["to_refuse"][language]
        if self.situation is Situation.HOLDS:
            return FRAME["to_let_end" if Act.DECLINE in self.acts else "to_let_end_declined"][language]
        return FRAME["to_stay_refused" if self.situation is Situation.REFUSED else "to_stay_withdrawn"][language]

    def _word(self, act: Act) -> str:
        return "renew" if act is Act.ACCEPT and self.renews else act.value


FIRST: Final = Face(frozenset({Act.ACCEPT, Act.REFUSE}))
"""Asked for the first time."""


def until_line(face: Face, language: str) -> Passage:
    """Until when a consent given now would last."""
    return Passage(FRAME["if_renewed" if face.renews else "if_accepted"][language], language, dated=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """The page's title and its first lines: who asks; what for, until when; and who must not answer alone."""

    title: str
    who: Passage
    what: Passage
    more: tuple[Passage, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What is hashed of it."""
        return (self.title, self.who.text, self.what.text, *(each.text for each in self.more))

    @classmethod
    def of(
        cls,
        asked: Sequence["Asked"],
        language: str,
        title: str,
        *,
        asking: bool,
        audience: Audience = Audience.ALONE,
    ) -> "Frame":
        """The frame of a page about these; `asking`: a consent can be given on it."""
        names = tuple(dict.fromkeys(who.name for each in asked for who in each.controllers))
        awaited = asking and title in ASKING
        word = ("ask_together" if names[1:] else "asks") if awaited else "asked"
        if awaited and audience is Audience.CHILD:
            word = "asks_child"
        who = FRAME[word][language].format(controller=listed(names, language))
        more = [FRAME["one_by_one"][language]] if awaited and asked[1:] else []
        more += [FRAME["age" if audience is Audience.ALONE else audience.value][language]] if asking else []
        return cls(
            FRAME[title][language],
            Passage(who, language, tuple(map(Mark, names))),
            _what(asked, language, awaited=awaited),
            tuple(Passage(each, language) for each in more),
        )


def _what(asked: Sequence["Asked"], language: str, *, awaited: bool) -> Passage:
    purposes = listed(list(dict.fromkeys(PURPOSE[each.purpose][language] for each in asked)), language)
    word = ("until_latest" if asked[1:] else "until") if awaited else "purposes"
    said = FRAME[word][language].format(purposes=f"{purposes[:1].upper()}{purposes[1:]}")
    return Passage(said, language, dated=awaited)
