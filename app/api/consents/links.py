"""Links to the consent page, and the texts that it showed."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictStr, model_validator

from app.api.consents.routes import ParentChecked
from app.api.consents.routes import Territory as ConsentTerritory
from app.api.http.problems import FieldError, InvalidRequestError
from app.api.http.security import Needs, as_shown, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep, ReturnOriginsDep, SourceDep, WriterDep
from app.api.http.wire import ProcessingId, RecordView, SubjectBody, WireModel, at_fault, examples
from app.auth.callers import Authenticated, Caller, Scope
from app.core.consent import AgeBand
from app.core.consent_link import Authentication, LinkKind
from app.core.errors import NotFoundError
from app.ledger.link_store import Origins, find_text, listed_address
from app.operations.consents.make_links import LeftOutReason, WantedLink, create_consent_link, create_overview_link
from app.operations.consents.search_consents import whose_consent
from app.operations.service.deployment import SubjectName

router = strict_router("consents")

Writer = Annotated[Authenticated, Depends(as_shown(Needs(Scope.CONSENTS_WRITE)))]
Reader = Annotated[Caller, Depends(Needs(Scope.CONSENTS_READ))]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="A SHA-256 in lower-case hex")]

_NO_PROCESSING = (404, "One of the processings is not registered; or nothing is recorded about the user.")
_NOT_NOW = (409, "Nothing of this can be asked or withdrawn now; `type` and `detail` say why.")
_NO_TEXT = (404, "No such text was shown.")

_EXAMPLE: dict[str, Any] = {
    "subject": {"type": "user", "id": "alice@example.fr"},
    "processings": ["ads-mail"],
    "authentication": "mailbox",
    "kind": "decide",
}


def _each_once(processings: list[str]) -> list[str]:
    if len(set(processings)) != len(processings):
        raise ValueError("names a processing twice")
    return processings


ReturnAddress = Annotated[StrictStr, Field(min_length=9, max_length=500, examples=["https://mail.example.fr/done"])]


class NewConsentLink(WireModel):
    """Whose link, about which processings, and what it is for: a subject and processings, or a consent to renew."""

    model_config = examples({**_EXAMPLE, "by_person": True, "request_reference": "ticket-4711"})

    subject: SubjectBody | None = None
    processings: (
        Annotated[list[ProcessingId], Field(min_length=1, max_length=20), AfterValidator(_each_once)] | None
    ) = None
    consent: UUID | None = Field(
        default=None, description="In the place of both: the user and the processing of this consent"
    )
    authentication: Authentication = Field(
        description="How you know that the person who opens the link is this user: `mailbox` (it goes to the user's "
        "own mailbox or account and nowhere else), `signed_in`, `signed_in_strong` (two factors), `in_person`; part "
        "of the evidence"
    )
    kind: LinkKind = Field(
        description="`decide` asks; `withdraw` only withdraws, and lasts as long as the consent; `joint` asks a child "
        "under 15 and a holder of parental responsibility, each by a link of their own; `overview` shows everything "
        "that is held about the user, for a week, and withdraws what holds; it names no processing"
    )
    by_person: StrictBool = Field(
        default=False,
        description="The user asked to decide: what was refused lately is offered too, once in a half-year",
    )
    request_reference: Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"\S")] | None = Field(
        default=None,
        description="Required with `by_person`: what shows the request, such as a ticket's number, and nothing of "
        "the person",
        examples=["ticket-4711"],
    )
    territory: ConsentTerritory = Field(
        default="FR", description="Where the user is asked (ISO 3166-1): a consent given by the link is collected there"
    )
    age_band: AgeBand | None = Field(
        default=None, description="The user's age as far as consent is concerned; left out, the one last stated"
    )

    return_to: ReturnAddress | None = Field(
        default=None,
        description="Where the page offers to go back to after an answer: an address of an origin that the setting "
        "`SCEAU_RETURN_TO_ORIGINS` lists; put nothing of the person in it",
    )

    parent: SubjectBody | None = Field(
        default=None,
        description="Of kind `joint`: which parent, or other holder of parental responsibility, gets the other link; "
        "kept as a keyed reference",
    )
    parent_checked_how: ParentChecked | None = Field(
        default=None, description="How parental responsibility was checked; required with `parent`"
    )

    @model_validator(mode="after")
    def _one_parent(self) -> "NewConsentLink":
        joint = self.kind is LinkKind.JOINT
        if joint and (self.parent is None or self.parent_checked_how is None):
            raise ValueError("a link of kind joint says who the parent is and how that was checked")
        if not joint and (self.parent is not None or self.parent_checked_how is not None):
            raise ValueError("only a link of kind joint names a parent")
        return self

    @model_validator(mode="after")
    def _one_way(self) -> "NewConsentLink":
        if self.by_person is not (self.request_reference is not None):
            raise at_fault("request_reference", "goes with by_person, which needs it")
        named = self.subject is not None and self.processings is not None
        none = self.subject is None and self.processings is None
        if self.kind is LinkKind.OVERVIEW:
            if self.subject is None or self.processings is not None or self.consent is not None:
                raise ValueError("a link of kind overview takes a subject, and neither processings nor a consent")
        elif not (named if self.consent is None else none):
            raise ValueError("give a subject and processings, or a consent")
        return self

    def wanted(
        self, subject: SubjectName, processings: tuple[str, ...], credential: UUID, return_to: str | None = None
    ) -> WantedLink:
        """The link of this person about these processings; `return_to`: the address in the form in which it is kept."""
        parent = None
        if self.parent is not None and self.parent_checked_how is not None:
            parent = self.parent.name(), self.parent_checked_how
        parts = (subject, processings, self.kind, self.authentication, credential, self.request_reference)
        return WantedLink(*parts, self.age_band, return_to, self.territory, parent)


class LeftOutBody(RecordView):
    """A processing that the page does not offer, and why."""

    processing: str
    reason: LeftOutReason
    until: datetime | None = Field(default=None, description="When it may be offered again")


class ParentLinkBody(BaseModel):
    """The link of the holder of parental responsibility: as secret as the child's, and for that person only."""

    id: UUID
    url: str


