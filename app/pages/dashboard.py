"""The operator's dashboard: `/dashboard`, behind a sign-in with a key of scope `audit:read`.

The key is sent once, in the body of a form, and stands in no address, page or log; a random token in a cookie stands
for it afterwards (`app.auth.sessions`). Cookies are HttpOnly and SameSite=Strict, and each form carries a value that
only a page of this browser's own can know: another site can neither sign somebody in nor out.
"""

import hmac
import secrets
import time
from contextlib import suppress
from typing import Final

import structlog
from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from app.api.peers import peer_of
from app.api.problems import UnauthorizedError
from app.api.security import credential_of, open_to_all
from app.api.services import Services, ServicesDep
from app.core.errors import FormNotOursError
from app.operations import dashboard_sessions
from app.operations.dashboard_sessions import SignInRefused
from app.operations.show_dashboard import show_dashboard
from app.pages.dashboard_view import dashboard_page
from app.pages.dashboard_words import DASHBOARD
from app.pages.forms import read_form
from app.pages.languages import Language, LanguageDep
from app.pages.rendering import from_this_site, page_router, render, root_of, words

router = page_router()

_SESSION: Final = "sceau_session"
_FORM: Final = "sceau_form"
_TOKEN_BYTES: Final = 32
_LONGEST_TOKEN: Final = 64
log = structlog.get_logger("sceau.dashboard")


@router.get("/dashboard")
@open_to_all
async def show(request: Request, language: LanguageDep, services: ServicesDep) -> Response:
    """The dashboard for who is signed in, as long as their key is in force; the sign-in for everybody else."""
    token = _cookie(request, services, _SESSION)
    caller = await dashboard_sessions.signed_in(services.database, token) if token else None
    if caller is None:
        return _to(request, "/dashboard/sign-in", language)
    request.state.caller = str(caller.id)
    shown = await show_dashboard(services.database, caller)
    page = dashboard_page(shown, caller, services.recorder, language)
    return render(request, "dashboard.html", language, DASHBOARD, {**page, "proof": _proof(services, token)})


@router.get("/dashboard/sign-in")
@open_to_all
async def ask(request: Request, language: LanguageDep, services: ServicesDep) -> Response:
    """The form that asks for a key."""
    return _sign_in_page(request, services, language)


@router.post("/dashboard/sign-in")
@open_to_all
async def sign_in(request: Request, language: LanguageDep, services: ServicesDep) -> Response:
    """Begin a session, and go to the dashboard (RFC 9110, 303)."""
    form = await _own_form(request, services, _FORM, {"proof", "key"})
    peer, now = peer_of(request.scope, services.proxies), time.monotonic()
    if services.sign_ins.standing(peer, now).wait:
        log.warning("too many keys tried at the sign-in")
        return _sign_in_page(request, services, language, "too_many", 429)
    signed_in: str = SignInRefused.WRONG_KEY
    with suppress(UnauthorizedError):
        presented = await credential_of(services, form["key"].strip())
        async with services.database.write() as session:
            signed_in = await dashboard_sessions.sign_in(session, presented, services.uses)
            if not isinstance(signed_in, SignInRefused):
                await dashboard_sessions.sign_out(session, _cookie(request, services, _SESSION))
    if isinstance(signed_in, SignInRefused):
        if signed_in is SignInRefused.WRONG_KEY:
            services.sign_ins.take(peer, now)
        return _sign_in_page(request, services, language, signed_in.value, 403)
    answer = _to(request, "/dashboard", language)
    _set_cookie(answer, services, _SESSION, signed_in)
    _drop_cookie(answer, services, _FORM)
    return answer


@router.post("/dashboard/sign-out")
@open_to_all
async def sign_out(request: Request, language: LanguageDep, services: ServicesDep) -> Response:
    """End the session, here and on the server."""
    await _own_form(request, services, _SESSION, {"proof"})
    async with services.database.write() as session:
        await dashboard_sessions.sign_out(session, _cookie(request, services, _SESSION))
    answer = _to(request, "/dashboard/sign-in", language)
    _drop_cookie(answer, services, _SESSION)
    return answer


def _sign_in_page(
    request: Request, services: Services, language: Language, refusal: str | None = None, status: int = 200
) -> Response:
    token = _cookie(request, services, _FORM) or secrets.token_urlsafe(_TOKEN_BYTES)
    t = words(DASHBOARD, language)
    said = t[refusal] if refusal is not None else None
    page = {"title": t["sign_in_title"], "refusal": said, "proof": _proof(services, token)}
    answer = render(request, "sign_in.html", language, DASHBOARD, page, status)
    _set_cookie(answer, services, _FORM, token)
    return answer


async def _own_form(request: Request, services: Services, cookie: str, fields: set[str]) -> dict[str, str]:
    """The fields of a form that a page of this browser's own sent.

    Raises:
        HTTPException: 403, another site had it sent; 413, too long.
        FormNotOursError: it is none of ours, or was made for another browser or session.

    """
    if not from_this_site(request):
        raise HTTPException(403)
    form = await read_form(request, fields)
    token = _cookie(request, services, cookie)
    if not token or not hmac.compare_digest(_proof(services, token).encode(), form["proof"].encode()):
        raise FormNotOursError
    return form


def _proof(services: Services, token: str) -> str:
    """What a form carries beside the cookie: made from its token, and telling nothing of it."""
    return services.deployment.pseudonyms.opaque("dashboard form", token).hex()


def _to(request: Request, path: str, language: Language) -> RedirectResponse:
    return RedirectResponse(f"{root_of(request)}{path}?lang={language.value}", 303)


def _secure(services: Services) -> bool:
    return services.public_url.startswith("https:")


def _name(services: Services, name: str) -> str:
    """With the prefix that binds a cookie to this host and to TLS (RFC 6265bis, 4.1.3), where there is TLS."""
    return f"__Host-{name}" if _secure(services) else name


def _cookie(request: Request, services: Services, name: str) -> str:
    """What a cookie holds; "" when it is not there, or could not be ours."""
    token = request.cookies.get(_name(services, name), "")
    return token if len(token) <= _LONGEST_TOKEN and token.isascii() else ""


def _set_cookie(answer: Response, services: Services, name: str, token: str) -> None:
    answer.set_cookie(
        _name(services, name), token, path="/", secure=_secure(services), httponly=True, samesite="strict"
    )


def _drop_cookie(answer: Response, services: Services, name: str) -> None:
    answer.delete_cookie(_name(services, name), path="/", secure=_secure(services), httponly=True, samesite="strict")
