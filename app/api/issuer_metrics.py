"""What is told of the issuers whose tokens are taken: how fresh their keys are, and what tokens were found to be.

Words and numbers only: no label and no answer names an issuer, a subject or a key. Of several issuers and workers the
worst is told.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from app.api.services import Services

if TYPE_CHECKING:
    from app.auth.token_check import TokenCheck


class IssuerState(BaseModel):
    """One issuer's keys in this process. Readiness does not depend on it: API keys go on working without."""

    keys: int = Field(description="How many of its keys can be used now; none: its tokens cannot be judged")
    age_seconds: float | None = Field(default=None, description="Since they were fetched; null, they never were")
    failures: int = Field(description="Fetches that failed since the last one that did not")


def issuer_states(check: "TokenCheck") -> Iterator[IssuerState]:
    """The issuers, in the order of SCEAU_OIDC_ISSUER."""
    for issuer in check.issuers.values():
        age = issuer.age
        yield IssuerState(
            keys=len(issuer.keys.keys),
            age_seconds=round(age, 1) if age is not None else None,
            failures=issuer.failures,
        )


def watch_issuers(services: Services) -> None:
    """Have the metrics of an application tell of its issuers, where it takes tokens."""
    check, metrics = services.token_check, services.metrics
    if check is None:
        return
    issuers = list(check.issuers.values())
    outcomes: dict[str, Callable[[], float]] = {"accepted": lambda: check.accepted}
    for why in check.refused:
        outcomes[why] = _refused(check, why)
    metrics.watch_counter("sceau_tokens", "Access tokens checked, by what they were found to be.", outcomes, "outcome")
    begun = {"begun": lambda: sum(each.fetches for each in issuers)}
    metrics.watch_counter("sceau_issuer_fetches", "Fetches of issuers' keys.", begun, "what")
    metrics.watch_gauge(
        "sceau_issuer_failures",
        "Fetches of an issuer's keys that failed in a row, of the issuer that fails most.",
        lambda: max(each.failures for each in issuers),
        of_workers="max",
    )
    metrics.watch_gauge(
        "sceau_issuer_keys",
        "Keys of an issuer that can be used now, of the issuer that has fewest.",
        lambda: min(len(each.keys.keys) for each in issuers),
        of_workers="min",
    )
    metrics.watch_gauge(
        "sceau_issuer_keys_age_seconds",
        "Seconds since an issuer's keys were fetched, of the issuer whose are oldest; 0 before the first fetch.",
        lambda: max(each.age or 0.0 for each in issuers),
        of_workers="max",
    )


def _refused(check: "TokenCheck", why: str) -> Callable[[], float]:
    return lambda: check.refused[why]
