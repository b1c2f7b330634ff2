"""The consent page: `/consent/{token}` shows, and records one press of a button at a time; its token is the only key.

A GET changes nothing. A POST needs a form that this page made (its seal) and counts once (its nonce). No cookie, so
nothing that another site could make a browser send along: CSRF has no hold here.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Path, Request, Response
from starlette.exceptions import HTTPException

from app.api.http.problems import RETRY_AFTER_SECONDS
from app.api.http.security import open_to_all
from app.api.http.services import Services, ServicesDep
from app.core.errors import (
    ConsentLinkEndedError,
    DomainError,
    FormAlreadySentError,
    FormNotOursError,
    FormOutdatedError,
    JointConsentNeededError,
    NotFoundError,
    TextChangedError,
)
from app.db.database import DatabaseUnavailableError
from app.ledger.link_store import token_digest
from app.operations.consents.answer_consent_form import ConsentForm, Press, answer_consent_form
from app.operations.consents.open_consent_link import open_consent_link
from app.pages.consents.view import banner_of, consent_page
from app.pages.consents.words import CONSENT
from app.pages.forms import read_form
from app.pages.languages import Language, LanguageDep
from app.pages.rendering import from_this_site, page_router, render, words

router = page_router()

_FIELDS: Final = frozenset({"form", "seal", "processing", "shown", "press"})

Token = Annotated[str, Path(description="The secret of a link")]


@router.api_route("/consent/{token}", methods=["GET", "HEAD"])
@open_to_all
async def show(request: Request, token: Token, language: LanguageDep, services: ServicesDep) -> Response:
    """The page as it stands; reads only."""
    return await _page(request, services, token_digest(token), language)


@router.post("/consent/{token}")
@open_to_all
async def answer(request: Request, token: Token, language: LanguageDep, services: ServicesDep) -> Response:
    """Record what a button says, then send the browser back to the page, at what was recorded (RFC 9110, 303)."""
    if not from_this_site(request):
        raise HTTPException(403)
    sent = await _read(request)
    digest = token_digest(token)
    form = ConsentForm(digest, sent.nonce, sent.processing, language.value, sent.shown)
    try:
        async with services.writer.write() as session:
            recorded = await answer_consent_form(session, services.deployment, form, sent.seal, sent.press)
    except (FormOutdatedError, TextChangedError, JointConsentNeededError) as refusal:
        return await _page(request, services, digest, language, refusal)
    except (NotFoundError, ConsentLinkEndedError) as ended:
        return _ended(request, language, ended)
    except DatabaseUnavailableError:  # perhaps after the commit
        return _unknown(request, language)
    if not recorded:
        return await _page(request, services, digest, language, FormAlreadySentError())
    place = f"answer-{sent.processing}" if sent.processing else "answers"
    return Response(status_code=303, headers={"Location": f"?lang={language.value}#{place}"})


async def _page(
    request: Request, services: Services, digest: bytes, language: Language, refusal: DomainError | None = None
) -> Response:
    try:
        async with services.database.read() as session:
            opened = await open_consent_link(session, services.deployment, digest)
    except (NotFoundError, ConsentLinkEndedError) as ended:
        return _ended(request, language, ended)
    page = consent_page(services.deployment, opened, language, banner_of(refusal, language))
    status = 200 if refusal is None else 403 if isinstance(refusal, JointConsentNeededError) else 409
    return render(request, "consent.html", language, CONSENT, page, status)


def _ended(request: Request, language: Language, ended: DomainError) -> Response:
    """One page for an unknown, altered or ended link: it tells nothing of what there was."""
    title = words(CONSENT, language)["title_ended"]
    status = 404 if isinstance(ended, NotFoundError) else 410
    return render(request, "consent_ended.html", language, CONSENT, {"title": title}, status)


def _unknown(request: Request, language: Language) -> Response:
    """The answer may be recorded or not: the page itself tells, once it can be read again."""
    context = {"title": words(CONSENT, language)["title_unknown"]}
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return render(request, "consent_unknown.html", language, CONSENT, context, 503, headers)


@dataclass(frozen=True, slots=True)
class _Sent:
    """The fields of a form, read and not yet believed."""

    nonce: bytes
    seal: str
    processing: str
    shown: str
    press: Press


async def _read(request: Request) -> _Sent:
    """The fields of a form.

    Raises:
        HTTPException: 413, too long.
        FormNotOursError: it is none that this page sends.

    """
    one = await read_form(request, _FIELDS)
    if not one["seal"].isascii():
        raise FormNotOursError
    try:
        return _Sent(bytes.fromhex(one["form"]), one["seal"], one["processing"], one["shown"], Press(one["press"]))
    except ValueError:  # not hexadecimal, no such button
        raise FormNotOursError from None
