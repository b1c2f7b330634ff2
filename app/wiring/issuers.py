"""Makes the check of access tokens from settings: its rules, its issuers, and the fetcher of their keys."""

from itertools import zip_longest
from typing import TYPE_CHECKING

from app.auth.tokens import TokenRules
from app.ledger.pseudonym import Pseudonyms
from app.settings import Settings
from app.settings.values import ScopeClaim
from app.snapshot.lease import boot_seconds

if TYPE_CHECKING:
    from app.auth.token_check import TokenCheck


def token_check_of(settings: Settings, pseudonyms: Pseudonyms) -> "TokenCheck | None":
    """Make the check of access tokens, which keeps the keys of their issuers fresh; None where none are accepted.

    Args:
        settings: as loaded.
        pseudonyms: makes the references by which the callers of tokens are found.

    """
    if not settings.oidc_issuer:
        return None
    from app.auth.issuers import Issuer, Rhythm
    from app.auth.key_fetch import KeyFetcher, Source
    from app.auth.token_check import TokenCheck

    rhythm = Rhythm(keep=settings.oidc_keep_keys.total_seconds())
    fetcher = KeyFetcher(settings.oidc_algorithms)
    sources = [Source(name, url) for name, url in zip_longest(settings.oidc_issuer, settings.oidc_jwks_url)]
    return TokenCheck(
        _rules(settings, pseudonyms), [Issuer(source, fetcher, rhythm, boot_seconds) for source in sources]
    )


def _rules(settings: Settings, pseudonyms: Pseudonyms) -> TokenRules:
    return TokenRules(
        issuers=frozenset(settings.oidc_issuer),
        ref=lambda issuer, subject: pseudonyms.opaque("identity", f"{len(issuer)} {issuer}{subject}"),
        audience=settings.oidc_audience,
        algorithms=settings.oidc_algorithms,
        types=settings.oidc_token_types,
        skew=settings.oidc_clock_skew.total_seconds(),
        scopes_narrow=settings.oidc_scope_claim is ScopeClaim.NARROWS,
    )
