"""Makes pages (Jinja2 templates with autoescape, under headers that let nothing in or out), and reads forms.

A page is never kept by a cache, sends no referrer (an address may be a secret), runs no script, loads nothing from
another origin and stands in no frame. Add a page with `page_router()` and `render`.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from app.api.http.exchange import DOCUMENT_HEADERS, wants_page
from app.api.http.problems import RETRY_AFTER_SECONDS, note_refusal, status_of
from app.api.http.security import open_to_all
from app.api.http.services import services_of
from app.auth.callers import OverQuotaError
from app.auth.issuer_trust import IssuerUnavailableError
from app.core.consent_link import Brand
from app.core.errors import DomainError, FormNotOursError
from app.core.wording import FILLED, Mark, Passage, typeset
from app.db.database import DatabaseUnavailableError
from app.pages.words import ERRORS, FAILED_AFTER_SENDING, SHARED, language_of
from app.words import Catalogue, Language

if TYPE_CHECKING:
    from jinja2 import Environment

# Forms that pages send are small, of one kind, and have each field once. What is read from them is not trusted yet.

LONGEST_FORM: Final = 4_096
"""The most bytes of a form's body, unless a page sets another bound."""
_MOST_FIELDS: Final = 500
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(
    request: Request,
    fields: AbstractSet[str],
    *,
    optional: AbstractSet[str] = frozenset(),
    others: bool = False,
    longest: int = LONGEST_FORM,
) -> dict[str, str]:
    """The fields of a form: exactly these, each once (URL Living Standard, application/x-www-form-urlencoded).

    Fields of `optional` may be missing, such as a choice that was not made; with `others`, any field may be added.

    Raises:
        HTTPException: 413, the form is too long.
        FormNotOursError: it is a form that no page of this service sends.

    """
    body = await request.body()
    if len(body) > longest:
        raise HTTPException(413)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM_TYPE:
        raise FormNotOursError
    try:
        most = _MOST_FIELDS if others else len(fields) + len(optional)
        parsed = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:  # not ASCII, not UTF-8, too many fields
        raise FormNotOursError from None
    if (
        not fields <= set(parsed)
        or not (others or set(parsed) <= fields | optional)
        or any(len(values) != 1 or "\0" in name + values[0] for name, values in parsed.items())
    ):
        raise FormNotOursError
    return {name: values[0] for name, values in parsed.items()}


_ASIDE: Final = Markup("<bdi{}>{}</bdi>")
_LINK: Final = Markup('<a href="{}" rel="noopener noreferrer">{}</a>')
_WHOLE: Final = Markup('<a class="whole" href="{}" rel="noopener noreferrer">{}</a>')
"""A link whose text is its address, so that paper need not show the address again."""
_DATE: Final = Markup("<span data-filled>{}</span>")
_FOREIGN: Final = Markup('<span lang="fr">{}</span>')
_FRENCH: Final = re.compile(r"code des postes et des communications électroniques|code pénal")
_LEADS: Final = ("https://", "mailto:", "tel:")


def worded(passage: Passage, when: str = "") -> Markup:
    """A passage as HTML; `when` is the date of one that has a place for it.

    Words that others gave are set apart, since they may run from right to left; addresses among them become links.
    """
    text = typeset(passage.text, passage.language)
    if passage.dated:
        before, _, after = text.partition(FILLED)
        return escape(before) + _DATE.format(typeset(when, passage.language)) + escape(after)
    html, place = Markup(), 0
    for mark in passage.marks:
        start = passage.text.find(mark.text, place)  # spacing changes no length
        if start < 0:
            continue
        end = start + len(mark.text)
        html += escape(text[place:start]) + _marked(mark, text[start:end], passage.language)
        place = end
    return html + escape(text[place:])


def _marked(mark: Mark, text: str, language: str) -> Markup:
    if mark.address is not None and mark.address.startswith(_LEADS):
        return (_WHOLE if mark.address == mark.text else _LINK).format(mark.address, text)
    return _ASIDE.format(_lang(mark.language or language, language), text)