class ConsentLinkBody(BaseModel):
    """The link. Its address is a secret, shown this once: a person who has it can decide for the user."""

    id: UUID = Field(description="Stands in the evidence of what is decided by it")
    url: str
    kind: LinkKind
    processings: list[str] = Field(description="What the page offers")
    expires_at: datetime = Field(description="When it stops asking; what it collected it can withdraw for longer")
    left_out: list[LeftOutBody]
    parent: ParentLinkBody | None = Field(
        default=None, description="Of kind `joint`: the other link; `url` is then the child's"
    )


class PresentedText(BaseModel):
    """A text as the consent page showed it."""

    sha256: str
    text: str


@router.post(
    "/v1/consent-links",
    status_code=201,
    summary="Make a link to the consent page",
    responses=problems(_NO_PROCESSING, _NOT_NOW),
)
async def post_consent_link(  # noqa: PLR0917 - a body, and the parts that it needs
    body: NewConsentLink,
    by: Writer,
    writer: WriterDep,
    deployment: DeploymentDep,
    source: SourceDep,
    origins: ReturnOriginsDep,
) -> ConsentLinkBody:
    """Make a link for one user to decide on processings of IV, or to withdraw; send it to that user only.

    To decide, each processing must name a `data_protection_contact` (409 `contact-missing`). The link asks for as long
    as the caller may and the key that made it is not revoked; withdrawing by it goes on. What the user refused or
    withdrew in the last six months (a setting) is left out, unless they asked for it. A user is asked for a processing
    three times in a half-year at most, whatever they answered. Not replayed under an
    Idempotency-Key: a repetition makes another link, and both work.

    A link of kind `overview` needs the scope `consents:read` as well, for every processing: whoever opens it reads all
    that is held about the user, and can withdraw. Make sure that only the user can.
    """
    for processing in body.processings or ():
        by.caller.require_processing(processing)
    return_to = _listed(body.return_to, origins) if body.return_to is not None else None
    async with writer.write() as session:
        if body.subject is not None:
            whom = body.subject.name(), tuple(body.processings or ())
        elif body.consent is not None:
            whom = await whose_consent(session, deployment, by.caller, body.consent)
        else:
            raise ValueError("the body names nobody")  # which its model refuses
        make = create_overview_link if body.kind is LinkKind.OVERVIEW else create_consent_link
        made = await make(session, deployment, by.caller, body.wanted(*whom, by.credential, return_to))
    return ConsentLinkBody(
        id=made.id,
        url=f"{source}/consent/{made.token}",
        kind=body.kind,
        processings=list(made.processings),
        expires_at=made.expires_at,
        left_out=[LeftOutBody.of(each) for each in made.left_out],
        parent=ParentLinkBody(id=made.parent.id, url=f"{source}/consent/{made.parent.token}") if made.parent else None,
    )


@router.get(
    "/v1/presented-texts/{sha256}",
    summary="Read a text that the consent page showed",
    responses=problems(_NO_TEXT),
)
async def get_presented_text(sha256: Digest, _: Reader, database: DatabaseDep) -> PresentedText:
    """The text behind `presented_text_sha256` in the evidence of a consent that the page collected."""
    async with database.read() as session:
        text = await find_text(session, bytes.fromhex(sha256))
    if text is None:
        raise NotFoundError
    return PresentedText(sha256=sha256, text=text)


def _listed(address: str, origins: Origins) -> str:
    """The return address, in the form in which it is kept.

    Raises:
        InvalidRequestError: the operator has not listed the address's origin.

    """
    kept = listed_address(address, origins)
    if kept is None:
        how = "must be an https address of an origin that SCEAU_RETURN_TO_ORIGINS lists, without a user"
        raise InvalidRequestError([FieldError(field="return_to", message=how)])
    return kept
