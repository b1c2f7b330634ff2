"""Sign in to a page with a key: a form that asks for it once, a session's cookie afterwards, a way out.

The key is sent once, in the body of a form, and stands in no address, page or log; a random token in a cookie stands
for it afterwards (`app.auth.sessions`), the same on every page with a sign-in. Cookies are HttpOnly and
SameSite=Strict, and each form carries a value that only a page of this browser's own can know: another site can
neither sign somebody in nor out, nor press a button for them.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from app.api.http.peers import peer_of
from app.api.http.problems import UnauthorizedError
from app.api.http.security import credential_of, open_to_all
from app.api.http.services import Services, ServicesDep
from app.auth.callers import Caller
from app.auth.tokens import LONGEST_TOKEN
from app.core.errors import FormNotOursError
from app.operations.callers import page_sessions
from app.operations.callers.page_sessions import SignInForm, SignInRefused
from app.pages.forms import LONGEST_FORM, read_form
from app.pages.languages import Catalogue, Language, LanguageDep
from app.pages.rendering import from_this_site, render, root_of, words

SESSION: Final = "sceau_session"
_FORM: Final = "sceau_form"
_TOKEN_BYTES: Final = 32
_LONGEST_COOKIE: Final = 64
_LONGEST_FORM: Final = LONGEST_TOKEN + LONGEST_FORM
log = structlog.get_logger("sceau.pages")


@dataclass(frozen=True, slots=True)
class Entrance:
    """One page behind a sign-in: who may come in, where that leads, and what the form says."""

    sign_in_form: SignInForm
    page: str
    catalogue: Catalogue

    @property
    def form(self) -> str:
        """Where the form is that asks for a key."""
        return self.sign_in_form.value

    @property
    def way_out(self) -> str:
        """Where a press of the button goes that ends the session."""
        return self.sign_in_form.value.removesuffix("in") + "out"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request at an entrance."""

    request: Request
    services: Services
    language: Language
    entrance: Entrance

    @property
    def token(self) -> str:
        """The session's token; "" when there is none."""
        return _cookie(self.request, self.services, SESSION)

    @property
    def proof(self) -> str:
        """What a form of this session carries beside the cookie."""
        return _proof(self.services, self.token)

    async def signed_in(self) -> Caller | None:
        """Whose session it is, as long as their key is in force and they may come in here."""
        if not self.token:
            return None
        found = await page_sessions.signed_in(self.services.database, self.entrance.sign_in_form, self.token)
        if found is not None:
            self.request.state.caller = str(found.id)
        return found

    def to_the_form(self) -> RedirectResponse:
        """Go to the form that asks for a key."""
        return self.to(self.entrance.form)

    def to(self, path: str) -> RedirectResponse:
        """Go somewhere here (RFC 9110, 303)."""
        return RedirectResponse(f"{root_of(self.request)}{path}?lang={self.language.value}", 303)

    def form(self, refusal: str | None = None, status: int = 200) -> Response:
        """The form that asks for a key."""
        token = _cookie(self.request, self.services, _FORM) or secrets.token_urlsafe(_TOKEN_BYTES)
        t = words(self.entrance.catalogue, self.language)
        said = t[refusal] if refusal is not None else None
        page = {"title": t["sign_in_title"], "refusal": said, "proof": _proof(self.services, token)}
        context = {**page, "action": self.entrance.form}
        answer = render(self.request, "sign_in.html", self.language, self.entrance.catalogue, context, status)
        _set_cookie(answer, self.services, _FORM, token)
        return answer

    async def sign_in(self) -> Response:
        """Begin a session, and go to the page."""
        sent = await self.own_form({"key"}, _FORM)
        peer, now = peer_of(self.request.scope, self.services.proxies), time.monotonic()
        if self.services.sign_ins.standing(peer, now).wait:
            log.warning("too many keys tried at the sign-in")
            return self.form("too_many", 429)
        signed_in: str = SignInRefused.WRONG_KEY
        with suppress(UnauthorizedError):
            presented = await credential_of(self.services, sent["key"].strip())
            async with self.services.database.write() as session:
                signed_in = await page_sessions.sign_in(
                    session, self.entrance.sign_in_form, presented, self.services.uses
                )
                if not isinstance(signed_in, SignInRefused):
                    await page_sessions.sign_out(session, self.token)
        if isinstance(signed_in, SignInRefused):
            if signed_in is SignInRefused.WRONG_KEY:
                self.services.sign_ins.take(peer, now)
            return self.form(signed_in.value, 403)
        answer = self.to(self.entrance.page)
        _set_cookie(answer, self.services, SESSION, signed_in)
        _drop_cookie(answer, self.services, _FORM)
        return answer

    async def sign_out(self) -> Response:
        """End the session, here and on the server."""
        await self.own_form(set())
        async with self.services.database.write() as session:
            await page_sessions.sign_out(session, self.token)
        answer = self.to_the_form()
        _drop_cookie(answer, self.services, SESSION)
        return answer

    async def own_form(self, fields: set[str], cookie: str = SESSION) -> dict[str, str]:
        """The fields of a form that a page of this browser's own sent.

        Raises:
            HTTPException: 403, another site had it sent; 413, too long.
            FormNotOursError: it is none of ours, or was made for another browser or session.

        """
        if not from_this_site(self.request):
            raise HTTPException(403)
        form = await read_form(self.request, {*fields, "proof"}, longest=_LONGEST_FORM)
        token = _cookie(self.request, self.services, cookie)
        if not token or not hmac.compare_digest(_proof(self.services, token).encode(), form["proof"].encode()):
            raise FormNotOursError
        return form


def add_sign_in(router: APIRouter, entrance: Entrance) -> Callable[..., Visit]:
    """Add the form that asks for a key, the sign-in and the sign-out of an entrance to its page's routes.

    Returns:
        What gives the page its visit.

    """

    def visit(request: Request, language: LanguageDep, services: ServicesDep) -> Visit:
        return Visit(request, services, language, entrance)

    @router.get(entrance.form)
    @open_to_all
    async def ask(here: Annotated[Visit, Depends(visit)]) -> Response:
        return here.form()

    @router.post(entrance.form)
    @open_to_all
    async def sign_in(here: Annotated[Visit, Depends(visit)]) -> Response:
        return await here.sign_in()

    @router.post(entrance.way_out)
    @open_to_all
    async def sign_out(here: Annotated[Visit, Depends(visit)]) -> Response:
        return await here.sign_out()

    return visit


def _proof(services: Services, token: str) -> str:
    """Made from a token, and telling nothing of it."""
    return services.deployment.pseudonyms.opaque("dashboard form", token).hex()


def _secure(services: Services) -> bool:
    return services.public_url.startswith("https:")


def _name(services: Services, name: str) -> str:
    """With the prefix that binds a cookie to this host and to TLS (RFC 6265bis, 4.1.3), where there is TLS."""
    return f"__Host-{name}" if _secure(services) else name


def _cookie(request: Request, services: Services, name: str) -> str:
    """What a cookie holds; "" when it is not there, or could not be ours."""
    token = request.cookies.get(_name(services, name), "")
    return token if len(token) <= _LONGEST_COOKIE and token.isascii() else ""


def _set_cookie(answer: Response, services: Services, name: str, token: str) -> None:
    answer.set_cookie(
        _name(services, name), token, path="/", secure=_secure(services), httponly=True, samesite="strict"
    )


def _drop_cookie(answer: Response, services: Services, name: str) -> None:
    answer.delete_cookie(_name(services, name), path="/", secure=_secure(services), httponly=True, samesite="strict")
