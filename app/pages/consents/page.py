"""The consent page: `/consent/{token}` shows it, and records one press of a button at a time.

The token in the address is the only credential. A GET changes nothing. A POST needs a form that this page made (its
seal) and counts once (its nonce). The page sets no cookie, so another site cannot make a browser send one (CSRF).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from app.api.http.problems import RETRY_AFTER_SECONDS, status_of
from app.api.http.security import open_to_all
from app.api.http.services import DeploymentDep, PromptDatabaseDep, WriterDep, services_of
from app.api.http.wire import ProcessingId
from app.audit.log_reading import decisions_about
from app.audit.store import load_log_floor
from app.core.consent_link import AnsweringAs, LinkKind
from app.core.errors import (
    ConsentLinkEndedError,
    DomainError,
    FormAlreadySentError,
    FormNotOursError,
    FormOutdatedError,
    JointConsentNeededError,
    NotFoundError,
    QualityNotStatedError,
    TextChangedError,
)
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ReadSession
from app.ledger.link_store import listed_host, token_digest
from app.operations.consents.answer_consent_form import ConsentForm, Press, Pressed, answer_consent_form
from app.operations.consents.open_consent_link import OpenedLink, ShownProcessing, open_consent_link
from app.operations.proof.export_subject import everything_about
from app.operations.proof.receipts import receipt_for_the_person
from app.operations.service.deployment import Deployment
from app.pages.consents.overview import OVERVIEW, STANDING, overview_page
from app.pages.consents.receipt import receipt_json, receipt_page
from app.pages.consents.view import CONSENT, CONSENT_FOR, Seals, banner_of, consent_page, shown_language
from app.pages.rendering import PageRoute, from_this_site, page_router, read_form, render, saved_as, standing_alone
from app.pages.words import LanguageDep, language_of
from app.proof.notes import log_name
from app.words import Language


class LinkRoute(PageRoute):
    """A route of links. An unknown, altered or ended one has the same page, so that it reveals nothing."""

    def refused(self, request: Request, error: DomainError) -> Response:
        """The page that says that the link leads nowhere, or why the request was refused otherwise."""
        if not isinstance(error, NotFoundError | ConsentLinkEndedError):
            return super().refused(request, error)
        language = language_of(request)
        context = {"title": CONSENT.in_language(language)["title_ended"]}
        return render(request, "consent_ended.html", language, CONSENT, context, status_of(error))


router = page_router(LinkRoute)

_FIELDS: Final = frozenset({"form", "seal", "processing", "shown", "press"})
_CHOSEN: Final = frozenset({"answering_as"})

Token = Annotated[str, Path(description="The secret of a link")]


class ReceiptForm(StrEnum):
    """The form in which the receipt of the answers is requested."""

    HTML = "html"
    JSON = "json"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class _ConsentPage:
    """The page of one request: reads a link and shows what it asks."""

    request: Request
    language: Language
    database: Database
    deployment: Deployment

    async def show(self, digest: bytes, refusal: DomainError | None = None) -> Response:
        """Show the page of a link as it stands now, with a refusal above it if there is one."""
        async with self.database.read() as session:
            opened = await open_consent_link(session, self.deployment, digest)
        if opened.link.kind is LinkKind.OVERVIEW:
            return await self.overview(digest, refusal)
        language = shown_language(opened, self.language)
        page = consent_page(self.deployment, opened, language, banner_of(refusal, opened.audience, language))
        # The operator's page to which the person may return after answering: a link, never a redirect.
        host = listed_host(opened.link.return_to, services_of(self.request).return_origins)
        if host and any(item.here for item in opened.items):
            page["return_to"] = {"address": opened.link.return_to, "host": host}
        status = _status_after(refusal)
        return render(self.request, "consent.html", language, CONSENT_FOR[opened.audience], page, status)

    async def receipt(self, digest: bytes, form: ReceiptForm, processing: str | None) -> Response:
        """The answers of a link as a file to keep: one processing if signed, everything for an overview link.

        Raises:
            NotFoundError: there is no such link.
            ConsentLinkEndedError: it has ended.
            HTTPException: 404, nothing was answered.

        """
        # What a person keeps is read from a server that is known to be the primary.
        async with services_of(self.request).reads.read() as session:
            opened = await open_consent_link(session, self.deployment, digest)
            signed = await self._signed(session, opened, processing) if form is ReceiptForm.SIGNED else ""
        if opened.link.kind is LinkKind.OVERVIEW and form is ReceiptForm.JSON:
            return await self.overview(digest, file=True)
        if signed is None or all(item.decision is None for item in opened.items):
            raise HTTPException(404)
        language = shown_language(opened, self.language)
        name = CONSENT.in_language(language)["receipt_file"]
        kind = f"{processing}.jwt" if form is ReceiptForm.SIGNED else form.value
        headers = saved_as(f"{name}-{opened.now:%Y-%m-%d}.{kind}")
        if form is ReceiptForm.SIGNED:
            return Response(signed, media_type="application/jwt", headers=headers)
        if form is ReceiptForm.JSON:
            return JSONResponse(receipt_json(opened), headers=headers)
        catalogue = CONSENT_FOR[opened.audience]
        page = receipt_page(opened, language, services_of(self.request).source)
        shown = render(self.request, "receipt.html", language, catalogue, page)
        return HTMLResponse(self._alone(shown), headers=headers)

    async def _signed(self, session: ReadSession, opened: OpenedLink, processing: str | None) -> str | None:
        """The signed receipt, a compact JWS, of the person's decision about one processing by this link.

        None if the link is not about that processing, or if nothing was decided.
        """
        if processing not in {item.id for item in opened.items if item.decision is not None} or processing is None:
            return None
        service = services_of(self.request).source
        ref, origin = opened.link.subject_ref, log_name(service)
        return await receipt_for_the_person(session, self.deployment, ref, processing, service=service, origin=origin)

    async def overview(self, digest: bytes, refusal: DomainError | None = None, *, file: bool = False) -> Response:
        """Everything that is held about a person, by a link of that kind: as a page, or as a file of data."""
        services = services_of(self.request)
        # What a person keeps is read from a server that is known to be the primary. The log is read first, by pages,
        # and a link leads to one account for ever.
        async with services.reads.read() as session:
            ref = (await open_consent_link(session, self.deployment, digest)).link.subject_ref
        logged = await decisions_about(services.searches.read, ref)
        async with services.reads.read() as session:
            opened = await open_consent_link(session, self.deployment, digest)
            vault, source = self.deployment.vault, services.source
            export = await everything_about(session, vault, ref, opened.name, source, logged)
            kept = max(services.log_retention, await load_log_floor(session))
        language = self.language
        if file:
            headers = saved_as(f"{OVERVIEW.in_language(language)['file']}-{opened.now:%Y-%m-%d}.json")
            return JSONResponse(export, headers=headers, media_type="application/ld+json")
        page = overview_page(
            export,
            Seals(self.deployment, opened, language, STANDING.in_language(language)),
            operator=services.brand.name if services.brand is not None else None,
            decisions_kept=kept,
            banner=banner_of(refusal, opened.audience, language),
        )
        return render(self.request, "overview.html", language, OVERVIEW, page, _status_after(refusal))

    def kept(self, opened: OpenedLink, item: ShownProcessing, language: str) -> str:
        """The part of the page about one processing with its style, without personal data, kept as evidence.

        Dates, account, and what ties forms and receipts to a person are left out, so that it is the same for everyone
        who is shown this version in this state by this build.
        """
        alone, catalogue = replace(opened, items=(item,)), CONSENT_FOR[opened.audience]
        page = consent_page(self.deployment, alone, Language(language), None, blank=True)
        shown = render(self.request, "consent.html", Language(language), catalogue, page)
        return self._alone(shown)

    def _alone(self, shown: Response) -> str:
        return standing_alone(bytes(shown.body).decode(), services_of(self.request).brand)


async def _page(
    request: Request, language: LanguageDep, database: PromptDatabaseDep, deployment: DeploymentDep
) -> _ConsentPage:
    return _ConsentPage(request, language, database, deployment)


PageDep = Annotated[_ConsentPage, Depends(_page)]


@router.api_route("/consent/{token}", methods=["GET", "HEAD"])
@open_to_all
async def show(
    token: Token,
    page: PageDep,
    receipt: Annotated[ReceiptForm | None, Query(description="The receipt instead")] = None,
    processing: Annotated[ProcessingId | None, Query(description="What a signed receipt is to be about")] = None,
) -> Response:
    """Show the page as it stands, or the receipt of what was answered; this only reads."""
    digest = token_digest(token)
    return await page.show(digest) if receipt is None else await page.receipt(digest, receipt, processing)


@router.post("/consent/{token}")
@open_to_all
async def answer(token: Token, page: PageDep, writer: WriterDep) -> Response:
    """Record the pressed button, then redirect the browser to the result on the page (RFC 9110, 303)."""
    request, language = page.request, page.language
    if not from_this_site(request):
        raise HTTPException(403)
    digest = token_digest(token)
    form, seal, pressed = await _read(request, digest, language)
    try:
        async with writer.write() as session:
            recorded = await answer_consent_form(session, page.deployment, form, seal, pressed, page.kept)
    except (FormOutdatedError, TextChangedError, JointConsentNeededError, QualityNotStatedError) as refusal:
        return await page.show(digest, refusal)
    except DatabaseUnavailableError:  # perhaps after the commit: the consent page shows it once it can be read again
        context = {"title": CONSENT.in_language(language)["title_unknown"]}
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return render(request, "consent_unknown.html", language, CONSENT, context, 503, headers)
    if not recorded:
        return await page.show(digest, FormAlreadySentError())
    place = f"answer-{form.processing}" if form.processing else "answers"
    return Response(status_code=303, headers={"Location": f"?lang={language.value}#{place}"})


def _status_after(refusal: DomainError | None) -> int:
    return 200 if refusal is None else 403 if isinstance(refusal, JointConsentNeededError) else 409


async def _read(request: Request, digest: bytes, language: Language) -> tuple[ConsentForm, str, Pressed]:
    """A form of a link as it was sent, the seal beside it, and what was pressed; the seal is not verified yet.

    Raises:
        HTTPException: 413, too long.
        FormNotOursError: this page did not make the form.

    """
    one = await read_form(request, _FIELDS, optional=_CHOSEN)
    if not one["seal"].isascii():
        raise FormNotOursError
    try:
        chosen = AnsweringAs(one["answering_as"]) if "answering_as" in one else None
        form = ConsentForm(digest, bytes.fromhex(one["form"]), one["processing"], language.value, one["shown"])
        return form, one["seal"], Pressed(Press(one["press"]), chosen)
    except ValueError:  # not hexadecimal, no such button or capacity
        raise FormNotOursError from None
