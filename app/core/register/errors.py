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
    """Another person approves: the caller proposed this, or one made the other's key, or somebody made both keys."""

    slug = "own-proposal"


class NoSecondPersonError(DomainError):
    """Nobody could approve this: first give another person a caller of kind `person` with `register:approve`.

    Whoever proposes by a key needs somebody with another key, made by the bootstrap key or at the command line: whoever
    makes somebody's key may hold a copy. Whoever proposes as an identity of the issuer needs another identity of it
    (POST /v1/identities): a key and an identity may be one person's.
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
