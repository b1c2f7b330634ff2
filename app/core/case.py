"""A case to judge: one request about a registered processing with its facts, and what a rule may decide of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from app.core.article import SECRECY, Article, Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest, Reason
from app.core.fold import Standing, fold
from app.core.grant import Grant, expiry
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.core.version import ProcessingVersion

Consents = Mapping[bytes, Sequence[ConsentEvent]]

_TEXT_CONTENT: Final = frozenset({Element.CONTENT, Element.ATTACHMENTS})


@dataclass(frozen=True)
class Case:
    """One request about a registered processing, with the facts it is judged on (rules 3 to 19).

    `consents` holds all events of each person, those about other processings too: age is a fact of the person.
    `shared` holds the locators that are mailboxes of several people.
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
        """The elements that the request touches; one that names none touches all declared."""
        return self.request.elements or self.version.elements

    @property
    def secrecy(self) -> Article:
        """The paragraph that binds this provider to secrecy."""
        return SECRECY[self.version.provider_kind]

    @property
    def content_by_text_message(self) -> bool:
        """Whether the content of a text message is touched (rules 7b and 9); the picture of an MMS is its content."""
        return self.request.channel is Channel.TEXT_MESSAGE and not self.touched.isdisjoint(_TEXT_CONTENT)

    @property
    def standing(self) -> Standing:
        """Where the subject stands; looked up by the rules of IV only."""
        return self.standing_of(self.request.subject)

    def standing_of(self, subject: bytes) -> Standing:
        """Where a subject (the user, or a local participant) stands on this processing: worked out once."""
        found = self._standings.get(subject)
        if found is None:
            found = self._standings[subject] = fold(self.consents.get(subject, ()), self.processing, self.at)
        return found

    def expiry_of(self, grant: Grant) -> datetime:
        """The first instant at which a grant is no longer in force: worked out once."""
        acts = id(grant.event), id(grant.first_act)  # events live as long as the case, whose `consents` hold them
        found = self._expiries.get(acts)
        if found is None:
            found = self._expiries[acts] = expiry(grant, self.processing, self.at, self.policy)
        return found

    @cached_property
    def _standings(self) -> dict[bytes, Standing]:
        return {}

    @cached_property
    def _expiries(self) -> dict[tuple[int, int], datetime]:
        return {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule decides: a reason, the paragraph cited, and the consent (a grant or refusal) that it rests on.

    `grant` is that consent where rules 14 to 19 looked at it as a grant.
    """

    reason: Reason
    article: Article | None
    consent: ConsentEvent | None = None
    grant: Grant | None = None
    permitted: bool = False
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table of rules: its number in docs/law.md, what it asks, and the function that answers."""

    number: str
    asks: str
    check: Callable[[Case], Outcome | None]
