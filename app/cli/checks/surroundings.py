"""Checks of what stands around the database: issuers, directories, the address that callers use."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from app.cli.checks.results import CheckResult, ok, warning, wrong

if TYPE_CHECKING:
    from app.settings import Settings

_LEAST_BYTES: Final = 64 * 1024 * 1024
_TRIED_BYTES: Final = 64 * 1024
_SECONDS: Final = 5.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_KEYS: Final = "/.well-known/jwks.json"


def directory_checks(settings: "Settings") -> Iterator[CheckResult]:
    """Check that the files that protect the service are kept outside the database, can be written, and have room."""
    from app.settings.required import unprotected
    from app.telemetry.room import NoRoomError, counting_directory

    lacking = {each.what: warning(each.what, each.lost, each.remedy) for each in unprotected(settings)}
    for what, text in (
        ("journal", "writes that forbid are noted outside the database"),
        ("outage file", "exempt purposes are answered by a service that starts while the database is away"),
    ):
        yield lacking.get(what) or ok(what, text)
    if settings.state_directory is not None:
        yield _directory("SCEAU_STATE_DIRECTORY", settings.state_directory)
    try:
        counting_directory(1).cleanup()
    except NoRoomError as error:
        yield wrong("disk", *str(error).split(": ", 1))
    else:
        yield ok("disk", "there is room for what workers count")


def _directory(name: str, directory: Path) -> CheckResult:
    """Check that a file can be made in a directory, and how much room is left on its file system."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            os.posix_fallocate(file.fileno(), 0, _TRIED_BYTES)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return wrong(
            "disk",
            f"the directory of {name} cannot be written ({error.strerror})",
            "make it, give it to the service's account, and make room",
        )
    if free < _LEAST_BYTES:
        return warning("disk", f"the directory of {name} has {free // 1024 // 1024} MiB left", "make room")
    return ok("disk", f"the directory of {name} can be written")


async def issuer_checks(settings: "Settings") -> AsyncIterator[CheckResult]:
    """Check that each issuer of access tokens gives its keys."""
    from app.cli.keys import ask_issuers
    from app.wiring.parts import deployment_of, token_check_of

    check = token_check_of(settings, deployment_of(settings).pseudonyms)
    if check is None:
        yield ok("issuers", "SCEAU_OIDC_ISSUER is not set: no access tokens are taken")
        return
    for issuer in await ask_issuers(check):
        number, name = len(issuer["keys"]), issuer["issuer"]
        if issuer["error"] is None:
            yield ok("issuers", f"{name} gives {number} {'key' if number == 1 else 'keys'}")
        else:
            fault = f"the keys of {name} cannot be read ({issuer['error']})"
            yield wrong("issuers", fault, "check SCEAU_OIDC_ISSUER, and that this host reaches the issuer")


async def address_check(settings: "Settings", own_keys: Collection[str]) -> CheckResult:
    """Check that SCEAU_PUBLIC_URL leads to this deployment, by the keys that are published there.

    Args:
        settings: as loaded.
        own_keys: ids of the keys that sign this deployment's decision tokens.

    """
    url = str(settings.public_url).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        return wrong("public URL", "SCEAU_PUBLIC_URL is not https: keys and ids would travel in clear", "use https")
    served = await _published(url)
    if isinstance(served, CheckResult):
        return served
    if not served & {*own_keys}:
        fault = "another deployment answers at SCEAU_PUBLIC_URL"
        return wrong("public URL", fault, "check SCEAU_PUBLIC_URL and SCEAU_DATABASE_URL")
    clear = "" if parts.scheme == "https" else ", in clear, on this machine alone"
    return ok("public URL", f"this deployment answers at SCEAU_PUBLIC_URL{clear}")


async def _published(url: str) -> set[str] | CheckResult:
    """The ids of the keys that are published at an address, or why there are none."""
    import httpx2

    try:
        async with httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=_SECONDS) as client:
            answer = await client.get(url + _KEYS)
            answer.raise_for_status()
            return {str(each["kid"]) for each in answer.json()["keys"]}
    except httpx2.HTTPStatusError as error:
        fault = f"the address of SCEAU_PUBLIC_URL answers {error.response.status_code}"
        return wrong("public URL", fault, "have the proxy pass /.well-known/ on to the service")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        fault = f"nothing answers at SCEAU_PUBLIC_URL ({type(error).__name__})"
        return wrong("public URL", fault, "start the service, and check name, certificate and proxy")
    except (ValueError, KeyError, TypeError):
        return wrong("public URL", "what answers at SCEAU_PUBLIC_URL is not Sceau", "check SCEAU_PUBLIC_URL")
