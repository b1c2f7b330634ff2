"""Sign in to a page with a key: a form asks for the key once, a session follows, a button ends it.

The browser sends the key once, in the body of a form; no address, page or log holds it. Afterwards a random token in a
cookie stands for it (`app.auth.sessions`), the same on every page with a sign-in. Cookies are HttpOnly and
SameSite=Strict, and each form carries a value that only a page of this browser can know. So another site can neither
sign a person in or out, nor press a button for them.
"""

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from app.api.http.peers import peer_of
from app.api.http.security import credential_of, open_to_all
from app.api.http.services import (
    CodeFlowDep,
    DatabaseDep,
    PseudonymsDep,
    PublicUrlDep,
    Services,
    ServicesDep,
    SourceDep,
    services_of,
)
from app.auth.callers import Authenticated, Credential, UnauthorizedError
from app.auth.tokens import LONGEST_TOKEN
from app.core.errors import FormNotOursError
from app.db.database import Database
from app.ledger.identifiers import Pseudonyms
from app.operations.service import page_sessions
from app.operations.service.page_sessions import SignInForm, SignInRefused
from app.pages.rendering import LONGEST_FORM, from_this_site, read_form, render, root_of
from app.pages.words import LanguageDep
from app.words import Catalogue, Language

_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class PageCookies:
    """Reads the cookies of a request, and sets those of an answer: HttpOnly, SameSite=Strict, Secure over TLS."""

    request: Request
    pseudonyms: Pseudonyms
    public_url: str

    def read(self, name: str, *, longest: int = _LONGEST) -> str:
        """The value of a cookie; "" when it is missing, or cannot be one that this service made."""
        token = self.request.cookies.get(self._full(name), "")
        return token if len(token) <= longest and token.isascii() else ""

    def put(self, answer: Response, name: str, token: str, *, comes_back: bool = False) -> None:
        """Set a cookie for every path of this host; `comes_back`: also sent when another site sends people here."""
        same: Literal["lax", "strict"] = "lax" if comes_back else "strict"
        answer.set_cookie(self._full(name), token, path="/", secure=self._secure, httponly=True, samesite=same)

    def drop(self, answer: Response, name: str) -> None:
        """Have the browser delete a cookie."""
        answer.delete_cookie(self._full(name), path="/", secure=self._secure, httponly=True, samesite="strict")

    def proof(self, token: str) -> str:
        """A keyed hash of a token: it shows that this service made the form, and does not disclose the token."""
        return self.pseudonyms.opaque("page form", token).hex()

    @property
    def _secure(self) -> bool:
        return self.public_url.startswith("https:")

    def _full(self, name: str) -> str:
        """The name with the prefix that binds a cookie to this host and to TLS (RFC 6265bis, 4.1.3), over TLS."""
        return f"__Host-{name}" if self._secure else name


SESSION: Final = "sceau_session"
_FORM: Final = "sceau_form"
_TOKEN_BYTES: Final = 32
_LONGEST_FORM: Final = LONGEST_TOKEN + LONGEST_FORM
log = structlog.get_logger("sceau.pages")


