"""What the routes work with: made once by `app.main`, found on the application's state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, cast

from fastapi import Depends, Request

from app.api.http.headers import SECURITY_HEADERS
from app.api.http.peers import Proxies
from app.audit.recorder import Recorder
from app.auth.limits.quotas import Buckets, Quota
from app.auth.limits.rate_limits import RateLimits
from app.auth.limits.unknown_key_limiter import UnknownKeyLimiter
from app.auth.uses import Uses
from app.core.staff import Gate
from app.db.database import Database
from app.events.addresses import AddressPolicy
from app.operations.decisions.from_memory import Memory
from app.operations.decisions.tokens import DecisionTokens
from app.operations.service.deployment import Deployment
from app.snapshot.last_known import LastKnown
from app.snapshot.lease import Pace
from app.snapshot.writer import Writer
from app.telemetry.access import MetricsAccess
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from app.auth.token_check import TokenCheck

_SIGN_INS: Final = Quota(10, 300)
"""Wrong keys that may be tried at the dashboard's sign-in from one address. A key has 256 random bits and is not
guessed: the bound keeps attempts from costing more than they should, and the log tells an operator that somebody tries.
"""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that `app.main` wired, and the settings that the edge needs.

    `memory` is what this process decides from while it holds a lease; None in strict mode, which reads the primary
    for each decision. `wall_clock` is this host's own clock, used only until the database's, which counts, was heard;
    `pace` is that of the deployment's leases.
    """

    database: Database
    deployment: Deployment
    writer: Writer
    tokens: DecisionTokens
    wall_clock: Callable[[], datetime]
    public_url: str
    metrics: Metrics = field(default_factory=Metrics)
    known: LastKnown = field(default_factory=LastKnown)
    uses: Uses = field(default_factory=Uses)
    token_check: "TokenCheck | None" = None
    memory: Memory | None = None
    recorder: Recorder | None = None
    metrics_access: MetricsAccess = MetricsAccess.OPEN
    max_body_bytes: int = 1_048_576
    keep_answers: timedelta = timedelta(hours=24)
    log_retention: timedelta = timedelta(days=400)
    webhook_policy: AddressPolicy = field(default_factory=AddressPolicy)
    webhook_key_overlap: timedelta = timedelta(days=7)
    key_overlap: timedelta = timedelta(days=7)
    limits: RateLimits = field(default_factory=RateLimits)
    unknown_keys: UnknownKeyLimiter = field(default_factory=UnknownKeyLimiter)
    sign_ins: Buckets = field(default_factory=lambda: Buckets("sign-in", _SIGN_INS))
    proxies: Proxies = ()
    staff_gate: Gate = field(default_factory=Gate)
    pace: Pace = field(default_factory=Pace)
    headers: Mapping[str, str] = field(default_factory=lambda: SECURITY_HEADERS)

    def instant(self) -> float:
        """The present as an epoch time: by the database's clock if this process has heard it, else by this host's."""
        if self.memory is not None and self.memory.replica.feed.beats:
            return self.memory.replica.now()
        heard = self.known.now()
        return self.wall_clock().timestamp() if heard is None else heard

    @property
    def source(self) -> str:
        """The CloudEvents source of this deployment's events: its public address."""
        return self.public_url.rstrip("/")

    @property
    def staff_page(self) -> str:
        """Where a person reads the staff notice and acknowledges it."""
        return f"{self.source}/staff/notice"


def services_of(request: Request) -> Services:
    """The services of the application that a request reached."""
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(services_of)]
