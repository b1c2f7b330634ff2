"""The words of questions and answers, each a closed list: the values are what goes over the wire."""

from enum import Enum, StrEnum, auto


class Element(StrEnum):
    """One of the four things that the secrecy covers (L32-3 I and II)."""

    CONTENT = "content"
    CORRESPONDENT_IDENTITY = "correspondent_identity"
    SUBJECT_LINE = "subject_line"
    ATTACHMENTS = "attachments"


class Channel(StrEnum):
    """How the correspondence travels."""

    ONLINE = "online"
    TEXT_MESSAGE = "text_message"


class ExemptPurpose(StrEnum):
    """The five purposes that need no consent, and must not wait for one (L32-3 III)."""

    DISPLAY = "display"
    SORTING = "sorting"
    ROUTING = "routing"
    UNSOLICITED_CONTENT_DETECTION = "unsolicited_content_detection"
    MALWARE_DETECTION = "malware_detection"


class Outcome(Enum):
    """The outcome of a question. Only `PERMIT` is true, so that `if decision.outcome:` cannot let a deny through."""

    PERMIT = auto()
    DENY = auto()
    UNKNOWN = auto()

    def __bool__(self) -> bool:
        """Whether it is a permit."""
        return self is Outcome.PERMIT


class Cause(StrEnum):
    """Why an outcome is unknown."""

    TIMEOUT = "timeout"
    """No whole answer within the deadline."""
    UNAVAILABLE = "unavailable"
    """No connection, one that broke, or Sceau said that it cannot know now (5xx)."""
    REFUSED = "refused"
    """Sceau did not take the question: 400, 401, 403, 413, 429."""
    MALFORMED = "malformed"
    """An answer came that is none: another content, another length, another question's."""
