"""What the register refuses about controllers and approvals, in the manner of `app.core.errors`."""

from app.core.errors import DomainError


class ControllerExistsError(DomainError):
    """A controller with this id or identifier is registered already; a new name or address is a version of it."""

    slug = "controller-exists"


class ProcessingNotApprovedError(DomainError):
    """The processing is proposed: until another person has approved it, it can only be retired."""

    slug = "processing-not-approved"


class ProposalPendingError(DomainError):
    """A version of this processing waits to be approved or rejected: nothing is added to it before."""

    slug = "proposal-pending"


class NotProposedError(DomainError):
    """This version does not wait for anybody: it was never proposed, or it was approved or rejected already."""

    slug = "not-proposed"


class OwnProposalError(DomainError):
    """Another person approves: by who made the two callers, this one and who proposed it may be one human being."""

    slug = "own-proposal"


class NoSecondPersonError(DomainError):
    """Nobody could approve this: first give another person a caller of kind `person` with `register:approve`.

    Whoever proposes by a key needs somebody with another key, and whoever proposes by an account of an issuer somebody
    with another account of the same issuer: a key and an account may be one person's. Let the bootstrap key, or the
    command line, make the callers of both: whoever makes a key, or registers an account, may use it.
    """

    slug = "no-second-person"


class VersionInvalidatedError(DomainError):
    """The version in force, or one of its notices, was invalidated: nothing is asked until there is a new version."""

    slug = "version-invalidated"


class UnknownTextError(DomainError):
    """No consent to this processing rests on that text: it is no notice of a version, and no consent names its hash."""

    slug = "unknown-text"


class NoticeOnPagesError(DomainError):
    """The consent page has shown this notice within texts of other hashes: invalidate the version."""

    slug = "notice-on-pages"


class ImportNotApprovedError(DomainError):
    """Grants are imported only once another person has approved the import: POST /v1/imports/{name}/approvals."""

    slug = "import-not-approved"


class RowChangedError(DomainError):
    """This row of the import was recorded already, and said something else then."""

    slug = "import-row-changed"


class ImportUntilError(DomainError):
    """An import of grants names the instant until which the older system decided, the same each time: `until`."""

    slug = "import-until"


class ImportChangedError(DomainError):
    """The import is not what was looked at: its number of grants or its `until` changed. Look again."""

    slug = "import-changed"


class ImportOfAnotherError(DomainError):
    """Another caller began the import of this name, and alone goes on with it: choose another name."""

    slug = "import-of-another"