def in_french(text: str, language: str) -> Markup:
    """A text, typeset; in an English text, the French names of codes of law are marked as French."""
    if language == "fr":
        return escape(typeset(text, language))
    html, place = Markup(), 0
    for match in _FRENCH.finditer(text):
        html += escape(text[place : match.start()]) + _FOREIGN.format(match.group())
        place = match.end()
    return html + escape(text[place:])


def spoken(passage: Passage, language: str) -> Markup:
    """The attributes of the element that holds a passage: its language where it is not the page's, its direction."""
    return _lang(passage.language, language) + (Markup(' dir="auto"') if passage.own else Markup())


def _lang(spoken_in: str, language: str) -> Markup:
    return Markup(' lang="{}"').format(spoken_in) if spoken_in != language else Markup()


HERE: Final = Path(__file__).resolve().parent
STYLE: Final = HERE / "assets" / "sceau.css"
CONSOLE_STYLE: Final = HERE / "assets" / "console.css"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    **DOCUMENT_HEADERS,
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Vary": "Accept-Language",
}
"""The headers of a page, beside those of every answer (app.api.http.exchange), whose policy is for JSON."""


def saved_as(name: str) -> dict[str, str]:
    """The headers of a file that the browser saves under a name."""
    return {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}


_STYLED: Final = re.compile(r'<link rel="stylesheet"[^>]*>')
_LOGO: Final = re.compile(r'<img class="logo"[^>]*>\n?')
_SERVER_ERROR: Final = 500
_SAFE: Final = frozenset({"GET", "HEAD"})
log = structlog.get_logger("sceau.pages")


@cache
def style_of(brand: Brand | None) -> str:
    """The style sheet, with the operator's colour."""
    return STYLE.read_text(encoding="utf-8") + (brand.style if brand is not None else "")


@cache
def _style_version(brand: Brand | None) -> str:
    return sha256(style_of(brand).encode()).hexdigest()[:16]


@cache
def _console_style() -> tuple[str, str]:
    """The console's style sheet, and its version."""
    text = CONSOLE_STYLE.read_text(encoding="utf-8")
    return text, sha256(text.encode()).hexdigest()[:16]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - the first page needs it

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(typeset=typeset, worded=worded, spoken=spoken, in_french=in_french)
    return made


def root_of(request: Request) -> str:
    """The path before every route, as SCEAU_PUBLIC_URL has it: empty, or such as `/sceau`."""
    return urlsplit(services_of(request).public_url).path.rstrip("/")