@dataclass(frozen=True, slots=True)
class Entrance:
    """One page that needs a sign-in: who may sign in, the page to go to then, and the words of the form.

    `accounts`: if an issuer is set for the console, people sign in with their account there, and no key is accepted.
    """

    sign_in_form: SignInForm
    page: str
    catalogue: Catalogue
    accounts: bool = False

    @property
    def form(self) -> str:
        """The path of the form that asks for a key."""
        return self.sign_in_form.value

    @property
    def sign_out(self) -> str:
        """The path to which the button that ends the session is sent."""
        return self.sign_in_form.value.removesuffix("in") + "out"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page with a sign-in, or to its forms."""

    request: Request
    database: Database
    cookies: PageCookies
    language: Language
    entrance: Entrance

    @property
    def token(self) -> str:
        """The session's token; "" when there is none."""
        return self.cookies.read(SESSION)

    @property
    def proof(self) -> str:
        """The value that a form of this session carries beside the cookie."""
        return self.cookies.proof(self.token)

    async def signed_in(self) -> Authenticated | None:
        """The caller whose session this is, while their key is in force and they may sign in to this page."""
        if not self.token:
            return None
        check = services_of(self.request).token_check
        authenticated = await page_sessions.signed_in(self.database, check, self.entrance.sign_in_form, self.token)
        if authenticated is not None:
            self.request.state.caller = str(authenticated.caller.id)
        return authenticated

    def to_the_form(self) -> RedirectResponse:
        """Send the browser to the form that asks for a key."""
        return self.to(self.entrance.form)

    def address(self, path: str, **query: str) -> str:
        """A path of this service in the language of the page."""
        return f"{root_of(self.request)}{path}?{urlencode({'lang': self.language.value, **query})}"

    def to(self, path: str, **query: str) -> RedirectResponse:
        """Send the browser to a path of this service (RFC 9110, 303)."""
        return RedirectResponse(self.address(path, **query), 303)

    def form(self, refusal: str | None = None, status: int = 200) -> Response:
        """The form that asks for a key."""
        token = self.cookies.read(_FORM) or secrets.token_urlsafe(_TOKEN_BYTES)
        t = self.entrance.catalogue.in_language(self.language)
        words = t[refusal] if refusal is not None else None
        page = {"title": t["sign_in_title"], "refusal": words, "proof": self.cookies.proof(token)}
        context = {**page, "action": self.entrance.form, "account": None}
        answer = render(self.request, "sign_in.html", self.language, self.entrance.catalogue, context, status)
        self.cookies.put(answer, _FORM, token)
        return answer

    def by_account(self, refusal: str | None = None, status: int = 200, signed_out: str | None = None) -> Response:
        """The page that leads to the issuer where people have their accounts; `signed_out`: where to sign out there."""
        t = self.entrance.catalogue.in_language(self.language)
        context = {
            "title": t["sign_in_title"],
            "refusal": t[refusal] if refusal is not None else None,
            "account": f"{self.entrance.form}/account",
            "signed_out": signed_out,
        }
        return render(self.request, "sign_in.html", self.language, self.entrance.catalogue, context, status)

    async def sign_in(self, services: Services) -> Response:
        """Begin a session, and send the browser to the page; or show the form again, and why."""
        sent = await self.own_form({"key"}, _FORM)
        peer, now = peer_of(self.request.scope, services.proxies), time.monotonic()
        if services.sign_ins.standing(peer, now).wait:
            log.warning("too many keys tried at the sign-in")
            return self.form("too_many", 429)
        signed_in: str = SignInRefused.WRONG_KEY
        with suppress(UnauthorizedError):
            signed_in = await self.begin(services, await credential_of(services, sent["key"].strip()))
        if isinstance(signed_in, SignInRefused):
            if signed_in is SignInRefused.WRONG_KEY:
                services.sign_ins.take(peer, now)
            return self.form(signed_in.value, 403)
        answer = self.to(self.entrance.page)
        self.cookies.put(answer, SESSION, signed_in)
        self.cookies.drop(answer, _FORM)
        return answer

    async def begin(self, services: Services, presented: Credential) -> str:
        """Begin a session that replaces the browser's present one; return its token, or why there is none."""
        async with self.database.write() as session:
            signed_in = await page_sessions.sign_in(session, self.entrance.sign_in_form, presented, services.uses)
            if not isinstance(signed_in, SignInRefused):
                await page_sessions.sign_out(session, self.token)
        return signed_in

    async def end(self) -> None:
        """End the session that the browser has, if it has one."""
        if self.token:
            async with self.database.write() as session:
                await page_sessions.sign_out(session, self.token)

    async def sign_out(self) -> Response:
        """End the session, in the browser and in the database."""
        await self.own_form(set())
        await self.end()
        leaves = self.entrance.accounts and services_of(self.request).code_flow is not None
        answer = self.to(self.entrance.form, out="1") if leaves else self.to_the_form()
        self.cookies.drop(answer, SESSION)
        return answer

    async def own_form(
        self, fields: set[str], cookie: str = SESSION, *, longest: int = _LONGEST_FORM, others: bool = False
    ) -> dict[str, str]:
        """The fields of a form that was shown to this browser; `others`: it may have more than these.

        Raises:
            HTTPException: 403, another site made the browser send it; 413, it is too long.
            FormNotOursError: this service did not make it, or made it for another browser or session.

        """
        if not from_this_site(self.request):
            raise HTTPException(403)
        form = await read_form(self.request, {*fields, "proof"}, others=others, longest=longest)
        token = self.cookies.read(cookie)
        if not token or not hmac.compare_digest(self.cookies.proof(token).encode(), form["proof"].encode()):
            raise FormNotOursError
        return form


def add_sign_in(router: APIRouter, entrance: Entrance) -> Callable[..., Awaitable[Visit]]:
    """Add the form that asks for a key, the sign-in and the sign-out of a page to its routes.

    Returns:
        A dependency that gives the page its visit.

    """

    async def visit(
        request: Request,
        language: LanguageDep,
        database: DatabaseDep,
        pseudonyms: PseudonymsDep,
        public_url: PublicUrlDep,
    ) -> Visit:
        return Visit(request, database, PageCookies(request, pseudonyms, public_url), language, entrance)

    @router.get(entrance.form)
    @open_to_all
    async def ask(here: Annotated[Visit, Depends(visit)], flow: CodeFlowDep, source: SourceDep) -> Response:
        if flow is None or not entrance.accounts:
            return here.form()
        left = "out" in here.request.query_params
        back_to = f"{source}{entrance.form}"
        return here.by_account(signed_out=await flow.end_address(back_to) if left else None)

    @router.post(entrance.form)
    @open_to_all
    async def sign_in(here: Annotated[Visit, Depends(visit)], services: ServicesDep) -> Response:
        if entrance.accounts and services.code_flow is not None:
            raise HTTPException(403)
        return await here.sign_in(services)

    @router.post(entrance.sign_out)
    @open_to_all
    async def sign_out(here: Annotated[Visit, Depends(visit)]) -> Response:
        return await here.sign_out()

    return visit
