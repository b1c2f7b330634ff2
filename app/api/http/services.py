"""What routes take: the parts that `app.main` made once, and the write that is answered once for each Idempotency-Key.

A route names the parts that it uses in its signature (`database: DatabaseDep`). `Services` as a whole is for what
serves every route: limits, the search for the caller, metrics.
"""

from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from app.api.http.peers import Proxies
from app.audit.decision_log import Recorder
from app.auth.callers import Buckets, Caller, Quota, RateLimits, UnauthorizedError, UnknownKeyLimiter
from app.auth.sessions import Uses
from app.auth.store import Answer, IdempotentCall, authentication, earlier_answer, keep_answer, kept_as_they_are
from app.core.consent_link import Brand
from app.core.register import RegisterApproval
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import WriteSession
from app.events.addresses import AddressPolicy
from app.journal.journal import Fence, Journal
from app.ledger.identifiers import Pseudonyms, Vault
from app.operations.decisions.from_database import Outage
from app.operations.decisions.from_memory import Memory
from app.operations.decisions.tokens import DecisionTokens
from app.operations.service.contacts import ReachableOnes
from app.operations.service.deployment import Deployment
from app.operations.service.outage_file import ExemptKnowledge
from app.snapshot.feed import Pace
from app.snapshot.last_known import LastKnown, PrimaryReads
from app.snapshot.writer import Writer
from app.telemetry.logs import MetricsAccess
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from app.auth.code_flow import CodeFlow
    from app.auth.issuers import TokenCheck

_SIGN_INS: Final = Quota(10, 300)
"""Wrong keys that one address may try at the sign-in of a page. A key has 256 random bits and cannot be guessed: the
bound limits what attempts cost, and the log tells an operator of them.
"""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that `app.main` wired, and the settings that routes and middleware read.

    `reading` is the same `database` through a pool of its own. Whatever may read for long takes its connections there:
    what the quota `searches` counts, other lists, and the console. `database` is for decisions, for writes, and for
    what these read, so that they never wait for a search. `reads` and `searches` read the primary through the one and
    the other.
    This process decides from `memory` while it holds a lease. It is None in strict mode, which reads the primary for
    each decision. `wall_clock` is this host's clock: it is used until the process has read the database's, which
    counts. `pace` has the times of the deployment's leases. `stamps_log`: whether an authority is asked to stamp the
    log. `exempt` keeps known what exempt purposes need while the database is away. `unprotected`: what is lost without
    what this deployment has not set, in sentences. `stopping` is set once the process is about to end.
    `code_flow`: how people sign in to the console with an account; None where a key signs in.
    """

    database: Database
    reading: Database
    reads: PrimaryReads
    searches: PrimaryReads
    deployment: Deployment
    writer: Writer
    tokens: DecisionTokens
    outage: Outage
    exempt: ExemptKnowledge
    fence: Fence
    journal: Journal
    wall_clock: Callable[[], datetime]
    public_url: str
    metrics: Metrics = field(default_factory=Metrics)
    known: LastKnown = field(default_factory=LastKnown)
    uses: Uses = field(default_factory=Uses)
    reachable: ReachableOnes = field(default_factory=ReachableOnes)
    token_check: "TokenCheck | None" = None
    code_flow: "CodeFlow | None" = None
    memory: Memory | None = None
    recorder: Recorder | None = None
    metrics_access: MetricsAccess = MetricsAccess.OPEN
    log_retention: timedelta = timedelta(days=90)
    webhook_policy: AddressPolicy = field(default_factory=AddressPolicy)
    limits: RateLimits = field(default_factory=RateLimits)
    unknown_keys: UnknownKeyLimiter = field(default_factory=UnknownKeyLimiter)
    sign_ins: Buckets = field(default_factory=lambda: Buckets("sign-in", _SIGN_INS))
    proxies: Proxies = ()
    register_approval: RegisterApproval = RegisterApproval.TWO
    pace: Pace = field(default_factory=Pace)
    return_origins: frozenset[str] = frozenset()
    logo: bytes | None = None
    brand: Brand | None = None
    stamps_log: bool = False
    unprotected: Sequence[str] = ()
    stopping: Event = field(default_factory=Event)

    def instant(self) -> float:
        """Now as an epoch time: by the database's clock once this process has read it, before that by this host's."""
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


async def all_services(request: Request) -> Services:
    """The services as a dependency: a coroutine, which FastAPI calls without a thread."""
    return services_of(request)


ServicesDep = Annotated[Services, Depends(all_services)]
"""For a route that finds the caller itself, which takes most of the parts."""


def _part(read: Callable[[Services], Any]) -> Any:  # noqa: ANN401 - what FastAPI takes
    """A dependency that gives one part of the services."""

    async def part(request: Request) -> Any:  # noqa: ANN401 - the alias says which
        return read(services_of(request))

    return Depends(part)


DatabaseDep = Annotated[Database, _part(lambda services: services.reading)]
"""For reads, and for writes that no decision rests on."""
PromptDatabaseDep = Annotated[Database, _part(lambda services: services.database)]
"""For what a person must see to withdraw: it does not wait for others' long reads."""
PrimaryReadsDep = Annotated[PrimaryReads, _part(lambda services: services.searches)]
"""For reads that tell what would be permitted."""
WriterDep = Annotated[Writer, _part(lambda services: services.writer)]
"""For writes that change decisions: a write answers when no worker decides by what was before it."""
LookDep = Annotated[
    Callable[[], AbstractAsyncContextManager[WriteSession]],
    _part(lambda services: partial(services.writer.write, looks=True)),
]
"""For reads of what a person is to keep, or of names, of which it is recorded who looked."""
DeploymentDep = Annotated[Deployment, _part(lambda services: services.deployment)]
VaultDep = Annotated[Vault, _part(lambda services: services.deployment.vault)]
PseudonymsDep = Annotated[Pseudonyms, _part(lambda services: services.deployment.pseudonyms)]
DecisionTokensDep = Annotated[DecisionTokens, _part(lambda services: services.tokens)]
TokenCheckDep = Annotated["TokenCheck | None", _part(lambda services: services.token_check)]
"""None where no access tokens are taken."""
CodeFlowDep = Annotated["CodeFlow | None", _part(lambda services: services.code_flow)]
"""None where nobody signs in to the console with an account."""
RateLimitsDep = Annotated[RateLimits, _part(lambda services: services.limits)]
MetricsDep = Annotated[Metrics, _part(lambda services: services.metrics)]
MetricsAccessDep = Annotated[MetricsAccess, _part(lambda services: services.metrics_access)]
RegisterApprovalDep = Annotated[RegisterApproval, _part(lambda services: services.register_approval)]
WebhookPolicyDep = Annotated[AddressPolicy, _part(lambda services: services.webhook_policy)]
JournalDep = Annotated[Journal, _part(lambda services: services.journal)]
StoppingDep = Annotated[Event, _part(lambda services: services.stopping)]
"""Set once this process is about to end."""
PublicUrlDep = Annotated[str, _part(lambda services: services.public_url)]
ReturnOriginsDep = Annotated[frozenset[str], _part(lambda services: services.return_origins)]
"""Origins that the consent page may offer to go back to."""
SourceDep = Annotated[str, _part(lambda services: services.source)]
"""The public address without a slash at its end."""
StaffPageDep = Annotated[str, _part(lambda services: services.staff_page)]


