"""Sign in to the console with an account: to the issuer and back (`app.auth.code_flow`).

If an issuer is set for the console, no key opens it. The cookie of the attempt is sent when the issuer sends people
back; a session's cookie is not. So the page that follows leads on by itself, as a step within this site.
"""

import secrets
import time
from typing import TYPE_CHECKING, Final

import structlog
from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from app.api.http.peers import peer_of
from app.api.http.security import open_to_all
from app.api.http.services import Services, ServicesDep
from app.auth.callers import Credential, key_digest
from app.auth.issuer_trust import IssuerUnavailableError, SignInAttempt, SignInFailedError
from app.auth.sessions import CALLBACK
from app.operations.service.page_sessions import SignInForm, SignInRefused
from app.pages.console.frame import CONSOLE, VisitDep, router
from app.pages.rendering import render
from app.pages.sign_in import SESSION

if TYPE_CHECKING:
    from app.auth.code_flow import CodeFlow

_FLOW: Final = "sceau_flow"
_TOKEN_BYTES: Final = 32
_ASKED: Final = ("code", "state", "iss", "error")
log = structlog.get_logger("sceau.pages")


def _flow_of(services: Services) -> "CodeFlow":
    """The issuer's flow.

    Raises:
        HTTPException: 404, because this console is opened with keys.

    """
    if services.code_flow is None:
        raise HTTPException(404)
    return services.code_flow


@router.get(f"{SignInForm.CONSOLE.value}/account")
@open_to_all
async def to_the_issuer(visit: VisitDep, services: ServicesDep) -> Response:
    """Send the browser to the issuer, with a cookie that ties the answer to this browser.

    A session of this browser ends here: its cookie is not sent on the way back, so there would be two sessions.
    """
    flow, cookie = _flow_of(services), secrets.token_urlsafe(_TOKEN_BYTES)
    try:
        address = await flow.address(SignInAttempt.of(cookie, services.deployment.pseudonyms.opaque))
    except IssuerUnavailableError:
        return visit.by_account("issuer_away", 503)
    await visit.end()
    answer = RedirectResponse(address, 303)
    visit.cookies.put(answer, _FLOW, cookie, comes_back=True)
    return answer


@router.get(CALLBACK)
@open_to_all
async def from_the_issuer(visit: VisitDep, services: ServicesDep) -> Response:
    """Begin a session for the account that the issuer names."""
    flow, peer, now = _flow_of(services), peer_of(visit.request.scope, services.proxies), time.monotonic()
    query = {name: visit.request.query_params.get(name, "") for name in _ASKED if name in visit.request.query_params}
    cookie = visit.cookies.read(_FLOW)
    attempt = SignInAttempt.of(cookie, services.deployment.pseudonyms.opaque) if cookie else None
    if attempt is None or query.get("state") != attempt.state:
        # This browser did not ask for it. Any other site can send it here, so it does not count as a failed sign-in.
        return visit.by_account("flow_failed", 403)
    if services.sign_ins.standing(peer, now).wait:
        return visit.by_account("too_many", 429)
    try:
        token = await flow.finish(query, attempt, services.instant())
    except SignInFailedError:
        services.sign_ins.take(peer, now)
        log.warning("a sign-in with an account did not succeed", refused="error" in query)
        return visit.by_account("flow_failed", 403)
    except IssuerUnavailableError:
        return visit.by_account("issuer_away", 503)
    signed_in = await visit.begin(services, Credential(key_digest(secrets.token_urlsafe()), token))
    if isinstance(signed_in, SignInRefused):
        services.sign_ins.take(peer, now)
        return visit.by_account("unknown_account", 403)
    context = {"title": CONSOLE["signed_in_go_on"][visit.language], "to": visit.address(visit.entrance.page)}
    answer = render(visit.request, "console/go_on.html", visit.language, CONSOLE, context)
    visit.cookies.put(answer, SESSION, signed_in)
    visit.cookies.drop(answer, _FLOW)
    return answer
