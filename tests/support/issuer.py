"""An OpenID provider as far as a resource server sees it: discovery, a key set that rotates, and signed tokens.

Real HTTP on loopback and real signatures; it can also be slow, answer garbage, too much or an error, or be away.
"""

import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

AUDIENCE = "https://sceau.example.fr"


def ref_of(issuer: str, subject: str) -> bytes:
    """A reference of an identity, for tests that have no deployment."""
    return sha256(f"{issuer} {subject}".encode()).digest()


_ALGORITHMS = {"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}
_numbers = count(1)


def new_key(kind: str = "EC") -> Key:
    """A private key with a new id."""
    number = f"key-{next(_numbers)}"
    made: Key
    if kind == "RSA":
        made = RSAKey.generate_key(2048, {"kid": number})
    elif kind == "OKP":
        made = OKPKey.generate_key("Ed25519", {"kid": number})
    else:
        made = ECKey.generate_key("P-256", {"kid": number})
    return made


class Issuer:
    """A provider. `publish` changes what its key set holds; `mode` how it answers."""

    def __init__(self) -> None:
        """Listen on a port that the system picks, with one key."""
        self.key = new_key()
        self.published: list[dict[str, Any]] = []
        self.publish(self.key)
        self.mode = "good"
        self.asked: list[str] = []
        self.who = "ada"
        self.secret: str | None = None
        self.codes: dict[str, dict[str, str]] = {}
        self.id_claims: dict[str, Any] = {}
        self.held = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What stands in `iss`."""
        return f"http://127.0.0.1:{self._server.server_port}/realms/staff"

    @property
    def settings(self) -> dict[str, Any]:
        """What a deployment is set to, to take its tokens."""
        return {"oidc_issuer": self.url, "oidc_audience": AUDIENCE}

    @property
    def fetches(self) -> int:
        """How often the key set was asked for."""
        return self.asked.count("/keys")

    def publish(self, *keys: Key, **members: Any) -> None:
        """Have the key set hold the public halves of these, each with more members."""
        self.published = [{**key.as_dict(private=False), "use": "sig", **members} for key in keys]

    def rotate(self) -> Key:
        """Sign with a new key from now on and publish both; the earlier key."""
        before, self.key = self.key, new_key()
        self.publish(before, self.key)
        return before

    def claims(self, subject: str = "ada", **more: Any) -> dict[str, Any]:
        """What a token says: all that RFC 9068 wants; None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": "console",
            "iat": now,
            "exp": now + 300,
            "jti": f"token-{next(_numbers)}",
            **more,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, subject: str = "ada", *, key: Key | None = None, header: Any = None, **claims: Any) -> str:
        """A signed token; `header` changes members of its header, None takes one away."""
        return self.signed(json.dumps(self.claims(subject, **claims)).encode(), key=key, header=header)

    def signed(self, payload: bytes, *, key: Key | None = None, header: Any = None) -> str:
        """Any payload, signed."""
        by = key or self.key
        head = {"alg": _ALGORITHMS[by.key_type], "typ": "at+jwt", "kid": by.kid, **(header or {})}
        members = {name: value for name, value in head.items() if value is not None}
        registry = jws.JWSRegistry(algorithms=[members["alg"]], strict_check_header=False)
        registry.get_alg = lambda name: jws.JWSRegistry.algorithms[name]  # type: ignore[method-assign]
        return jws.serialize_compact(members, payload, by, registry=registry)

    def close(self) -> None:
        """Stop listening."""
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            """Answers as the issuer's mode says."""

            def do_GET(self) -> None:
                """Answer one request."""
                path = self.path.removeprefix("/realms/staff")
                if path.startswith("/authorize?"):
                    self.send_response(302)
                    self.send_header("Location", issuer.authorize(dict(parse_qsl(path.partition("?")[2]))))
                    self.end_headers()
                    return
                issuer.asked.append(path)
                status, headers, body = issuer.answer(path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):  # whoever asked has had enough
                    self.wfile.write(body)

            def do_POST(self) -> None:
                """Exchange a code for tokens."""
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                tokens = issuer.exchange(dict(parse_qsl(sent)), self.headers.get("Authorization", ""))
                self.send_response(200 if tokens is not None else 400)
                self.end_headers()
                self.wfile.write(json.dumps(tokens or {"error": "invalid_grant"}).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def authorize(self, query: dict[str, str]) -> str:
        """The address to which a person who signs in is sent back, with a code that is good once."""
        code = f"code-{next(_numbers)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.url})}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, str] | None:
        """An ID token for a code that was given to this client, this address and this verifier (RFC 7636, 4.6)."""
        query = self.codes.pop(form.get("code", ""), None)
        if query is None or form["redirect_uri"] != query["redirect_uri"] or form["client_id"] != query["client_id"]:
            return None
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        _, _, shown = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if challenge != query["code_challenge"] or (self.secret is not None and unquote(shown) != self.secret):
            return None
        claims = {"aud": form["client_id"], "client_id": None, "nonce": query["nonce"], **self.id_claims}
        return {"id_token": self.token(self.who, header={"typ": "JWT"}, **claims), "token_type": "Bearer"}

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path."""
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "end_session_endpoint": f"{self.url}/end",
                "authorization_response_iss_parameter_supported": True,
            },
            "/keys": {"keys": self.published},
            "/elsewhere": {"keys": self.published},
        }
        if self.mode == "slow":
            self.held.wait(60)
        if path not in documents or self.mode == "error":
            return 500, {}, b""
        body = json.dumps(documents[path]).encode()
        if self.mode == "redirect" and path == "/keys":
            return 302, {"Location": f"{self.url}/elsewhere"}, b""
        if self.mode == "compressed":
            return 200, {"Content-Encoding": "gzip"}, body
        return 200, {}, _SPOILT.get(self.mode, lambda good: good)(body)


_SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda _: b"<html>[" * 10,
    "oversized": lambda body: body + b" " * 300_000,
    "another": lambda body: body.replace(b'"issuer": "http', b'"issuer": "https'),
    "unsafe": lambda body: body.replace(b'"jwks_uri": "http://127.0.0.1', b'"jwks_uri": "http://192.0.2.1'),
    "no set": lambda body: body if b"jwks_uri" in body else b'{"keys": {}}',
}
"""What becomes of a good answer, by mode."""


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A provider, which is closed afterwards."""
    made = Issuer()
    try:
        yield made
    finally:
        made.close()
