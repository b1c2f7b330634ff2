"""Makes from settings: the authority that stamps the log."""

from urllib.parse import unquote, urlsplit, urlunsplit

from app.proof.authority import AuthorityPlan, TimeAuthority
from app.settings import Settings


def time_authority_of(settings: Settings) -> TimeAuthority | None:
    """Who stamps the log; None where nobody is asked to."""
    if settings.tsa_url is None:
        return None
    url = urlsplit(settings.tsa_url.get_secret_value())
    password = None if url.username is None else (unquote(url.username), unquote(url.password or ""))
    plain = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    plan = AuthorityPlan(plain, settings.tsa_ca_file or (), settings.tsa_policy, password)
    return TimeAuthority(plan)
