"""What can be refused for a domain reason, one class each. The class docstring is the default message.

Nothing here knows HTTP: `app.api.http.problems` maps these to problem documents. A message never carries an
identifier of a person.
"""

from typing import ClassVar


class RefusalError(Exception):
    """What was asked for is refused; its text says why, in one line for a person, and holds no secret.

    The command prints it as it is; what is no such error is a fault of the program, and is shown as one.
    """

    message: ClassVar[str] = ""
    """The text of an error that is raised without one."""

    def __str__(self) -> str:
        """Return the text."""
        return super().__str__() or self.message


class DomainError(RefusalError):
    """The request is refused."""

    slug: ClassVar[str] = "refused"

    def __init__(self, detail: str | None = None, *, field: str | None = None) -> None:
        """Keep a message for the reader and, when one field is at fault, its dotted path in the request."""
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.field = field
        super().__init__(self.detail)


class ConflictError(DomainError):
    """What is recorded stands in the way of the request."""


class ForbiddenError(DomainError):
    """The caller may not do this."""


class GoneError(DomainError):
    """What the request names was there, and is over."""


class InvalidPeriodError(DomainError):
    """A consent period is P1Y, or 1 to 12 months, 1 to 52 weeks or 1 to 365 days, and never longer than one year."""

    slug = "invalid-period"


class InvalidNoticeError(DomainError):
    """Notices of renewal are so many days or weeks before the expiry, each once, at most 365 days: P60D,P30D,P7D."""

    slug = "invalid-notice"


class UnknownEventKindError(DomainError):
    """A consent event of an unknown kind is an error, never a grant."""

    slug = "unknown-event-kind"


class NotFoundError(DomainError):
    """There is no such thing."""

    slug = "not-found"


class InvalidSubjectError(DomainError):
    """The subject's id is an address with a domain that IDNA (RFC 5890) does not allow."""

    slug = "invalid-subject"


class ProcessingExistsError(ConflictError):
    """A processing with this id is registered already; add a version to it instead."""

    slug = "processing-exists"


class TooManyConsentsError(ConflictError):
    """This person has consented a hundred times in a day: ask again a day later. A withdrawal is always recorded."""

    slug = "too-many-consents"


class ProcessingRetiredError(ConflictError):
    """The processing is retired, which is final."""

    slug = "processing-retired"


class InvalidVersionError(DomainError):
    """The new version of the processing is refused."""

    slug = "invalid-version"


class ConsentNotApplicableError(ConflictError):
    """This purpose does not rest on consent (one of L32-3 III, or none of IV's): a decision cannot be recorded."""

    slug = "consent-not-applicable"


class ContactMissingError(ConflictError):
    """The version in force names no contact for the protection of data: who is asked must be told one.

    GDPR art. 13(1)(a) and (b).
    """

    slug = "contact-missing"


class UnknownVersionError(DomainError):
    """The register holds no such version of the processing."""

    slug = "unknown-version"


class AgeDateError(DomainError):
    """The day on which somebody turns 15 goes with `under_15`, and lies ahead by at most fifteen years."""

    slug = "age-date"


class CollectionTimeError(DomainError):
    """The time of collection is in the future, before the text existed, or further back than this caller may record."""

    slug = "collection-time"


class InvalidEvidenceError(DomainError):
    """The evidence of a grant contradicts itself or the version granted."""

    slug = "invalid-evidence"


class ProcessingSuspendedError(ConflictError):
    """The processing is suspended: nothing is asked for it meanwhile."""

    slug = "processing-suspended"


class SolicitationPausedError(ConflictError):
    """All of this was refused or withdrawn lately, is not to be renewed, or was asked for often enough: not now."""

    slug = "solicitation-paused"


class NothingToWithdrawError(ConflictError):
    """No consent to any of these processings is in force."""

    slug = "nothing-to-withdraw"


class NothingToRenewError(ConflictError):
    """No consent to this processing holds, so there is nothing to renew."""

    slug = "nothing-to-renew"


