"""A case to judge: one request about a registered processing, with its facts, and what a rule may decide on it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from app.core.article import SECRECY, Article, Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest, Reason
from app.core.fold import Standing, fold
from app.core.period import PeriodPolicy
from app.core.processing import Processing, ProcessingVersion

Consents = Mapping[bytes, Sequence[ConsentEvent]]

_TEXT_CONTENT: Final = frozenset({Element.CONTENT, Element.ATTACHMENTS})


@dataclass(frozen=True)
class Case:
    """One request about a registered processing, with the facts on which it is judged (rules 3 to 19).

    `consents` holds all events of each person, including those about other processings: age is a fact of the person.
    `shared` holds the locators of shared mailboxes.
    """

    request: DecisionRequest
    processing: Processing
    version: ProcessingVersion
    consents: Consents
    at: datetime
    policy: PeriodPolicy
    law: str
    shared: Collection[bytes]

    @property
    def touched(self) -> frozenset[Element]:
        """The elements that the request touches; a request that names none touches all that are declared."""
        return self.request.elements or self.version.elements

    @property
    def secrecy(self) -> Article:
        """The paragraph that binds this provider to secrecy."""
        return SECRECY[self.version.provider_kind]

    @property
    def content_by_text_message(self) -> bool:
        """Whether the content of a text message is touched (rules 7b and 9); the picture of an MMS is its content."""
        return self.request.channel is Channel.TEXT_MESSAGE and not self.touched.isdisjoint(_TEXT_CONTENT)

    @cached_property
    def standing(self) -> Standing:
        """Where the subject stands; only the rules of IV use it."""
        return self.standing_of(self.request.subject)

    def standing_of(self, subject: bytes) -> Standing:
        """Return where a subject (the user, or a local participant) stands on this processing."""
        standing = self._standings.get(subject)
        if standing is None:
            events = self.consents.get(subject, ())
            standing = self._standings[subject] = fold(events, self.processing, self.at, self.policy)
        return standing

    @cached_property
    def _standings(self) -> dict[bytes, Standing]:
        return {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule decides: a reason, the paragraph cited, and the user's consent (a grant or refusal) it rests on."""

    reason: Reason
    article: Article | None
    consent: ConsentEvent | None = None
    permitted: bool = False
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table of rules: its number in docs/law.md, what it asks, and the function that answers."""

    number: str
    asks: str
    check: Callable[[Case], Outcome | None]