# Every write answers once for each Idempotency-Key (draft-07), and only when its transaction is committed.

_LONGEST_KEY: Final = 255

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=_LONGEST_KEY,
        description="Repeat a write safely: the same key gives the same answer, for a day.",
    ),
]


class WaitsForPerson(BaseModel):
    """The answer if the request waits for a second person: 202, in the place of the route's usual status."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write request, and what is needed to answer it only once."""

    request: Request
    writer: Writer
    pseudonyms: Pseudonyms
    key: str | None

    async def perform(
        self, caller: Caller, status: int, operation: Callable[[WriteSession], Awaitable[BaseModel]]
    ) -> Response:
        """Run an operation in a transaction and answer after its commit, or repeat the earlier answer.

        The transaction locks the caller before it looks it up: a change of the caller waits for this transaction, or
        this one has waited for the change.

        Raises:
            UnauthorizedError: the credential is not in force any more.
            DatabaseUnavailableError: the caller was changed since it was let in; sent again, the request finds it so.

        """
        call = await self.call(caller)
        async with as_caller(self.request, self.writer, caller) as session:
            answer = await earlier_answer(session, call) if call is not None else None
            if answer is None:
                view = await operation(session)
                body = view.model_dump_json(exclude_none=True)
                answer = Answer(202 if isinstance(view, WaitsForPerson) else status, body)
                if call is not None:
                    keep_answer(session, call, answer, session.committing.subjects)
        return Response(answer.body, answer.status, media_type="application/json")

    async def call(self, caller: Caller) -> IdempotentCall | None:
        """The entry of this request under its Idempotency-Key; None without a key. It hashes the whole body."""
        if self.key is None:
            return None
        body = (await self.request.body()).decode("utf-8", "replace")
        # With the key in it, so that nobody who holds the database can try bodies without knowing the key.
        request_text = f"{self.key}\n{self.request.method} {self.request.url.path}\n{body}"
        return IdempotentCall(
            caller=caller.id,
            key_hash=self.pseudonyms.opaque("idempotency-key", self.key),
            request_hash=self.pseudonyms.opaque("idempotent-request", request_text),
        )


@asynccontextmanager
async def as_caller(
    request: Request, writer: Writer, caller: Caller, *, restores: bool = False
) -> AsyncIterator[WriteSession]:
    """Begin a transaction during which the caller cannot be changed; `restores`: as `Writer.write` has it.

    Raises:
        UnauthorizedError: the credential is not in force any more.
        DatabaseUnavailableError: the caller was changed since it was let in; sent again, the request finds it so.

    """
    lookup = authentication(request.state.presented)
    async with writer.write(None, (kept_as_they_are([caller.id]), lookup), restores=restores) as session:
        authenticated = lookup.read(session.lead[lookup])
        if authenticated is None or authenticated.caller.id != caller.id:
            raise UnauthorizedError(presented=True)
        if (authenticated.caller.scopes, authenticated.caller.processings) != (caller.scopes, caller.processings):
            raise DatabaseUnavailableError
        yield session


async def _write(request: Request, key: IdempotencyKey = None) -> Write:
    services = services_of(request)  # as dependencies of their own, both parts would cost each write 0.1 ms
    return Write(request, services.writer, services.deployment.pseudonyms, key)


WriteDep = Annotated[Write, Depends(_write)]
