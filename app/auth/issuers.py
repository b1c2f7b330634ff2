"""The issuers whose tokens are accepted: their keys, fetched seldom and kept, and tokens, checked once and kept."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from app.auth.callers import Authenticated, Token
from app.auth.issuer_trust import IssuerUnavailableError
from app.auth.key_sets import KeyFetcher, KeySet, SigningKey
from app.auth.tokens import BadTokenError, TokenRules, read_token, verify_token

# Tokens with made-up key ids must make this process neither ask the issuer each time nor hold up every caller: there
# is one fetch at a time, one in so many seconds, and only callers whose key is not known wait.

_MOST_WAITING: Final = 100
log = structlog.get_logger("sceau.issuers")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Times in seconds.

    `refresh`: between two fetches of the keys, usually. `retry`: until the next one after a failure. `interval`: the
    least between any two. `keep`: for how long keys are used while the issuer is away; they then end as withdrawn ones.
    """

    refresh: float = 300.0
    retry: float = 30.0
    interval: float = 10.0
    keep: float = 86_400.0


class Issuer:
    """One issuer's keys in this process."""

    def __init__(self, name: str, fetcher: KeyFetcher, rhythm: Rhythm, clock: Callable[[], float]) -> None:
        """Know no key yet. `clock` only goes forward, in seconds."""
        self.name = name
        self.failures = 0
        self.fetches = 0
        self.fetcher = fetcher
        self._rhythm = rhythm
        self._clock = clock
        self.keys = KeySet()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._waiting = 0
        self._flight: asyncio.Task[None] | None = None
        self.lost: Callable[[frozenset[str]], None] = lambda _: None

    @property
    def age(self) -> float | None:
        """Seconds since its keys were fetched; None if they never were."""
        return None if self._fetched is None else self._clock() - self._fetched

    @property
    def _is_stale(self) -> bool:
        age = self.age
        return age is None or age > self._rhythm.keep

    @property
    def pause(self) -> float:
        """Seconds until its keys are to be fetched again."""
        return self._rhythm.retry if self.failures else self._rhythm.refresh

    async def keys_for(self, key_id: str | None, algorithm: str) -> list[SigningKey]:
        """Return the keys that may have signed a token; empty when the issuer has none such.

        Raises:
            IssuerUnavailableError: that cannot be known now.

        """
        return await self._looked_up(lambda keys: keys.fitting(key_id, algorithm))

    async def has(self, thumbprint: str) -> bool:
        """Return whether a key is in force.

        Raises:
            IssuerUnavailableError: that cannot be known now.

        """
        return bool(await self._looked_up(lambda keys: [key for key in keys.keys if key.thumbprint == thumbprint]))

    async def _looked_up(self, look: Callable[[KeySet], list[SigningKey]]) -> list[SigningKey]:
        if self._is_stale:  # also where the machine slept, and no fetch came in time
            self._replace(KeySet())
        if keys := look(self.keys):
            return keys
        if self._flight is None and not self._may_fetch():
            if self.failures or self._is_stale:
                raise IssuerUnavailableError("waiting")
            return []
        if self._waiting >= _MOST_WAITING:
            raise IssuerUnavailableError("waiting")
        self._waiting += 1
        try:
            await self._joined()
        finally:
            self._waiting -= 1
        return look(self.keys)

    async def fetch(self) -> KeySet:
        """Return its keys as they are now, without regard to what is known of them here.

        Raises:
            IssuerUnavailableError: they cannot be read.

        """
        return await self.fetcher.fetch(self.name)

    async def refresh(self) -> None:
        """Fetch now, if no fetch is under way and the last one is not too recent; a failure is noted, not raised."""
        if self._flight is None and self._may_fetch():
            with contextlib.suppress(IssuerUnavailableError):
                await self._joined()

    def _may_fetch(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= self._rhythm.interval

    async def _joined(self) -> None:
        """Wait for the fetch under way, or begin one; it goes on when the request that began it has ended."""
        if self._flight is None:
            self._tried = self._clock()
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # retrieved: the requests that waited may have ended

    async def _fetch(self) -> None:
        """Fetch the keys, and put them in the place of those that were there, whichever the issuer has withdrawn."""
        self.fetches += 1
        if self._is_stale:
            self._replace(KeySet())
        try:
            keys = await self.fetch()
        except IssuerUnavailableError as error:
            self.failures += 1
            log.warning("the issuer's keys cannot be read", issuer=self.name, why=error.why, times=self.failures)
            raise
        if self.failures or self._fetched is None:
            log.info("the issuer's keys were read", issuer=self.name, keys=len(keys.keys))
        if keys.left_out:
            log.warning("the issuer has more keys than are read", issuer=self.name, left_out=keys.left_out)
        self._fetched, self.failures = self._clock(), 0
        self._replace(keys)

    def _replace(self, keys: KeySet) -> None:
        """Use these keys from now on, and tell which of those before are gone: what rests on them ends."""
        gone = {each.thumbprint for each in self.keys.keys} - {each.thumbprint for each in keys.keys}
        self.keys = keys
        if gone:
            self.lost(frozenset(gone))

    async def close(self) -> None:
        """Cancel a fetch that is under way, and close what is open."""
        if self._flight is not None:
            self._flight.cancel()
            with contextlib.suppress(asyncio.CancelledError, IssuerUnavailableError):
                await self._flight
        await self.fetcher.close()


# Access tokens, checked once and remembered: by their SHA-256, as keys are, until they expire.
#
# A token is forgotten with its key, once the issuer has withdrawn it or was away for too long: the holder of that key
# may have made the token.

_REMEMBERED_AT_MOST: Final = 10_000


class TokenCheck:
    """Checks tokens, and remembers those that are good."""

    def __init__(self, rules: TokenRules, issuers: Sequence[Issuer]) -> None:
        """Accept the tokens of these issuers by these rules."""
        self.issuers: Mapping[str, Issuer] = {each.name: each for each in issuers}
        self.ref = rules.ref
        self.accepted = 0
        self.refused: dict[str, int] = dict.fromkeys(BadTokenError.WORDS, 0)
        self.withdrawn: Callable[[frozenset[str]], None] = lambda _: None
        self.rules = rules
        self._remembered: OrderedDict[bytes, Token] = OrderedDict()
        for issuer in issuers:
            issuer.lost = self._forget_signed_by

    def remembered(self, digest: bytes) -> Token | None:
        """Return the token of this SHA-256 if it was found good and is remembered, even if it has expired since."""
        return self._remembered.get(digest)

    async def check(self, text: str, digest: bytes, now: float) -> Token:
        """Return what a token says. The signature is checked the first time only.

        Args:
            text: the token.
            digest: its SHA-256.
            now: an epoch time in seconds.

        Raises:
            BadTokenError: it opens nothing.
            IssuerUnavailableError: that cannot be known now.

        """
        remembered = self._remembered.get(digest)
        if remembered is not None and now < remembered.until.timestamp():
            self._remembered.move_to_end(digest)
            return remembered
        try:
            unverified = read_token(text, self.rules)
            keys = await self.issuers[unverified.issuer].keys_for(unverified.key_id, unverified.algorithm)
            if not keys:
                raise BadTokenError("key")  # noqa: TRY301 - counted like what the token itself lacks
            token = verify_token(unverified, keys, self.rules, now)
        except BadTokenError as error:
            self.refused[error.why] += 1
            raise
        self.accepted += 1
        self._remembered[digest] = token
        if len(self._remembered) > _REMEMBERED_AT_MOST:
            self._remembered.popitem(last=False)
        return token

    async def still_rests(self, authenticated: Authenticated) -> bool:
        """Return whether the key that signed a caller's token is in force.

        Raises:
            IssuerUnavailableError: that cannot be known now.

        """
        identity, key = authenticated.caller.identity, authenticated.signed_by
        issuer = self.issuers.get(identity.issuer) if identity is not None else None
        return issuer is not None and key is not None and await issuer.has(key)

    async def keep(self) -> None:
        """Fetch the keys of every issuer now, and again and again until cancelled; sooner after a failure."""
        issuers = self.issuers.values()
        while True:
            for outcome in await asyncio.gather(*(each.refresh() for each in issuers), return_exceptions=True):
                if isinstance(outcome, Exception):  # unforeseen: the next round runs nevertheless
                    log.error("fetching an issuer's keys failed", cause=type(outcome).__name__)
            await asyncio.sleep(min(each.pause for each in issuers))

    async def close(self) -> None:
        """End what is under way."""
        for issuer in self.issuers.values():
            await issuer.close()

    def _forget_signed_by(self, thumbprints: frozenset[str]) -> None:
        for digest in [digest for digest, token in self._remembered.items() if token.signed_by in thumbprints]:
            del self._remembered[digest]
        self.withdrawn(thumbprints)
