"""What is refused about staff notices, in the manner of `app.core.errors`."""

from app.core.errors import DomainError


class IncompleteNoticeError(DomainError):
    """The notice leaves out what staff must be told (CPCE art. L32-3, V, and D. 98-5 I)."""

    slug = "incomplete-notice"


class NoticeUnfinishedError(DomainError):
    """This version of the notice is not complete, so nobody can acknowledge it: publish a complete one first."""

    slug = "notice-unfinished"
