"""A question as it was read from a request, with pseudonyms in the place of ids."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import asdict

from app.core.article import Channel, Element
from app.core.decision import DecisionRequest, Participant


class Circumstances(Struct, frozen=True, gc=False):
    """All of a question but whom it is about. Equal when every member is equal.

    `elements` None touches all that the processing declares.
    """

    processing: str
    elements: frozenset[Element] | None
    automated: bool
    channel: Channel
    private: bool
    territory: str


class Question(Struct, frozen=True):
    """One question: the circumstances, the subject's pseudonym, and the correspondence by its type and id.

    `participants` makes the other parties' pseudonyms, which few processings need; None when the request does not say
    who they are. `wants_token`: whether a permit is to carry a decision token. `subject_id` is (type, id) as it was
    sent: a decision token is bound to it, and nothing else reads it.
    """

    circumstances: Circumstances
    subject: bytes
    participants: Callable[[], tuple[Participant, ...]] | None
    correspondence: tuple[str, str]
    subject_id: tuple[str, str]
    wants_token: bool = False

    def __repr__(self) -> str:
        """What is asked, without ids."""
        return f"Question({self.circumstances})"

    @property
    def processing(self) -> str:
        """The processing's id."""
        return self.circumstances.processing

    def request(self, participants: tuple[Participant, ...] | None) -> DecisionRequest:
        """The question as the rules take it, about these other parties."""
        # By name, all of them: a circumstance that the rules have no place for is an error, and none can be left out.
        return DecisionRequest(subject=self.subject, participants=participants, **asdict(self.circumstances))

    def whole(self) -> DecisionRequest:
        """The question as the rules take it, with all that the request says."""
        return self.request(self.participants() if self.participants is not None else None)
