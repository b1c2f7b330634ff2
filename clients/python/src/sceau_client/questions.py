"""Questions: about which user, processing and correspondence. They are values, and nothing here is printed.

An error of the program raises `TypeError` or `ValueError`, without the value. A strange id raises nothing, because ids
come from outside: Sceau refuses it.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final

from sceau_client.words import Channel, Element

_TERRITORY: Final = re.compile(r"[A-Z]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """A user by id; `type` is the namespace of the id, as in the consents recorded with Sceau."""

    id: str = field(repr=False)
    type: str = "user"

    def __post_init__(self) -> None:
        """Refuse values that are no text."""
        if not (_is_text(self.id) and _is_text(self.type)):
            raise TypeError("a subject's id and type are texts")


User = str | Subject
"""A user: an id of the type `user`, or a `Subject`."""


def subject(user: User) -> Subject:
    """The user as a subject."""
    return user if isinstance(user, Subject) else Subject(user)


@dataclass(frozen=True, slots=True, init=False)
class Parties:
    """The other parties: your users by id, and the number of all others, whose addresses are never sent."""

    local: tuple[Subject, ...] = field(repr=False)
    outsiders: int

    def __init__(self, local: Collection[User] = (), *, outsiders: int = 0) -> None:
        """Name the local users, and count the others."""
        if isinstance(local, str | Subject):
            raise TypeError("local parties are a collection of users")
        if outsiders < 0:
            raise ValueError("there cannot be fewer than no outsiders")
        object.__setattr__(self, "local", tuple(subject(user) for user in local))
        object.__setattr__(self, "outsiders", outsiders)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correspondence:
    """A message, as `HandleMaker.correspondence` makes it; its handle differs for each user.

    `parties` None means that the question does not say who takes part: a processing that wants the consent of the
    other parties is then denied. `territory` is an ISO 3166-1 alpha-2 code.
    """

    handle: Callable[[Subject], str] = field(repr=False)
    parties: Parties | None = None
    channel: Channel = Channel.ONLINE
    private: bool = True
    territory: str = "FR"

    def __post_init__(self) -> None:
        """Refuse words that Sceau does not know."""
        object.__setattr__(self, "channel", Channel(self.channel))
        if _TERRITORY.fullmatch(self.territory) is None:
            raise ValueError("a territory is a code of two capital letters (ISO 3166-1)")
        if not isinstance(self.private, bool):
            raise TypeError("private is True or False")

    def between(self, users: Collection[Subject]) -> "Correspondence":
        """The same message with these users as further parties; if its parties are unknown, they stay unknown."""
        if self.parties is None:
            return self
        together = dict.fromkeys((*self.parties.local, *users))
        return replace(self, parties=Parties(tuple(together), outsiders=self.parties.outsiders))


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Question:
    """May this processing analyse this correspondence for this user?

    No `elements` means: all that the processing declares. `automated` False means that a human would read.
    `token` asks for a decision token with a permit, for somebody who cannot call (Sceau's docs/decision-tokens.md).
    """

    subject: Subject
    processing: str
    correspondence: Correspondence
    elements: frozenset[Element]
    automated: bool
    token: bool

    def __init__(
        self,
        user: User,
        processing: str,
        correspondence: Correspondence,
        *,
        elements: Collection[Element] = (),
        automated: bool = True,
        token: bool = False,
    ) -> None:
        """Ask for one user."""
        if not isinstance(correspondence, Correspondence):
            raise TypeError("a correspondence is made by HandleMaker.correspondence")
        if not (_is_text(processing) and processing):
            raise TypeError("a processing is the id that the register knows it by")
        if isinstance(elements, str):
            raise TypeError("elements are a collection")
        asked = subject(user)
        if correspondence.parties is not None and any(p.type != asked.type for p in correspondence.parties.local):
            raise ValueError("local parties are users of the type of the user who is asked about")
        object.__setattr__(self, "subject", asked)
        object.__setattr__(self, "processing", processing)
        object.__setattr__(self, "correspondence", correspondence)
        object.__setattr__(self, "elements", frozenset(Element(each) for each in elements))
        object.__setattr__(self, "automated", bool(automated))
        object.__setattr__(self, "token", bool(token))


def _is_text(value: object) -> bool:
    """Whether the value is text, even if a caller broke its type."""
    return isinstance(value, str)