def render(  # noqa: PLR0917 - what a page is made of
    request: Request,
    template: str,
    language: Language,
    catalogue: Catalogue,
    context: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Render a page.

    The template gets its words as `t` (with the shared ones), `language`, `root` (the path before every route) and the
    members of `context`. `context` must hold `title`. It may hold `only`, which says that there is no other language to
    switch to, and `sender`, the name above the page if the operator has set none.

    Raises:
        jinja2.UndefinedError: the template uses a name that is not defined.

    """
    services = services_of(request)
    html = (
        _environment()
        .get_template(template)
        .render(
            t={**SHARED.in_language(language), **catalogue.in_language(language)},
            language=language.value,
            other=language.other.value,
            root=root_of(request),
            style_version=_style_version(services.brand),
            console_style_version=_console_style()[1],
            logo=services.logo is not None,
            brand=services.brand.name if services.brand is not None else None,
            **{"only": False, "sender": None, **context},
        )
    )
    return HTMLResponse(html, status, {**PAGE_HEADERS, **(headers or {})})


def document(template: str, language: Language, catalogue: Catalogue, context: Mapping[str, Any]) -> str:
    """A document that is kept as a file: its style is within it, and it names no address of the service."""
    return standing_alone(piece(template, language, catalogue, {"root": "", **context}))


def piece(template: str, language: Language, catalogue: Catalogue, context: Mapping[str, Any]) -> str:
    """Render a part of a document."""
    full_context = {"t": catalogue.in_language(language), "language": language.value, **context}
    return _environment().get_template(template).render(**full_context)


def standing_alone(html: str, brand: Brand | None = None) -> str:
    """A page with its style sheet within it and without the logo: it says the same when it is read years later."""
    styled = _STYLED.sub(lambda _: f"<style>{style_of(brand)}</style>", html, count=1)
    return _LOGO.sub("", styled)


def error_page(
    request: Request, status: int, headers: Mapping[str, str] | None = None, detail: str | None = None
) -> HTMLResponse:
    """The page that tells a person what went wrong, but never what was sent. `detail`: the reason, if it is known."""
    language = language_of(request)
    catalogues = ERRORS if request.method in _SAFE else {**ERRORS, **FAILED_AFTER_SENDING}
    words = catalogues.get(status, catalogues[_SERVER_ERROR if status >= _SERVER_ERROR else 400]).in_language(language)
    context = words if detail is None else {**words, "detail": detail}
    return render(request, "error.html", language, SHARED, context, status, headers)


def from_this_site(request: Request) -> bool:
    """Whether a form was sent by a page of this origin (Fetch Metadata); browsers that do not say are let through.

    A second line of defence: with `no-referrer` a browser sends `Origin: null`, so that Origin proves nothing here.
    """
    return request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}


class ElsewhereError(Exception):
    """There is nothing for this browser here: it is sent to another path of this service."""

    def __init__(self, answer: RedirectResponse) -> None:
        """Keep the answer that sends it there."""
        self.answer = answer
        super().__init__()


def _page_of(request: Request, error: Exception) -> Response:
    """The answer to an error that is no domain error; an error that was not foreseen is logged."""
    match error:
        case ElsewhereError():
            return error.answer
        case RequestValidationError():
            return error_page(request, 400)
        case HTTPException():
            return error_page(request, error.status_code, error.headers)
        case OverQuotaError():
            return error_page(request, 429, {"Retry-After": str(error.standing.wait)})
        case DatabaseUnavailableError() | IssuerUnavailableError():
            return error_page(request, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    log.error("failed", exc_info=error)
    return error_page(request, 500)


class PageRoute(APIRoute):
    """A route whose errors are pages rather than problem documents."""

    def refused(self, request: Request, error: DomainError) -> Response:
        """The page for a request that a domain error refused."""
        return error_page(request, status_of(error))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def handle_for_a_person(request: Request) -> Response:
            try:
                return await handle(request)
            except DomainError as error:
                if status_of(error) == HTTPStatus.FORBIDDEN:
                    await note_refusal(request, error.slug)
                return self.refused(request, error)
            except Exception as error:  # noqa: BLE001 - each is a page
                return _page_of(request, error)

        return handle_for_a_person


class ForPeopleAlone(PageRoute):
    """A page that is there only for requests that want one, and only to read."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or not wants_page(scope):
            return Match.NONE, {}
        return super().matches(scope)


def page_router(route: type[PageRoute] = PageRoute) -> APIRouter:
    """A router of pages; each route still names its scope or is marked `open_to_all`."""
    return APIRouter(route_class=route, include_in_schema=False)


# What pages load: hand-written style sheets and the operator's logo, served from here.

router = page_router()


@router.get("/assets/logo.png")
@open_to_all
async def logo(request: Request) -> Response:
    """The operator's logo (SCEAU_LOGO), if there is one."""
    picture = services_of(request).logo
    if picture is None:
        return Response(status_code=404)  # to an element of a page, not to a person
    return Response(picture, media_type="image/png", headers={"Cache-Control": "public, max-age=3600"})


@router.get("/assets/{name}")
@open_to_all
async def asset(request: Request, name: Literal["sceau.css", "console.css"]) -> Response:
    """A style sheet; pages name its version, so that it may be kept."""
    style = style_of(services_of(request).brand) if name == STYLE.name else _console_style()[0]
    return Response(style, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})
