"""Sign in with an account of an issuer: the authorization code flow (OpenID Connect Core, 3.1) with PKCE (RFC 7636).

What ties an answer to the browser that asked is an attempt (`app.auth.issuer_trust`).
"""

import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from app.auth.callers import Token
from app.auth.issuer_trust import IssuerUnavailableError, SignInAttempt, SignInFailedError, is_safe
from app.auth.issuers import Issuer
from app.auth.tokens import BadTokenError, TokenRules, read_token, verify_id_token

_KEPT_SECONDS: Final = 300.0
_LONGEST_CODE: Final = 2_048
_NAMES_ITSELF: Final = "authorization_response_iss_parameter_supported"
"""In a discovery document: if true, an answer without `iss` is not the issuer's (RFC 9207, section 3)."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client as which this deployment asks: its id at the issuer, its secret if any, and where answers are sent."""

    id: str
    secret: str | None
    redirect_uri: str


class CodeFlow:
    """Sends people to an issuer, and finds out who came back."""

    def __init__(self, issuer: Issuer, client: Client, rules: TokenRules, lifetime: float) -> None:
        """Make no request yet. `rules` has the algorithms; `lifetime`: how many seconds a sign-in counts at most."""
        self.issuer = issuer
        self.client = client
        self._rules = TokenRules(
            issuers=frozenset({issuer.name}),
            ref=rules.ref,
            audience=client.id,
            algorithms=rules.algorithms,
            types=frozenset({"", "jwt"}),
        )
        self._lifetime = lifetime
        self._document: Mapping[str, Any] = {}
        self._read = 0.0

    async def address(self, attempt: SignInAttempt) -> str:
        """Return the address to which the browser is sent to sign in.

        Raises:
            IssuerUnavailableError: its discovery document cannot be read, or names no safe address.

        """
        parameters = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self.client.id,
            "redirect_uri": self.client.redirect_uri,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with(await self._endpoint("authorization_endpoint"), parameters)

    async def end_address(self, back_to: str) -> str | None:
        """Return where to sign out at the issuer too (RP-Initiated Logout 1.0); None where that cannot be done."""
        try:
            end = await self._endpoint("end_session_endpoint")
        except IssuerUnavailableError:
            return None
        return _with(end, {"client_id": self.client.id, "post_logout_redirect_uri": back_to})

    async def finish(self, answer: Mapping[str, str], attempt: SignInAttempt, now: float) -> Token:
        """Return the person who came back, as a token that is good for the rest of a session.

        Args:
            answer: the parameters that the issuer sent the browser back with.
            attempt: the browser's.
            now: an epoch time in seconds.

        Raises:
            SignInFailedError: the issuer refused, or something is not as it was asked for.
            IssuerUnavailableError: the issuer cannot be asked.

        """
        code = answer.get("code", "")
        if answer.get("state") != attempt.state or not 0 < len(code) <= _LONGEST_CODE:
            raise SignInFailedError
        named, says = answer.get("iss"), (await self._discovered()).get(_NAMES_ITSELF)
        if named != self.issuer.name and (named is not None or says is True):  # RFC 9207, 2.4
            raise SignInFailedError
        text = await self._exchanged(code, attempt)
        try:
            unverified = read_token(text, self._rules)
            keys = await self.issuer.keys_for(unverified.key_id, unverified.algorithm)
            return verify_id_token(unverified, keys, self._rules, now, nonce=attempt.nonce, lifetime=self._lifetime)
        except BadTokenError as error:
            raise SignInFailedError from error

    async def _exchanged(self, code: str, attempt: SignInAttempt) -> str:
        """Return the ID token that the issuer gives for a code (OpenID Connect Core, 3.1.3)."""
        client = self.client
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "client_id": client.id,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        url = await self._endpoint("token_endpoint")
        ways = self._document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if client.secret is not None and "client_secret_basic" in ways:
            both = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {b64encode(both.encode()).decode()}"
        elif client.secret is not None:
            form["client_secret"] = client.secret
        response = await self.issuer.fetcher.post(url, form, headers)
        text = response.get("id_token") if response is not None else None
        if not isinstance(text, str):
            raise SignInFailedError
        return text

    async def _discovered(self) -> Mapping[str, Any]:
        if time.monotonic() - self._read > _KEPT_SECONDS or not self._document:
            self._document = await self.issuer.fetcher.discovery(self.issuer.name)
            self._read = time.monotonic()
        return self._document

    async def _endpoint(self, name: str) -> str:
        url = (await self._discovered()).get(name)
        if not isinstance(url, str) or not is_safe(url):
            raise IssuerUnavailableError("discovery")
        return url


def _with(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
