"""Whose access tokens are taken, wired from settings: the rules, the issuers with their keys, what fetches them."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from app.auth.tokens import TokenRules
from app.ledger.pseudonym import Pseudonyms
from app.settings import PREFIX, Settings, SettingsError
from app.snapshot.lease import boot_seconds

if TYPE_CHECKING:
    from app.auth.key_fetch import Source
    from app.auth.token_check import TokenCheck

_TYPES: Final = frozenset({"at+jwt", "jwt"})
_SCOPE_CLAIM: Final = {"narrows": True, "ignored": False}
_SAFE: Final = "is an address such as https://login.example.fr/realms/staff (plain HTTP: of this machine only)"


def token_check_of(settings: Settings, pseudonyms: Pseudonyms) -> "TokenCheck | None":
    """What checks tokens, and keeps the keys of their issuers fresh; None where no tokens are taken.

    Args:
        settings: as loaded.
        pseudonyms: make the references by which callers known by tokens are found.

    Raises:
        SettingsError: one of the settings is missing or wrong.

    """
    names, urls = _listed(settings.oidc_issuer), _listed(settings.oidc_jwks_url)
    if not names:
        for name, value in (("oidc_audience", settings.oidc_audience), ("oidc_jwks_url", urls)):
            if value:
                raise _wrong(name, "is set and SCEAU_OIDC_ISSUER is not: say whose tokens are taken")
        return None
    from app.auth.issuers import Issuer, Rhythm
    from app.auth.key_fetch import KeyFetcher
    from app.auth.token_check import TokenCheck

    sources = _sources(names, urls)
    rules = _rules(settings, frozenset(names), lambda issuer, subject: _ref(pseudonyms, issuer, subject))
    rhythm = Rhythm(keep=settings.oidc_keep_keys.total_seconds())
    fetcher = KeyFetcher(rules.algorithms)
    return TokenCheck(rules, [Issuer(source, fetcher, rhythm, boot_seconds) for source in sources])


def _sources(names: Sequence[str], urls: Sequence[str]) -> "list[Source]":
    from app.auth.key_fetch import Source, is_safe

    if len(set(names)) != len(names):
        raise _wrong("oidc_issuer", "names an issuer twice")
    if urls and len(urls) != len(names):
        raise _wrong("oidc_jwks_url", "names as many addresses as SCEAU_OIDC_ISSUER does issuers, or none")
    for setting, addresses in (("oidc_issuer", names), ("oidc_jwks_url", urls)):
        if not all(map(is_safe, addresses)):
            raise _wrong(setting, _SAFE)
    return [Source(name, url) for name, url in zip_longest(names, urls)]


def _ref(pseudonyms: Pseudonyms, issuer: str, subject: str) -> bytes:
    return pseudonyms.opaque("identity", f"{len(issuer)} {issuer}{subject}")


def _rules(settings: Settings, issuers: frozenset[str], ref: Callable[[str, str], bytes]) -> TokenRules:
    from app.auth.key_sets import ALGORITHMS

    if not settings.oidc_audience:
        how = "is not set: say what tokens must be for (`aud`), such as the address of this deployment"
        raise _wrong("oidc_audience", how)
    algorithms = frozenset(_listed(settings.oidc_algorithms))
    if not algorithms or not algorithms <= set(ALGORITHMS):
        raise _wrong("oidc_algorithms", f"names one or more of {', '.join(ALGORITHMS)}: nothing else proves who signed")
    types = frozenset(each.lower() for each in _listed(settings.oidc_token_types))
    if not types or not types <= _TYPES:
        raise _wrong(
            "oidc_token_types", "is at+jwt, or at+jwt,JWT for an issuer that does not tell access tokens apart"
        )
    if settings.oidc_scope_claim not in _SCOPE_CLAIM:
        raise _wrong("oidc_scope_claim", "is narrows or ignored")
    return TokenRules(
        issuers=issuers,
        ref=ref,
        audience=settings.oidc_audience,
        algorithms=algorithms,
        types=types,
        skew=settings.oidc_clock_skew.total_seconds(),
        scopes_narrow=_SCOPE_CLAIM[settings.oidc_scope_claim],
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _wrong(name: str, how: str) -> SettingsError:
    return SettingsError(f"{PREFIX}{name.upper()} {how}")
