"""The HTTP status of each domain error."""

from collections.abc import Mapping
from typing import Final

from app.core import errors
from app.core import staff as staff_errors
from app.core.names import MailboxSharedError, SameNameError, TooManyNamesError
from app.core.register import errors as register_errors

STATUS: Final[Mapping[type[errors.DomainError], int]] = {
    errors.AnswerErasedError: 409,
    errors.CallerRevokedError: 409,
    errors.AgeDateError: 422,
    errors.CollectionTimeError: 422,
    errors.ConsentLinkEndedError: 410,
    errors.ConsentNotApplicableError: 409,
    errors.ContactMissingError: 409,
    errors.CredentialEndedError: 401,
    errors.CursorTooOldError: 410,
    errors.FormAlreadySentError: 409,
    errors.FormNotOursError: 400,
    errors.FormOutdatedError: 409,
    errors.QualityNotStatedError: 409,
    errors.IdempotencyMismatchError: 422,
    errors.IdentityTakenError: 409,
    errors.InvalidCursorError: 422,
    errors.InvalidExpiryError: 422,
    errors.InvalidNoticeError: 422,
    errors.InvalidPeriodError: 422,
    errors.InvalidUrlError: 422,
    errors.InvalidVersionError: 422,
    errors.InvalidSubjectError: 400,
    errors.NothingToRenewError: 409,
    errors.JointConsentNeededError: 409,
    errors.JointConsentNotApplicableError: 409,
    errors.KnownByTokenError: 409,
    errors.MemberActiveError: 409,
    errors.NotFoundError: 404,
    errors.NothingToWithdrawError: 409,
    errors.OwnAcknowledgementError: 409,
    errors.PersonsOnlyError: 403,
    errors.ProcessingExistsError: 409,
    errors.ProcessingNotAllowedError: 403,
    errors.ProcessingRetiredError: 409,
    errors.ProcessingSuspendedError: 409,
    errors.ScopeMissingError: 403,
    errors.ScopeNotHeldError: 403,
    errors.SolicitationPausedError: 409,
    errors.TextChangedError: 409,
    errors.TooManyEndpointsError: 409,
    errors.TooManyFormsError: 429,
    errors.TooManyKeysError: 409,
    errors.UnknownIssuerError: 422,
    errors.UnknownVersionError: 422,
    MailboxSharedError: 409,
    SameNameError: 422,
    TooManyNamesError: 409,
    register_errors.ControllerExistsError: 409,
    register_errors.ImportNotApprovedError: 409,
    register_errors.ImportOfAnotherError: 409,
    register_errors.ImportUntilError: 422,
    register_errors.ImportChangedError: 409,
    register_errors.NoSecondPersonError: 409,
    register_errors.NotProposedError: 409,
    register_errors.RowChangedError: 409,
    register_errors.OwnProposalError: 403,
    register_errors.ProcessingNotApprovedError: 409,
    register_errors.ProposalPendingError: 409,
    register_errors.NoticeOnPagesError: 409,
    register_errors.UnknownTextError: 422,
    register_errors.VersionInvalidatedError: 409,
    staff_errors.IncompleteNoticeError: 422,
    staff_errors.NoticeUnfinishedError: 409,
}

_MAYBE: Final = "or none that this caller may see"
_NOT_FOUND: Final[Mapping[str, str]] = {
    "/v1/processings/": f"No processing has the id in the path, {_MAYBE}: GET /v1/processings lists those it may.",
    "/v1/controllers/": "No controller has the id in the path: GET /v1/controllers lists them.",
    "/v1/keys/": f"No caller or key has the id in the path, {_MAYBE}: GET /v1/keys lists those it may.",
    "/v1/webhooks/": f"No receiver or delivery has the id in the path, {_MAYBE}: GET /v1/webhooks lists those it may.",
    "/v1/consents/": f"No consent has the id in the path, {_MAYBE}: POST /v1/consents/search finds those it may.",
    "/v1/consent-events/": f"No entry of the ledger has the id in the path, {_MAYBE}.",
    "/v1/staff/": "No member of the staff has the id in the path: GET /v1/staff/members lists them.",
    "/v1/presented-texts/": "No text that was shown has the SHA-256 in the path.",
}


def not_found_at(path: str) -> str | None:
    """What a 404 says of an id in a path, and where the right ones are listed; None where a path has none.

    The id itself is not repeated: a problem never quotes what the client sent.
    """
    return next((words for start, words in _NOT_FOUND.items() if path.startswith(start)), None)
