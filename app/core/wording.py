"""What a decision says to the user it concerns, one sentence for each reason; and a register's words for its facts."""

from typing import Final

from app.core.decision import Reason
from app.core.processing import Status
from app.words import Catalogue, Texts

REASON_FOR_USER: Final = Catalogue("reason_user")
"""By the reason; and `not_begun`, of a processing that is proposed."""

PURPOSE_WORDS: Final = Catalogue("purpose")
ELEMENT_WORDS: Final = Catalogue("element")
STATUS_WORDS: Final = Catalogue("status")


def reason_for_user(reason: Reason, status: Status | None = None) -> Texts:
    """The sentence of a reason in each language.

    Args:
        reason: of the decision.
        status: of the processing at the instant judged, if it is known: a proposal is neither suspended nor over.

    """
    if reason is Reason.PROCESSING_SUSPENDED and status is Status.PROPOSED:
        return REASON_FOR_USER["not_begun"]
    return REASON_FOR_USER[reason]
