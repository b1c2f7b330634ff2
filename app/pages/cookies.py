"""The cookies of pages with a sign-in, and the proof that a form of this browser carries beside them."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from app.ledger.pseudonym import Pseudonyms

_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class PageCookies:
    """Reads the cookies of a request, and sets those of an answer: HttpOnly, SameSite=Strict, Secure over TLS."""

    request: Request
    pseudonyms: Pseudonyms
    public_url: str

    def read(self, name: str) -> str:
        """The value of a cookie; "" when it is missing, or cannot be one that this service made."""
        token = self.request.cookies.get(self._full(name), "")
        return token if len(token) <= _LONGEST and token.isascii() else ""

    def put(self, answer: Response, name: str, token: str) -> None:
        """Set a cookie for every path of this host."""
        answer.set_cookie(self._full(name), token, path="/", secure=self._secure, httponly=True, samesite="strict")

    def drop(self, answer: Response, name: str) -> None:
        """Have the browser delete a cookie."""
        answer.delete_cookie(self._full(name), path="/", secure=self._secure, httponly=True, samesite="strict")

    def proof(self, token: str) -> str:
        """A keyed hash of a token: it shows that this service made the form, and does not disclose the token."""
        return self.pseudonyms.opaque("dashboard form", token).hex()

    @property
    def _secure(self) -> bool:
        return self.public_url.startswith("https:")

    def _full(self, name: str) -> str:
        """The name with the prefix that binds a cookie to this host and to TLS (RFC 6265bis, 4.1.3), over TLS."""
        return f"__Host-{name}" if self._secure else name
