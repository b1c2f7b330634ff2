"""Settings that say nothing without others: which of those are lacking."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.settings.environment import PREFIX

if TYPE_CHECKING:
    from app.settings import Settings


def lacking(settings: "Settings") -> Iterator[str]:
    """A line for each setting that stands without the others that it needs."""
    yield from _of_tokens(settings)
    yield from _of_stamps(settings)


def _of_tokens(settings: "Settings") -> Iterator[str]:
    """Some of the settings of access tokens without the others."""
    if not settings.oidc_issuer:
        for name, value in (("OIDC_AUDIENCE", settings.oidc_audience), ("OIDC_JWKS_URL", settings.oidc_jwks_url)):
            if value:
                yield f"{PREFIX}{name} is set and {PREFIX}OIDC_ISSUER is not: say whose tokens are taken"
        return
    if settings.oidc_jwks_url and len(settings.oidc_jwks_url) != len(settings.oidc_issuer):
        how = f"names as many addresses as {PREFIX}OIDC_ISSUER does issuers, or none"
        yield f"{PREFIX}OIDC_JWKS_URL {how}"
    if not settings.oidc_audience:
        how = "is not set: say what tokens must be for (`aud`), such as the address of this deployment"
        yield f"{PREFIX}OIDC_AUDIENCE {how}"


def _of_stamps(settings: "Settings") -> Iterator[str]:
    """An authority of which no answer could be believed, or the rest of its settings without it."""
    if settings.tsa_url is not None and settings.tsa_ca_file is None:
        how = "is not set: name a file with the roots that the authority of"
        yield f"{PREFIX}TSA_CA_FILE {how} {PREFIX}TSA_URL must be certified under"
    for name, value in (("TSA_CA_FILE", settings.tsa_ca_file), ("TSA_POLICY", settings.tsa_policy)):
        if value is not None and settings.tsa_url is None:
            yield f"{PREFIX}{name} is set and {PREFIX}TSA_URL is not: say which authority is asked"
