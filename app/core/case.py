"""A case to judge: one request about a registered processing, with its facts, and what a rule may decide on it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from app.core.article import SECRECY, Article, Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest, Reason
from app.core.fold import Grant, Standing, expiry, fold
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
        return fold(self.consents.get(subject, ()), self.processing, self.at)

    def expiry_of(self, grant: Grant) -> datetime:
        """Return the first instant at which a grant is no longer in force; the subject's own is computed only once."""
        own = self._own_expiry
        if own is not None and grant is own[0]:
            return own[1]
        return expiry(grant, self.processing, self.at, self.policy)

    @cached_property
    def _own_expiry(self) -> tuple[Grant, datetime] | None:
        """The subject's grant, and when it expires."""
        grant = self.standing.grant
        return None if grant is None else (grant, expiry(grant, self.processing, self.at, self.policy))


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
