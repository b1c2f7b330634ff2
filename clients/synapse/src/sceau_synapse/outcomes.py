"""Says what became of messages, in numbers and in two lines of the log; never whose they were.

A line comes when Sceau stops being usable and one when it answers again, not one for each message.
"""

import logging
from enum import StrEnum
from typing import Final

from prometheus_client import Counter

log = logging.getLogger("synapse.modules.sceau")
_MESSAGES: Final = Counter(
    "sceau_synapse_messages",
    "Messages by processing, and what became of their analysis",
    labelnames=["processing", "outcome"],
)


class Outcome(StrEnum):
    """What became of the analysis of a message by a processing."""

    ANALYSED = "analysed"
    DENIED = "denied"
    UNUSABLE = "unusable"
    """Sceau gave no answer that says anything, in time."""
    LAPSED = "lapsed"
    """The permit had ended before the analysis could begin."""
    TOO_MANY = "too_many_members"
    BUSY = "busy"
    """As many messages as allowed were under way."""
    FAILED = "analysis_failed"


class Outcomes:
    """Counts, and remembers whether Sceau answered last time."""

    def __init__(self) -> None:
        """Suppose that it answers."""
        self._usable = True

    def count(self, processing: str, outcome: Outcome) -> None:
        """Count one message."""
        _MESSAGES.labels(processing=processing, outcome=outcome.value).inc()

    def unusable(self, why: str) -> None:
        """Sceau gave no answer."""
        if self._usable:
            log.warning("Sceau cannot be asked (%s): messages are delivered, and none is analysed", why)
        self._usable = False

    def usable(self) -> None:
        """Sceau answered."""
        if not self._usable:
            log.info("Sceau answers again")
        self._usable = True

    def failed(self, processing: str, error: BaseException) -> None:
        """An analysis raised: its kind and place, not its message, which may quote what it read."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else "unknown"
        log.error("the analysis of %s raised %s at %s", processing, type(error).__name__, where)
        self.count(processing, Outcome.FAILED)