class JointConsentNeededError(ConflictError):
    """Under fifteen, child and holder of parental responsibility consent together: by a link of kind `joint`.

    GDPR art. 8, loi n° 78-17 art. 45.
    """

    slug = "joint-consent-needed"


class ConsentLinkEndedError(GoneError):
    """The link has expired, or the account that it was made for was closed."""

    slug = "consent-link-ended"


class JointConsentNotApplicableError(ConflictError):
    """Nobody has stated that this person is under fifteen: a consent is then given by the person alone."""

    slug = "joint-consent-not-applicable"


class FormNotOursError(DomainError):
    """The form is not one that this page showed."""

    slug = "form-not-ours"


class FormAlreadySentError(ConflictError):
    """The form was sent before; what it said is recorded once."""

    slug = "form-already-sent"


class QualityNotStatedError(ConflictError):
    """A parent or guardian consents for a child without saying which of the two they are (LIL art. 45)."""

    slug = "quality-not-stated"


class FormOutdatedError(ConflictError):
    """What the form was about has changed since it was shown; nothing was recorded."""

    slug = "form-outdated"


class TextChangedError(ConflictError):
    """The text has changed since it was shown; nothing was recorded."""

    slug = "text-changed"


class TooManyFormsError(DomainError):
    """Too many forms were sent through one link in a short time."""

    slug = "too-many-forms"


class InvalidCursorError(DomainError):
    """The page cursor is not one that this query handed out."""

    slug = "invalid-cursor"


class IdempotencyMismatchError(DomainError):
    """This Idempotency-Key was used with another request."""

    slug = "idempotency-key-reused"


class AnswerErasedError(ConflictError):
    """This was recorded under this Idempotency-Key, and its subject was erased since: nothing is recorded now."""

    slug = "subject-erased"


class ScopeMissingError(ForbiddenError):
    """The caller lacks the scope that this needs."""

    slug = "scope-missing"


class ProcessingNotAllowedError(ForbiddenError):
    """The caller may not ask about this processing."""

    slug = "processing-not-allowed"


class ScopeNotHeldError(ForbiddenError):
    """A caller cannot hand out more than it holds itself."""

    slug = "scope-not-held"


class InvalidExpiryError(DomainError):
    """The expiry of a key must lie ahead."""

    slug = "invalid-expiry"


class CredentialEndedError(DomainError):
    """The key or token was in force when the request came, and is no longer."""

    slug = "unauthorized"


class CallerRevokedError(ConflictError):
    """The caller is revoked, which is final: make another."""

    slug = "caller-revoked"


class KnownByTokenError(ConflictError):
    """The caller is known by the tokens of an issuer, and has no key to rotate: its issuer rotates for it."""

    slug = "known-by-token"


class TooManyKeysError(ConflictError):
    """So many keys of this caller are in force that another may not be: revoke one that nobody uses any more."""

    slug = "too-many-keys"


class UnknownIssuerError(DomainError):
    """This deployment takes no tokens of that issuer: SCEAU_OIDC_ISSUER names those that it takes."""

    slug = "unknown-issuer"


class IdentityTakenError(ConflictError):
    """Another caller is known by this issuer and subject: revoke that one, or change it."""

    slug = "identity-taken"


class InvalidUrlError(DomainError):
    """The URL is none that events can be sent to."""

    slug = "invalid-url"


class TooManyEndpointsError(ConflictError):
    """There are as many webhook endpoints as there may be; remove one first."""

    slug = "too-many-endpoints"


class CursorTooOldError(GoneError):
    """Events after this cursor are no longer kept: read what stands from the API, then begin without a cursor."""

    slug = "cursor-too-old"


class PersonsOnlyError(ForbiddenError):
    """This is for persons: the caller is a program (its kind is `machine`)."""

    slug = "persons-only"


class OwnAcknowledgementError(ConflictError):
    """Paper is for members without access: who has access acknowledges the notice themselves, on its page."""

    slug = "own-acknowledgement"


class MemberActiveError(ConflictError):
    """The member did not leave: note that first."""

    slug = "member-active"
