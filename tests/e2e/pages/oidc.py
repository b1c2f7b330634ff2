"""An issuer of accounts that is not ours: node-oidc-provider, fetched once with npm into .sceau-e2e/ and run by Node.

Its pages for login and consent are its own; they take any password. It listens on 127.0.0.1 and its name is localhost:
so for a browser it is another site than the service, as issuers are, and what SameSite says of cookies holds.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.buildah import CACHE
from tests.e2e.debian import provide
from tests.e2e.programs import program
from tests.e2e.service import service
from tests.faults.service import free_port

VERSION = "9.13.3"
"""All of 9 ask for Node 22 in a warning, and run on Debian 13's 20."""
PROGRAM = Path(__file__).with_name("oidc.mjs")
AUDIENCE = "https://sceau.example.fr"
SUBJECTS = {"ada": "6f1c6a3e-2f0b-4c57-9d55-ada000000001", "bob": "00u1f3k9bobQx7Lm5d7"}
"""Subjects by login (pairwise, OpenID Connect Core, 8.1): what is registered is not what people type."""
STAFF = {"ada": "Ada Exemple", "bob": "Bob Exemple"}
_SECRET = '100 % of + and : and &, "=" and ~?'


@dataclass(frozen=True)
class Client:
    """How the console is registered at the issuer: how it shows its secret, and what its ID tokens are signed by."""

    shows: str
    algorithm: str

    @property
    def setting(self) -> str:
        """What the service is told."""
        return "console" if self.shows == "none" else f"console {_SECRET}"

    def metadata(self, address: str) -> Mapping[str, Any]:
        """What the issuer is told (OpenID Connect Registration, 2; RP-Initiated Logout, 3.1): see docs/console.md."""
        return {
            "client_id": "console",
            **({} if self.shows == "none" else {"client_secret": _SECRET}),
            "token_endpoint_auth_method": self.shows,
            "id_token_signed_response_alg": self.algorithm,
            "subject_type": "pairwise",
            "redirect_uris": [f"{address}/console/sign-in/answer"],
            "post_logout_redirect_uris": [f"{address}/console/sign-in"],
        }


PUBLIC = Client("none", "RS256")
CONFIDENTIAL = Client("client_secret_basic", "ES256")
IN_THE_FORM = Client("client_secret_post", "ES256")
"""Clients at issuers that take this one way of them alone."""


def provide_issuer() -> Path:
    """The folder where npm installed it, fetched if it is missing.

    Raises Unavailable when npm is missing and cannot be installed here.
    """
    kept = CACHE / f"oidc-provider-{VERSION}"
    provide("npm", ("npm",), "people sign in at oidc-provider from npm")
    if not kept.exists():
        CACHE.mkdir(mode=0o700, exist_ok=True)
        print("e2e: fetching oidc-provider with npm", flush=True)
        begun = kept.with_suffix(".begun")
        shutil.rmtree(begun, ignore_errors=True)
        begun.mkdir()
        line = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(begun)]
        subprocess.run([*line, f"oidc-provider@{VERSION}"], check=True, cwd=begun, stdout=subprocess.DEVNULL)
        begun.rename(kept)
    return kept


@contextmanager
def issuing(client: Client, address: str, place: Path) -> Iterator[str]:
    """The issuer with one client, that of a service at an address; what stands in `iss`."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    configuration = {"issuer": issuer, "client": client.metadata(address), "accounts": SUBJECTS}
    line = ["node", str(PROGRAM), str(provide_issuer()), json.dumps(configuration)]
    log = place / "issuer.log"
    with program(line, log, port=port, stdin=subprocess.PIPE) as process:  # it ends when that is closed
        assert process.stdin is not None
        with process.stdin:
            yield issuer


@contextmanager
def console(client: Client, place: Path, scopes: tuple[str, ...], **settings: str) -> Iterator[tuple[str, str]]:
    """An empty service whose console takes the staff's accounts, and no key; its address, and the issuer's."""
    port = free_port()
    with issuing(client, f"http://127.0.0.1:{port}", place) as issuer:
        variables: dict[str, Any] = {"SCEAU_OIDC_ISSUER": issuer, "SCEAU_OIDC_AUDIENCE": AUDIENCE, **settings}
        with service(place / "data", port=port, SCEAU_CONSOLE_CLIENT=client.setting, **variables) as (address, key):
            with httpx2.Client(trust_env=False, headers={"Authorization": f"Bearer {key}"}) as api:
                for login, name in STAFF.items():
                    identity = {"issuer": issuer, "subject": SUBJECTS[login]}
                    body = {"name": name, "kind": "person", "scopes": scopes, "identity": identity}
                    api.post(f"{address}/v1/keys", json=body).raise_for_status()
            yield address, issuer
